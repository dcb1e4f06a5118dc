package rest

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
)

// Recipe says how an app is read. It is one YAML file. Expressions are jq; a template is a text with expressions in
// braces.
//
// An expression sees, beside its input: $params (what the source gives), $item (of over), $parent (of each: the row for
// which the request is made) and a variable for each lookup that stands before it.
type Recipe struct {
	// The version of the recipe language: 1.
	Language int `yaml:"language"`
	// The app's name.
	Name string `yaml:"name"`
	// What the recipe reads, and what a user must know of it.
	About string `yaml:"about"`
	// The vendor's documents that the recipe follows.
	Documents []string `yaml:"documents"`
	// Where the API is, such as https://api.example.com. A source may give another; it must where this is missing.
	URL Template `yaml:"url"`
	// What a source must or may give beside its URL and its secrets.
	Params map[string]Param `yaml:"params"`
	// The ways to sign in, the usual one first.
	Auth []Auth `yaml:"auth"`
	// How the app says that it was asked too often.
	Limits Limits `yaml:"limits"`
	// Headers of every request.
	Headers map[string]Template `yaml:"headers"`
	// The hosts that may be given the credentials when the app redirects there: api.example.com or *.example.com. Any
	// other redirect is refused.
	Redirects []string `yaml:"redirects"`
	// The message of an answer that is an error although its status says otherwise; null or nothing if it is none. It sees
	// what stands around the rows.
	Error Expr `yaml:"error"`
	// What is asked for, in order: what is named before what names it.
	Requests []*Request `yaml:"requests"`
	// What is known of signals beyond what the records show.
	Coverage map[string]Coverage `yaml:"coverage"`
	// Where a change has to be made.
	Authority Authority `yaml:"authority"`
	// How accounts and grants are changed. A recipe without it is read-only.
	Changes *Changes `yaml:"changes"`
}

// Param is something a source gives.
type Param struct {
	// What it is, for whoever writes lapse.yaml.
	About string `yaml:"about"`
	// What holds where a source gives none. A param without a default must be given.
	Default any `yaml:"default"`
	// Whether a source may leave it out; it is then null.
	Optional bool `yaml:"optional"`
}

// Auth is one way to sign in. Cookies are none.
type Auth struct {
	// bearer, ssws (Okta's API token), basic, api_key, oauth2_client (client credentials), jwt_bearer (RFC 7523), google
	// (a service account that acts for an administrator), or aws (requests signed with an access key).
	Type string `yaml:"type"`
	// Where to get the credentials.
	About string `yaml:"about"`
	// api_key: the header that carries the key.
	Header string `yaml:"header"`
	// api_key: the parameter that carries the key, where no header can.
	Query string `yaml:"query"`
	// api_key: what stands before the key in the header.
	Prefix string `yaml:"prefix"`
	// basic: the password that goes with a key given as the token, often x.
	Password string `yaml:"password"`
	// Where tokens are issued.
	TokenURL Template `yaml:"token_url"`
	// The scopes that a token is asked for.
	Scopes []string `yaml:"scopes"`
	// The scopes that a token for changes is asked for, where they are others.
	WriteScopes []string `yaml:"write_scopes"`
	// Further parameters of the request for a token.
	Parameters map[string]Template `yaml:"parameters"`
	// oauth2_client: where the client's id and secret go: header (the default) or body.
	Style string `yaml:"style"`
	// jwt_bearer: whom the assertion is for, where that is not the token_url.
	Audience Template `yaml:"audience"`
}

// Limits say how an app tells that it was asked too often.
type Limits struct {
	// The statuses that mean to wait; by default 429 and 503.
	Status []int `yaml:"status"`
	// Of {status, headers, body}: whether an answer of another status means to wait. Header names are in lower case.
	When Expr `yaml:"when"`
	// The headers with the size of the quota, what is left of it, and when it is filled up again. By default those that
	// are usual: X-RateLimit-…, X-Rate-Limit-… and RateLimit-….
	Limit     string `yaml:"limit"`
	Remaining string `yaml:"remaining"`
	Reset     string `yaml:"reset"`
	// The documented quota, where the answers don't tell.
	PerMinute int `yaml:"per_minute"`
	// Whether each request of the recipe has a quota of its own.
	Each bool `yaml:"each"`
}

