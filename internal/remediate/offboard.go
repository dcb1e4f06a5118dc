package remediate

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// OffboardStep is a part of what is done when a person leaves.
type OffboardStep struct {
	// Do is an action, or a sentence that says what a person is to do.
	Do string `yaml:"do"`
	// After is how long after the person's end: 0h, 24h, 7d.
	After       string `yaml:"after"`
	Responsible string `yaml:"responsible"`
	// Sources is a pattern of the uids that it is for; "" is for all.
	Sources string `yaml:"sources"`
}

// DefaultOffboard is what is done where lapse.yaml doesn't say: what a person owns is given away first, nobody signs in
// from the first moment on, groups go after a day and licenses after a week, and nothing is deleted.
func DefaultOffboard() []OffboardStep {
	return []OffboardStep{
		{Do: "handover", After: "0h"}, {Do: "end_sessions", After: "0h"}, {Do: "disable", After: "0h"}, {Do: "disable_key", After: "0h"},
		{Do: "revoke", After: "24h"}, {Do: "reclaim", After: "7d"},
	}
}

// delay reads 24h or 7d.
func delay(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("%q is no delay: write 24h or 7d", text)
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no delay: write 24h or 7d", text)
	}
	return d, nil
}

// action says which action a step is, "" for a sentence.
func (s OffboardStep) action() access.Action {
	if a := access.Action(s.Do); slices.Contains(access.Actions(), a) {
		return a
	}
	return ""
}

func (s OffboardStep) validate() error {
	var errs []error
	if strings.TrimSpace(s.Do) == "" {
		errs = append(errs, errors.New("do is missing: an action, or a sentence that says what a person is to do"))
	}
	if s.action() == "" && !strings.Contains(strings.TrimSpace(s.Do), " ") {
		errs = append(errs, fmt.Errorf("do: %q is no action (%s) and no sentence", s.Do, joinActions()))
	}
	if _, err := delay(s.After); err != nil {
		errs = append(errs, fmt.Errorf("after: %w", err))
	}
	if _, err := path.Match(s.Sources, ""); err != nil {
		errs = append(errs, fmt.Errorf("sources: %q is no pattern", s.Sources))
	}
	return errors.Join(errs...)
}

func joinActions() string {
	var names []string
	for _, a := range access.Actions() {
		names = append(names, string(a))
	}
	return strings.Join(names, ", ")
}

// task is what a person does, and no system.
const task access.Action = "task"

// Leaving is what is known of somebody who leaves.
type Leaving struct {
	Person   access.Identity
	From     time.Time         // from when on they have no access
	Accounts []access.Link     // theirs
	Claimed  []access.Link     // disputed ones that may be theirs
	Owned    []Owned           // what they answer for
	Reports  []string          // names of the people whose manager they are
	Handover map[string]string // by source: the account of whoever takes over
	Taker    string            // their name
	Apart    []Unconnected     // apps that Lapse can't see
}

// Owned is an account or an entitlement that a person answers for.
type Owned struct {
	Source string
	Object access.Object
	Name   string
}

// Unconnected is an app that Lapse can't see.
type Unconnected struct{ Name, Owner string }

// Offboard plans what is done when a person leaves: all that they have, in all sources, by the organisation's own steps.
func (m *Maker) Offboard(l Leaving) {
	m.Plan.Kind, m.Plan.Person, m.Plan.PersonName = KindOffboard, l.Person.Key, l.Person.Name
	policy := m.Settings.Offboard
	if len(policy) == 0 {
		policy = DefaultOffboard()
	}
	for _, link := range l.Claimed {
		m.leave(link.Source, link.AccountID, cmp.Or(link.Reason, "it is disputed whose account it is")+": `lapse link` settles it")
	}
	for _, step := range policy {
		after, _ := delay(step.After) // Validate has read it
		base := Step{Person: l.Person.Key, PersonName: l.Person.Name, NotBefore: l.From.Add(after), Responsible: step.Responsible}
		a := step.action()
		if a == "" {
			m.task(base, "people", step.Do)
			continue
		}
		for _, link := range l.Accounts {
			if ok, _ := path.Match(cmp.Or(step.Sources, "*"), link.Source); ok {
				m.offboardAccount(base, a, link, l)
			}
		}
		if a == access.ActionHandover {
			m.handOver(base, l)
		}
		if a == access.ActionDisable {
			for _, app := range l.Apart {
				owner := ""
				if app.Owner != "" {
					owner = " (ask " + app.Owner + ")"
				}
				m.task(base, app.Name, fmt.Sprintf("%s is not connected: see to it that %s has no access there%s", app.Name, l.Person.Name, owner))
			}
		}
	}
}

