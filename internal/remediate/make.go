package remediate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// Maker makes a plan. Its zero values are filled by whoever makes one.
type Maker struct {
	Settings Settings
	Facts    Facts
	Plan     Plan // what is known of it beforehand
	Location *time.Location

	steps map[key]*Step
	order []*Step
}

// key tells the changes of a plan apart.
type key struct {
	source, entitlement, sku, id, to string
	action                           access.Action
	object                           access.Object
}

// Wants says whether a finding may lead to a change at all, and what account it is about. All accounts that are wanted have
// to be in Facts.
func (s Settings) Wants(f finding.Finding) bool {
	return f.Subject.Kind == access.SubjectAccount && changes(f.Action) && f.Status == finding.Open && !f.Carried && s.policy(f.Policy).Mode != ModeReport
}

func changes(action string) bool {
	switch action {
	case "disable", "end_sessions", "revoke", "reclaim", "rotate_key":
		return true
	}
	return false
}

// Add plans what a finding asks for, or says why it doesn't.
func (m *Maker) Add(f finding.Finding) {
	why := Why{Finding: f.Fingerprint, Policy: f.Policy, Message: f.Message, Subject: f.Subject}
	leave := func(format string, args ...any) {
		m.Plan.Left = append(m.Plan.Left, Left{Why: why, Source: f.Subject.Source, Subject: cmp.Or(f.Name, f.Subject.ID), Reason: fmt.Sprintf(format, args...)})
	}
	set := m.Settings.policy(f.Policy)
	switch {
	case f.Status != finding.Open:
		leave("it is %s", f.Status)
		return
	case f.Carried:
		leave("the last run could not judge it anew")
		return
	case set.Mode == ModeReport:
		leave("%s only reports (remediation.policies)", f.Policy)
		return
	case m.Plan.Auto && set.Mode != ModeAuto:
		leave("%s is not in mode auto (remediation.policies)", f.Policy)
		return
	case !changes(f.Action):
		leave("its action is %s: a person decides", cmp.Or(f.Action, "none"))
		return
	case f.Subject.Kind != access.SubjectAccount:
		leave("it is about a %s, and not about one account: a person decides what is to change", f.Subject.Kind)
		return
	}
	src := m.Facts[f.Subject.Source]
	if src == nil {
		leave("lapse.yaml has no source %s any more", f.Subject.Source)
		return
	}
	a, ok := src.Accounts[f.Subject.ID]
	if !ok {
		leave("the account is not in the last snapshot of %s", src.UID)
		return
	}
	link := src.Links[a.ID]
	if reason := m.bars(src, a, link, f.Person); reason != "" {
		leave("%s", reason)
		return
	}
	base := Step{Source: src.UID, Subject: subjectName(a), Person: f.Person, PersonName: f.PersonName, Assignee: f.Assignee}
	if set.Notice > 0 {
		base.NotBefore = f.FirstSeen.AddDate(0, 0, set.Notice)
	}
	changes, err := m.changesFor(f, src, a)
	if err != nil {
		leave("%v", err)
		return
	}
	for _, c := range changes {
		if reason := m.barsChange(src, a, c); reason != "" {
			leave("%s", reason)
			continue
		}
		step := base
		step.Change = c
		m.put(src, a, step, why, f)
	}
}

// bars says why nothing may be done to an account, "" if something may. person is whom the finding is about, "" for
// nobody.
func (m *Maker) bars(src *Source, a access.Account, link access.Link, person string) string {
	s := m.Settings
	switch {
	case src.Authority != "" && src.Authority != src.UID:
		return fmt.Sprintf("%s holds copies: the change is to be made in %s, and verified here", src.UID, src.Authority)
	case a.Kind == "":
		return "nobody knows what kind of account it is: say so (kind, owner) in lapse.yaml or at the source first"
	case a.BreakGlass != nil && *a.BreakGlass:
		return "it is a break-glass account"
	case link.Status == access.LinkDisputed:
		return "it is disputed whose account it is: `lapse link` settles it"
	case person != "" && !strong(link):
		return fmt.Sprintf("it is linked to the person by %s alone: a change needs an employee id, an exact e-mail address, or `lapse link`", cmp.Or(link.Method, access.LinkNone))
	}
	if p := matches(s.Protected.Accounts, a.ID, a.Username); p != "" {
		return fmt.Sprintf("it is protected (remediation.protected.accounts: %s)", p)
	}
	if p := matches(always.Accounts, a.Username); p != "" {
		return "it is built into the system"
	}
	if a.Attributes["rid"] == "500" || a.Attributes["rid"] == "502" {
		return "it is built into the domain"
	}
	if p := matches(s.Protected.People, link.Person, person); p != "" {
		return fmt.Sprintf("its person is protected (remediation.protected.people: %s)", p)
	}
	return ""
}