// Request is one question to the app, with all its pages, and what becomes of the rows.
type Request struct {
	// A short name, for messages.
	Name string `yaml:"name"`
	// GET, or POST where the app reads by it.
	Method string `yaml:"method"`
	// Another API of the vendor's than url.
	URL Template `yaml:"url"`
	// The path below the URL. Values are escaped.
	Path Template `yaml:"path"`
	// Parameters. One that is null is left out.
	Query map[string]Template `yaml:"query"`
	// Further headers.
	Headers map[string]Template `yaml:"headers"`
	// The body of a POST, sent as JSON; its texts are templates.
	Body Body `yaml:"body"`
	// Outputs for each of which the request is made, as $item.
	Over Expr `yaml:"over"`
	// In each: whether the request is made for a row.
	When Expr `yaml:"when"`
	// Where the rows are in an answer: a path to a list such as .members, by default the answer itself, or an expression
	// that yields them one by one.
	Rows Expr `yaml:"rows"`
	// Whether an answer without the list of rows has none, and is no error.
	AllowMissing bool `yaml:"allow_missing"`
	// Whether an answer is the whole report, of any size: it is read as it comes, and is not asked for again midway.
	Stream bool `yaml:"stream"`
	// How to get at the next page.
	Paging Paging `yaml:"paging"`
	// As in the recipe, for this request.
	Error Expr `yaml:"error"`
	// As in limits, for this request.
	PerMinute int `yaml:"per_minute"`
	// The rights (scopes, roles) that the request needs.
	Rights []string `yaml:"rights"`
	// Whether the request may be refused (403, 404) for want of a right or a plan: what it gives is then unknown.
	Optional bool `yaml:"optional"`
	// What else means that an optional request is refused: statuses, and texts of error.
	Refusals []string `yaml:"refusals"`
	// In each: statuses that say that the row's object has gone in the meantime.
	Gone []int `yaml:"gone"`
	// Keeps the rows for later expressions, as the variable of the request's name.
	Lookup *Lookup `yaml:"lookup"`

	People       Mappings `yaml:"people"`
	Accounts     Mappings `yaml:"accounts"`
	Entitlements Mappings `yaml:"entitlements"`
	Grants       Mappings `yaml:"grants"`
	Licenses     Mappings `yaml:"licenses"`
	Seats        Mappings `yaml:"seats"`
	Usage        Mappings `yaml:"usage"`

	// Requests that are made for each row, several at a time; their rows keep the order.
	Each []*Request `yaml:"each"`

	// In each: when the answers of the last reading still stand for a row, and are not asked for again.
	Incremental *Incremental `yaml:"incremental"`

	// In changes.look: the kind of object that it reads, account (the default) or entitlement.
	Of access.HolderKind `yaml:"of"`
	// In changes.look: of {status, body} of an answer that is an error, whether it says that the object is gone.
	GoneWhen Expr `yaml:"gone_when"`
	// In changes.look: the request whose mappings are used for its rows, too.
	Like string `yaml:"like"`
	// In changes.look: what is kept of a row beside the records, to undo a change: texts, or lists of them.
	Keep map[string]Expr `yaml:"keep"`

	plan plan
}

// Paging says how to get at the next page.
type Paging struct {
	// link (a Link header, RFC 8288), next (an address in the answer), cursor, offset, page, or none.
	Type string `yaml:"type"`
	// next: the address of the next page; cursor: its cursor. Null, empty or false on the last page.
	Next Expr `yaml:"next"`
	// The parameter with the cursor, the offset or the number of the page.
	Param string `yaml:"param"`
	// cursor: whether the parameter is a key of the body.
	Body bool `yaml:"body"`
	// offset, page: the rows a page, and the parameter that asks for so many.
	Size      int    `yaml:"size"`
	SizeParam string `yaml:"size_param"`
	// page: the number of the first page, by default 1.
	First *int `yaml:"first"`
	// How many rows there are in all, where an answer says so: fewer are an error.
	Total Expr `yaml:"total"`
	// offset, page: whether there is a further page, where an answer says so. Else pages are read until one is empty.
	More Expr `yaml:"more"`
	// Paths at which a next page may be, beside the request's own path and those below it.
	Paths []string `yaml:"paths"`
}