func (m *Maker) leave(source, subject, reason string) {
	left := Left{Source: source, Subject: subject, Reason: reason}
	if !slices.ContainsFunc(m.Plan.Left, func(l Left) bool {
		return l.Source == source && l.Subject == subject && l.Reason == reason
	}) {
		m.Plan.Left = append(m.Plan.Left, left)
	}
}

// task plans what a person does.
func (m *Maker) task(step Step, where, what string) {
	step.Source, step.Subject, step.Manual = where, cmp.Or(step.PersonName, step.Person), what
	step.Change = access.Change{Action: task, Object: access.Object{Kind: "task", ID: what}}
	k := key{source: where, action: task, object: step.Change.Object}
	if m.steps == nil {
		m.steps = map[key]*Step{}
	}
	if m.steps[k] == nil {
		m.steps[k] = &step
		m.order = append(m.order, &step)
	}
}

// offboardAccount plans one action on one account of a leaver.
func (m *Maker) offboardAccount(step Step, action access.Action, link access.Link, l Leaving) {
	src := m.Facts[link.Source]
	if src == nil {
		return
	}
	a, ok := src.Accounts[link.AccountID]
	if !ok {
		return
	}
	step.Source, step.Subject = src.UID, subjectName(a)
	if reason := m.bars(src, a, link, l.Person.Key); reason != "" {
		m.leave(src.UID, subjectName(a), reason)
		return
	}
	if a.Kind != access.KindHuman && a.Kind != access.KindGuest {
		m.task(step, src.UID, fmt.Sprintf("give the %s account %s another owner, and change what %s knows of its credentials", a.Kind, subjectName(a), l.Person.Name))
		return
	}
	for _, c := range m.offboardChanges(src, a, action, l) {
		if reason := m.barsChange(src, a, c); reason != "" {
			m.leave(src.UID, subjectName(a), reason)
			continue
		}
		s := step
		s.Change = c
		if action == access.ActionHandover {
			s.Target = l.Taker
		}
		m.plain(src, a, s)
	}
}

// plain puts a step without a finding.
func (m *Maker) plain(src *Source, a access.Account, s Step) {
	k := key{source: src.UID, object: s.Change.Object, action: s.Change.Action, entitlement: s.Change.Entitlement, sku: s.Change.SKU, id: s.Change.Key, to: s.Change.To}
	if m.steps == nil {
		m.steps = map[key]*Step{}
	}
	if m.steps[k] != nil {
		return
	}
	m.equip(src, a, &s)
	m.steps[k] = &s
	m.order = append(m.order, &s)
}

// offboardChanges are the changes of an action to an account. What a system has no way to do is left out, but for what
// ends access: a person does that.
func (m *Maker) offboardChanges(src *Source, a access.Account, action access.Action, l Leaving) []access.Change {
	_, able := src.Abilities[action]
	c := access.Change{Action: action, Object: access.Object{Kind: access.HolderAccount, ID: a.ID}}
	switch action {
	case access.ActionDisable:
		return []access.Change{c}
	case access.ActionRevoke:
		var out []access.Change
		for _, g := range src.Grants[a.ID] {
			if !src.implicit(g.EntitlementID) {
				c.Entitlement = g.EntitlementID
				out = append(out, c)
			}
		}
		return out
	case access.ActionReclaim:
		var out []access.Change
		for _, s := range src.Seats[a.ID] {
			c.SKU = s.SKU
			out = append(out, c)
		}
		return out
	case access.ActionDisableKey:
		var out []access.Change
		for _, k := range a.Keys {
			if k.Active == nil || *k.Active {
				c.Key = k.ID
				out = append(out, c)
			}
		}
		return out
	case access.ActionHandover:
		if c.To = l.Handover[src.UID]; c.To == "" {
			return nil
		}
	case access.ActionExpire:
		c.Until = &l.From
	}
	if !able {
		return nil
	}
	return []access.Change{c}
}

// handOver plans what others take over by hand: what no change of a source takes care of.
func (m *Maker) handOver(step Step, l Leaving) {
	to := cmp.Or(l.Taker, "somebody else")
	for _, o := range l.Owned {
		src := m.Facts[o.Source]
		if src != nil && l.Handover[o.Source] != "" {
			if _, able := src.Abilities[access.ActionHandover]; able {
				continue
			}
		}
		m.task(step, o.Source, fmt.Sprintf("make %s the owner of the %s %s", to, o.Object.Kind, o.Name))
	}
	if len(l.Reports) > 0 {
		m.task(step, l.Person.Roster, "give another manager to "+strings.Join(l.Reports, ", "))
	}
}