// strong links are good enough to change something by.
func strong(l access.Link) bool {
	return l.Status == access.LinkLinked && (l.Method == access.LinkManual || l.Method == access.LinkEmployeeID || l.Method == access.LinkEmail)
}

// barsChange says why one change may not be made to an account, "" if it may.
func (m *Maker) barsChange(src *Source, a access.Account, c access.Change) string {
	held := a.LegalHold != nil && *a.LegalHold || slices.Contains(m.Settings.LegalHold, src.Links[a.ID].Person) && src.Links[a.ID].Person != ""
	switch c.Action {
	case access.ActionReclaim, access.ActionDelete, access.ActionHandover:
		if held {
			return fmt.Sprintf("a legal hold is on it: %s is refused", c.Action)
		}
	}
	if c.Action == access.ActionDelete && !m.Settings.Delete {
		return "deleting is off (remediation.delete)"
	}
	if c.Entitlement != "" {
		if matches(always.Entitlements, src.name(c.Entitlement)) != "" {
			return fmt.Sprintf("%s is built into the system", src.name(c.Entitlement))
		}
		if p := matches(m.Settings.Protected.Entitlements, c.Entitlement, src.name(c.Entitlement)); p != "" {
			return fmt.Sprintf("%s is protected (remediation.protected.entitlements: %s)", src.name(c.Entitlement), p)
		}
	}
	return ""
}

// changesFor are the changes that a finding's action stands for.
func (m *Maker) changesFor(f finding.Finding, src *Source, a access.Account) ([]access.Change, error) {
	object := access.Object{Kind: access.HolderAccount, ID: a.ID}
	c := access.Change{Object: object}
	switch f.Action {
	case "disable":
		return m.disabling(src, object), nil
	case "end_sessions":
		c.Action = access.ActionEndSessions
		return []access.Change{c}, nil
	case "rotate_key":
		if f.Key == "" {
			return nil, errors.New("a password is to be changed where it is used, too: a person does it")
		}
		c.Action, c.Key = access.ActionDisableKey, f.Key
		return []access.Change{c}, nil
	case "reclaim":
		return reclaiming(src, object, f.Key)
	}
	return revoking(src, object, f.Key)
}

func (m *Maker) disabling(src *Source, o access.Object) []access.Change {
	out := []access.Change{{Action: access.ActionDisable, Object: o}}
	if _, ok := src.Abilities[access.ActionEndSessions]; ok {
		out = append(out, access.Change{Action: access.ActionEndSessions, Object: o})
	}
	return out
}