// Incremental says when what was answered for a row the last time still stands. It is used where a source has an incremental:
// of its own; every so often all is asked nevertheless, and compared. What the row itself says is always read anew, so that
// nothing that changes unnoticed, such as a sign-in, may be below it.
type Incremental struct {
	// Of the row: what is another whenever the answers are others, such as the time when the members of a group last changed.
	// Where it is null, the request is made.
	Stamp Expr `yaml:"stamp"`
	// Of the row: what changes call it by.
	Key Expr `yaml:"key"`
	// How the app tells which rows have changed since the last reading.
	Changes *ChangeLog `yaml:"changes"`
}

// ChangeLog is a question for what has changed since a mark, which is where the last answer to it ended.
type ChangeLog struct {
	// The path below the URL. Values are escaped.
	Path Template `yaml:"path"`
	// Parameters. One that is null is left out.
	Query map[string]Template `yaml:"query"`
	// Further parameters where there is no mark yet, such as one that asks for no more than that.
	Begin map[string]Template `yaml:"begin"`
	// Where the changes are in an answer, as in a request.
	Rows Expr `yaml:"rows"`
	// How to get at the next page.
	Paging Paging `yaml:"paging"`
	// Of a change: what it calls the row by.
	Key Expr `yaml:"key"`
	// Of what stands around the changes on the last page: the mark.
	Mark Expr `yaml:"mark"`
	// The parameter that carries the mark; without it the mark is the address to ask at.
	Param string `yaml:"param"`

	request *Request
}

// Lookup keeps a value of each row by its key.
type Lookup struct {
	// The key: a text or a number.
	Key Expr `yaml:"key"`
	// The value, by default true.
	Value Expr `yaml:"value"`
}

// Coverage is what is known of a signal beyond what the records show.
type Coverage struct {
	// full, partial or none; where it is missing, the records decide.
	Level access.Coverage `yaml:"level"`
	// Why, in a sentence.
	Note string `yaml:"note"`
}

// Authority says in words where accounts and groups have to be changed: changing a copy has no effect.
type Authority struct {
	// Of accounts.
	Accounts string `yaml:"accounts"`
	// Of groups and other entitlements.
	Entitlements string `yaml:"entitlements"`
}

// Mappings are how rows become records of one kind: one mapping or a list of them.
type Mappings []*Mapping

// Mapping makes records of one kind of a row: a field of the record is an expression over the row. An expression that
// yields nothing or null leaves the field unknown.
type Mapping struct {
	// From yields what the fields' expressions are applied to, once for each record; by default the row. The row is $row.
	From Expr
	// When says whether there is a record.
	When Expr
	// Once says that many rows tell of one thing, such as the product of a seat: only the first of its records is taken.
	Once   bool
	Fields []Field
	// Attributes are kept as they are, as texts.
	Attributes []Field

	at place
}

// Field is one expression of a mapping.
type Field struct {
	Name string
	Expr Expr
	at   place
}

// place is where something stands in the recipe.
type place struct{ line, column int }

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *Mappings) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	*m = nil
	for _, e := range list {
		one := &Mapping{at: place{e.Line, e.Column}}
		if err := one.read(e); err != nil {
			return err
		}
		*m = append(*m, one)
	}
	return nil
}

func (m *Mapping) read(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fault(n, "want a mapping of fields to expressions")
	}
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if line, ok := seen[key.Value]; ok {
			return fault(key, fmt.Sprintf("key %q stands already in line %d", key.Value, line))
		}
		seen[key.Value] = key.Line
		if key.Value == "attributes" {
			if value.Kind != yaml.MappingNode {
				return fault(value, "want a mapping of attributes to expressions")
			}
			for j := 0; j < len(value.Content); j += 2 {
				f, err := field(value.Content[j], value.Content[j+1])
				if err != nil {
					return err
				}
				m.Attributes = append(m.Attributes, f)
			}
			continue
		}
		if key.Value == "once" {
			if err := value.Decode(&m.Once); err != nil {
				return fault(value, "want true or false")
			}
			continue
		}
		f, err := field(key, value)
		if err != nil {
			return err
		}
		switch key.Value {
		case "from":
			m.From = f.Expr
		case "when":
			m.When = f.Expr
		default:
			m.Fields = append(m.Fields, f)
		}
	}
	return nil
}

func field(key, value *yaml.Node) (Field, error) {
	f := Field{Name: key.Value, at: place{key.Line, key.Column}}
	err := f.Expr.UnmarshalYAML(value)
	return f, err
}
