package rest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/strict"
)

// Changes say how the app is changed. Their expressions see, beside what all see: $id, the id of the account or entitlement;
// $change, with action, kind (of the object: account or entitlement), entitlement, sku, key, to and until; and, in actions,
// $live, which is what look reads now, and $before, what it read before the change that is undone. These two have username,
// email, enabled, attributes, grants and seats (lists of ids), and keep.
type Changes struct {
	// Requests that read one account or entitlement now, and all that it holds directly of what the recipe reads: what isn't
	// there counts as not held. The same words as in requests, and of, like and keep.
	Look []*Request `yaml:"look"`

	Disable       Actions `yaml:"disable"`
	EndSessions   Actions `yaml:"end_sessions"`
	ResetPassword Actions `yaml:"reset_password"`
	Revoke        Actions `yaml:"revoke"`
	Reclaim       Actions `yaml:"reclaim"`
	DisableKey    Actions `yaml:"disable_key"`
	Handover      Actions `yaml:"handover"`
	Delete        Actions `yaml:"delete"`
}

// Actions are how one change is made: one way, or a list of them for different objects.
type Actions []*Action

// Action is one way to make a change.
type Action struct {
	// For which changes it is; without it for all.
	When Expr `yaml:"when"`
	// The rights (scopes, roles) that it needs.
	Rights []string `yaml:"rights"`
	// What a person must know of it.
	About string `yaml:"about"`
	// The requests that make the change, one after the other.
	Do []*Step `yaml:"do"`
	// The requests that undo it; without them it can't be.
	Undo []*Step `yaml:"undo"`
	// Whether what look reads doesn't show if it was done.
	Unseen bool `yaml:"unseen"`
}

// Step is one request of a change. It is sent once, unless the app says that it has done nothing because it was asked too
// often.
type Step struct {
	// What later steps call the answer.
	Name string `yaml:"name"`
	// GET, POST (the default), PUT, PATCH or DELETE.
	Method string `yaml:"method"`
	// Another API of the vendor's than url.
	URL Template `yaml:"url"`
	// The path below the URL. Values are escaped.
	Path Template `yaml:"path"`
	// Parameters. One that is null is left out.
	Query map[string]Template `yaml:"query"`
	// Further headers.
	Headers map[string]Template `yaml:"headers"`
	// The body, sent as JSON; its texts are templates.
	Body Body `yaml:"body"`
	// Whether the request is made.
	When Expr `yaml:"when"`
	// Outputs for each of which it is made, as $item.
	Over Expr `yaml:"over"`
	// The statuses, beside those of success, that say that it is so already.
	Already []int `yaml:"already"`
	// As in the recipe, for this request. What it names was refused.
	Error Expr `yaml:"error"`
	// Whether it only asks, and may be sent again. A GET does.
	Reads bool `yaml:"reads"`
	// Of an answer: whether it is the last one. It is asked again until then, for a minute at most.
	Until Expr `yaml:"until"`

	request *Request
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *Actions) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	*a = nil
	for _, e := range list {
		one := new(Action)
		if err := strict.Decode("", e, "", one); err != nil {
			return err
		}
		*a = append(*a, one)
	}
	return nil
}

// of lists the ways to make a change.
func (c *Changes) of(action access.Action) Actions {
	switch action {
	case access.ActionDisable:
		return c.Disable
	case access.ActionEndSessions:
		return c.EndSessions
	case access.ActionResetPassword:
		return c.ResetPassword
	case access.ActionRevoke:
		return c.Revoke
	case access.ActionReclaim:
		return c.Reclaim
	case access.ActionDisableKey:
		return c.DisableKey
	case access.ActionHandover:
		return c.Handover
	case access.ActionDelete:
		return c.Delete
	}
	return nil
}

// Actions are those that the recipe knows, with the rights that each needs.
func (r *Recipe) Actions() map[string][]string {
	out := map[string][]string{}
	if r.Changes == nil {
		return out
	}
	for _, action := range access.Actions() {
		for _, a := range r.Changes.of(action) {
			for _, right := range a.Rights {
				if !slices.Contains(out[string(action)], right) {
					out[string(action)] = append(out[string(action)], right)
				}
			}
		}
	}
	return out
}

// changeVars are the variables of changes, which come after the lookups.
var changeVars = []string{"$id", "$change", "$live", "$before"}

// methods that change something, or may.
var methods = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// changes compiles what is said of changes. It comes last: lookups and requests are known.
func (c *compiler) changes(r *Recipe) {
	if r.Changes == nil {
		return
	}
	at := c.line("changes")
	vars := c.vars
	defer func() { c.vars = vars }()
	c.vars = append(slices.Clone(vars), changeVars...)
	for _, name := range changeVars {
		c.names[strings.TrimPrefix(name, "$")] = true
	}
	c.look = map[string]*Request{}
	walkRequests(r.Requests, func(q *Request) { c.look[q.Name] = q })
	if len(r.Changes.Look) == 0 {
		c.fail(at, "changes.look", "is missing: nothing counts as done until it was read back")
	}
	for i, q := range r.Changes.Look {
		c.lookRequest(q, fmt.Sprintf("changes.look[%d]", i))
	}
	none := true
	for _, action := range access.Actions() {
		list := r.Changes.of(action)
		for i, a := range list {
			none = false
			path := "changes." + string(action)
			if len(list) > 1 {
				path = fmt.Sprintf("%s[%d]", path, i)
				if !a.When.IsSet() && i < len(list)-1 {
					c.fail(at, path+".when", "is missing: without it those that follow are never used")
				}
			}
			c.action(a, path, at)
			if kind := shownBy[action]; kind != "" && !a.Unseen && !r.Changes.reads(kind, access.HolderAccount) && !r.Changes.reads(kind, access.HolderEntitlement) {
				c.fail(at, path, "look reads no %s, which show if it was done: read them, or say unseen: true", kind)
			}
		}
	}
	if none {
		c.fail(at, "changes", "changes nothing: say how to disable, revoke or another action")
	}
}