func reclaiming(src *Source, o access.Object, sku string) ([]access.Change, error) {
	var out []access.Change
	for _, s := range src.Seats[o.ID] {
		if sku == "" || s.SKU == sku {
			out = append(out, access.Change{Action: access.ActionReclaim, Object: o, SKU: s.SKU})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the last snapshot has no such seat")
	}
	return out, nil
}

// revoking takes an entitlement away, or with "" all privileged ones, where the account holds it by its own grants.
func revoking(src *Source, o access.Object, entitlement string) ([]access.Change, error) {
	wanted := []string{entitlement}
	if entitlement == "" {
		wanted = nil
		for id, e := range src.Entitlements {
			if e.Privileged != nil && *e.Privileged {
				wanted = append(wanted, id)
			}
		}
		slices.Sort(wanted)
	}
	var out []access.Change
	for _, w := range wanted {
		for _, g := range src.causes(o.ID, w) {
			out = append(out, access.Change{Action: access.ActionRevoke, Object: o, Entitlement: g})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no grant was found that could be taken: it may come by a rule or a primary group that was not read")
	}
	return out, nil
}

// put adds a step, or its reason to the step that makes the same change already.
func (m *Maker) put(src *Source, a access.Account, step Step, why Why, f finding.Finding) {
	c := step.Change
	k := key{source: src.UID, object: c.Object, action: c.Action, entitlement: c.Entitlement, sku: c.SKU, id: c.Key, to: c.To}
	if m.steps == nil {
		m.steps = map[key]*Step{}
	}
	if old := m.steps[k]; old != nil {
		old.Why = append(old.Why, why)
		if step.NotBefore.Before(old.NotBefore) {
			old.NotBefore = step.NotBefore
		}
		return
	}
	if why.Policy != "" {
		step.Why = []Why{why}
	}
	m.equip(src, a, &step)
	if c.Action == access.ActionReclaim {
		step.Effect.CostMonth, step.Effect.Currency = cmp.Or(step.Effect.CostMonth, f.CostMonth), cmp.Or(step.Effect.Currency, f.Currency)
	}
	m.steps[k] = &step
	m.order = append(m.order, &step)
}

// equip says how a step is carried out, and what it comes to.
func (m *Maker) equip(src *Source, a access.Account, step *Step) {
	c := &step.Change
	ability, able := src.Abilities[c.Action]
	step.Undo, step.ReadBack = ability.Undo, ability.ReadBack
	switch {
	case src.Cannot != nil:
		step.Manual = fmt.Sprintf("%v", src.Cannot)
	case !src.Live:
		step.Manual = src.UID + " can't be changed from here"
	case !able:
		step.Manual = fmt.Sprintf("%s has no way to %s from here", src.UID, words(c.Action))
	case c.Entitlement != "" && src.rule(c.Entitlement):
		step.Manual = fmt.Sprintf("who holds %s is decided by a rule: change the rule", src.name(c.Entitlement))
	}
	if c.Note == "" {
		c.Note = m.note()
	}
	switch c.Action {
	case access.ActionRevoke:
		step.Target = src.name(c.Entitlement)
		if c.Object.Kind == access.HolderAccount {
			step.Effect.Loses = src.loses(a.ID, c.Entitlement)
		}
	case access.ActionReclaim:
		for _, s := range src.Seats[a.ID] {
			if s.SKU == c.SKU {
				step.Target = cmp.Or(s.Product, s.SKU)
				step.Effect.Seats, step.Effect.CostMonth, step.Effect.Currency = 1, s.CostMonth, s.Currency
			}
		}
	case access.ActionDisableKey:
		step.Target = c.Key
	case access.ActionMove, access.ActionHandover:
		step.Target = cmp.Or(step.Target, c.To)
	}
	if a.Kind == access.KindShared {
		step.Effect.AlsoHit = append(step.Effect.AlsoHit, "everybody who uses the shared account "+subjectName(a))
	}
}

// note is what a changed object carries.
func (m *Maker) note() string {
	n := fmt.Sprintf("Lapse %s %s", m.Plan.ID, m.Plan.Made.In(m.zone()).Format("2006-01-02 15:04 MST"))
	if m.Settings.Contact != "" {
		n += ", questions to " + m.Settings.Contact
	}
	return n
}

func (m *Maker) zone() *time.Location {
	if m.Location == nil {
		return time.UTC
	}
	return m.Location
}

// Finish orders and numbers the steps.
func (m *Maker) Finish() Plan {
	rank := map[access.Action]int{}
	for i, a := range access.Actions() {
		rank[a] = i
	}
	slices.SortStableFunc(m.order, func(a, b *Step) int {
		return cmp.Or(a.NotBefore.Compare(b.NotBefore), strings.Compare(a.Person, b.Person), strings.Compare(a.Source, b.Source),
			strings.Compare(a.Subject, b.Subject), strings.Compare(a.Change.Object.ID, b.Change.Object.ID), cmp.Compare(rank[a.Change.Action], rank[b.Change.Action]),
			strings.Compare(a.Target, b.Target))
	})
	m.Plan.Steps = nil
	for i, s := range m.order {
		s.N = i + 1
		m.Plan.Steps = append(m.Plan.Steps, *s)
	}
	return m.Plan
}

// words say an action as a verb.
func words(a access.Action) string { return strings.ReplaceAll(string(a), "_", " ") }