// shownBy are the records of look that show an action.
var shownBy = map[access.Action]collect.Kind{
	access.ActionDisable: collect.Accounts, access.ActionRevoke: collect.Grants, access.ActionReclaim: collect.Seats, access.ActionDisableKey: collect.Accounts,
}

func (c *compiler) lookRequest(q *Request, path string) {
	at := q.Path.at
	switch q.Of {
	case "", access.HolderAccount, access.HolderEntitlement:
	default:
		c.fail(at, path+".of", "%q is neither account nor entitlement", q.Of)
	}
	// A lookup of the same name takes the place of the recipe's, and reads less.
	old, known := c.look[q.Name]
	replaces := known && old.Lookup != nil && q.Lookup != nil
	if known && !replaces || !known && q.Lookup != nil {
		c.fail(at, path+".name", "%q: a lookup here stands for one of requests, and others have names of their own", q.Name)
	}
	if replaces {
		delete(c.names, q.Name)
	}
	c.looking = true
	vars := c.vars
	c.request(q, path, true)
	c.vars, c.looking = vars, false // a lookup's variable is there already
}

// looks compiles what only requests within look have.
func (c *compiler) looks(q *Request, path string) {
	at := q.Path.at
	if !c.looking {
		if q.Of != "" || q.Like != "" || len(q.Keep) > 0 || q.GoneWhen.IsSet() {
			c.fail(at, path, "of, like, keep and gone_when go within changes.look only")
		}
		return
	}
	c.compile(path+".gone_when", &q.GoneWhen)
	if q.Like != "" {
		like, ok := c.look[q.Like]
		if !ok || like.Lookup != nil {
			c.fail(at, path+".like", "there is no request %q that makes records%s", q.Like, near(q.Like, sortedKeys(c.look)))
		} else {
			q.plan.mappings = append(slices.Clone(like.plan.mappings), q.plan.mappings...)
		}
	}
	for _, name := range sortedKeys(q.Keep) {
		e := q.Keep[name]
		c.compile(path+".keep."+name, &e)
		q.Keep[name] = e
	}
}

func (c *compiler) action(a *Action, path string, at place) {
	c.compile(path+".when", &a.When)
	if len(a.Do) == 0 {
		c.fail(at, path+".do", "is missing: the requests that make the change")
	}
	for _, list := range []struct {
		name  string
		steps []*Step
	}{{"do", a.Do}, {"undo", a.Undo}} {
		vars := c.vars
		for i, s := range list.steps {
			c.step(s, fmt.Sprintf("%s.%s[%d]", path, list.name, i))
		}
		c.vars = vars
	}
}

func (c *compiler) step(s *Step, path string) {
	at := s.Path.at
	if s.Method == "" {
		s.Method = http.MethodPost
	}
	s.Reads = s.Reads || s.Method == http.MethodGet
	switch {
	case !slices.Contains(methods, s.Method):
		c.fail(at, path+".method", "%q is none of %s", s.Method, strings.Join(methods, ", "))
	case s.Method == http.MethodGet && s.Body.set:
		c.fail(at, path+".body", "goes with another method than GET")
	}
	if !strings.HasPrefix(s.Path.text, "/") || strings.ContainsAny(s.Path.text, "?#") {
		c.fail(at, path+".path", "%q: want a path that begins with /; parameters go under query", s.Path.text)
	}
	if s.Until.IsSet() && !s.Reads {
		c.fail(at, path+".until", "goes with a request that reads: what changes something is sent once")
	}
	for name, what := range map[string]interface{ compile([]string) error }{
		"url": &s.URL, "path": &s.Path, "body": &s.Body, "when": &s.When, "over": &s.Over, "error": &s.Error, "until": &s.Until,
	} {
		c.compile(path+"."+name, what)
	}
	c.templates(path+".query", s.Query)
	c.templates(path+".headers", s.Headers)
	s.request = &Request{Method: s.Method, URL: s.URL, Path: s.Path, Query: s.Query, Headers: s.Headers, Body: s.Body, Error: s.Error}
	s.request.plan.where = s.Method + " " + s.Path.text
	if s.Name == "" {
		return
	}
	switch variable := "$" + s.Name; {
	case !nameForm.MatchString(s.Name):
		c.fail(at, path+".name", "%q: want lower-case letters, digits and '_'", s.Name)
	case slices.Contains(c.vars, variable):
		c.fail(at, path+".name", "%q is taken", s.Name)
	case s.Over.IsSet():
		c.fail(at, path+".name", "a request that is made several times has no one answer")
	default:
		c.vars = append(slices.Clone(c.vars), variable)
	}
}

// reads reports whether look gives records of a kind for a kind of object.
func (c *Changes) reads(kind collect.Kind, of access.HolderKind) bool {
	gives := false
	for _, q := range c.Look {
		if q.of() != of {
			continue
		}
		walkRequests([]*Request{q}, func(q *Request) {
			gives = gives || slices.ContainsFunc(q.plan.mappings, func(m *mapping) bool { return m.kind == kind })
		})
	}
	return gives
}

// of is the kind of object that a request of look reads.
func (q *Request) of() access.HolderKind {
	if q.Of == "" {
		return access.HolderAccount
	}
	return q.Of
}
