package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/finding"
)

// Fact is a key figure in plain words. The numbers count all that stands, the backlog included.
type Fact struct {
	Text   string // a sentence
	Basis  string // what was evaluated for it, and what could not be: without that a zero says nothing
	Anchor string // of the first of its rules with findings, "" for none
	Alarm  bool
	Blind  bool // nothing was evaluated
}

// factKind is what some rules together say about the company.
type factKind struct {
	policies []string
	say      func(people, subjects int) string
	none     string // what a zero says
	unknown  string // what is not known when nothing was evaluated
	alarm    bool
	also     func(*Report) []Fact // what the same rules suggest beside it
}

var factKinds = []factKind{
	{
		policies: []string{"LVR-01", "LVR-04"},
		say: func(people, accounts int) string {
			return fmt.Sprintf("%s who left can still sign in to %s", count(people, "person", "people"), count(accounts, "account", "accounts"))
		},
		none: "Nobody is known to have left and kept a login for longer than the rules allow", unknown: "whether people who left can still sign in", alarm: true,
	},
	{
		policies: []string{"LVR-03"},
		say: func(people, accounts int) string {
			verb := "were"
			if accounts == 1 {
				verb = "was"
			}
			return fmt.Sprintf("%s of %s %s used after they had left", count(accounts, "account", "accounts"), count(people, "person", "people"), verb)
		},
		none: "No account is known to have been used after its owner had left", unknown: "whether accounts were used after their owners had left", alarm: true,
	},
	{
		policies: []string{"ORP-01"},
		say: func(_, accounts int) string {
			return fmt.Sprintf("%s to nobody in the roster", count(accounts, "enabled account belongs", "enabled accounts belong"))
		},
		none: "No account is known to belong to nobody for longer than the rules allow", unknown: "whether every account belongs to somebody", alarm: true,
		also: (*Report).rosterless,
	},
	{
		policies: []string{"MFA-01"},
		say: func(_, accounts int) string {
			return fmt.Sprintf("%s in without a second factor", count(accounts, "privileged account signs", "privileged accounts sign"))
		},
		none: "No privileged account is known to lack a second factor", unknown: "whether privileged accounts have a second factor", alarm: true,
	},
	{
		policies: []string{"DOR-01", "DOR-02", "DOR-03"},
		say: func(_, accounts int) string {
			return fmt.Sprintf("%s enabled and unused for longer than the rules allow", count(accounts, "account is", "accounts are"))
		},
		none: "No account is known to be unused for longer than the rules allow", unknown: "which accounts are unused",
	},
	{
		policies: []string{"SVC-01"},
		say: func(_, accounts int) string {
			return fmt.Sprintf("%s no owner", count(accounts, "service account has", "service accounts have"))
		},
		none: "No service account is known to be without an owner", unknown: "who answers for the service accounts",
	},
	{
		policies: []string{"LIC-01", "LIC-02"},
		say: func(_, seats int) string {
			return fmt.Sprintf("%s paid for and not needed", count(seats, "license seat is", "license seats are"))
		},
		none: "No license seat is known to be paid for and not needed", unknown: "which license seats are needed",
	},
}

// factCount collects whom and what a fact is about.
type factCount struct {
	kind     factKind
	people   map[string]bool
	subjects map[finding.Fingerprint]bool
}

func newFacts() []*factCount {
	var out []*factCount
	for _, k := range factKinds {
		out = append(out, &factCount{k, map[string]bool{}, map[finding.Fingerprint]bool{}})
	}
	return out
}

func (c *factCount) count(f finding.Finding) {
	if !slices.Contains(c.kind.policies, f.Policy) {
		return
	}
	if f.Person != "" {
		c.people[f.Person] = true
	}
	c.subjects[finding.NewFingerprint("", f.Subject, f.Key)] = true
}

// Facts lists the key figures whose rules are loaded and enabled, the alarming ones first.
func (r *Report) Facts() []Fact {
	var out []Fact
	for _, c := range r.facts {
		f := Fact{Alarm: c.kind.alarm && len(c.subjects) > 0}
		var evaluated uint64
		var basis []string
		for _, id := range c.kind.policies {
			p, ok := r.policy(id)
			if !ok || !p.Enabled && r.byPolicy[id] == nil {
				continue
			}
			if g := r.byPolicy[id]; g != nil && f.Anchor == "" {
				if g.Count.Open > 0 {
					f.Anchor = "rule-" + id
				} else if g.Count.Backlog > 0 {
					f.Anchor = "backlog-" + id
				}
			}
			sum := r.judged(id)
			evaluated += sum.Evaluated
			basis = append(basis, id+": "+sum.words())
		}
		if basis == nil {
			continue
		}
		f.Basis = strings.Join(basis, "; ")
		switch {
		case len(c.subjects) > 0:
			f.Text = c.kind.say(len(c.people), len(c.subjects))
		case evaluated > 0:
			f.Text = c.kind.none
		default:
			f.Text, f.Blind = "Not known: "+c.kind.unknown, true
		}
		out = append(out, f)
		if c.kind.also != nil {
			out = append(out, c.kind.also(r)...)
		}
	}
	return out
}

// manyStrangers is from how many accounts of nobody on their number may mean more than so many single cases.
const manyStrangers = 20

// rosterless says of which sources at least half of the accounts belong to nobody. That is hardly carelessness with so many
// accounts: these people are in a roster that Lapse doesn't read, or their numbers aren't matched.
func (r *Report) rosterless() []Fact {
	var out []Fact
	for _, t := range r.Tallies {
		if t.Policy != "ORP-01" || t.Failed != "" || t.Flagged < manyStrangers || 2*t.Flagged < t.Evaluated {
			continue
		}
		out = append(out, Fact{
			Text: fmt.Sprintf("A roster seems to be missing: %s of the %s in %s belong to nobody",
				thousands(t.Flagged), count(int(t.Evaluated), "enabled account", "enabled accounts"), r.sourceName(t.Source)),
			Basis: fmt.Sprintf("%s: %s evaluated", t.Policy, thousands(t.Evaluated)), Alarm: true,
		})
	}
	return out
}

func (r *Report) policy(id string) (Policy, bool) {
	i := slices.IndexFunc(r.Policies, func(p Policy) bool { return p.ID == id })
	if i < 0 {
		return Policy{ID: id}, false
	}
	return r.Policies[i], true
}

// judgement adds up a rule's tallies over all sources. A failed tally counts as failed and nothing else.
type judgement struct {
	finding.Tally
	Excepted int
	Failures int
}

func (r *Report) judged(policy string) judgement {
	var j judgement
	for _, t := range r.Tallies {
		if t.Policy != policy {
			continue
		}
		if t.Failed != "" {
			j.Failures++
			continue
		}
		j.Evaluated += t.Evaluated
		j.NotEvaluable += t.NotEvaluable
		j.Flagged += t.Flagged
		j.Excluded += t.Excluded
	}
	if g := r.byPolicy[policy]; g != nil {
		j.Excepted = g.Count.Excepted
	}
	return j
}

func (j judgement) words() string {
	out := thousands(j.Evaluated) + " evaluated"
	if j.NotEvaluable > 0 {
		out += ", " + thousands(j.NotEvaluable) + " could not be"
	}
	if j.Excepted > 0 {
		out += ", " + thousands(j.Excepted) + " excepted"
	}
	if j.Excluded > 0 {
		out += ", " + thousands(j.Excluded) + " excluded"
	}
	if j.Failures > 0 {
		out += ", failed on " + count(j.Failures, "source", "sources")
	}
	return out
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func thousands[N int | uint64](n N) string { return grouped(fmt.Sprint(n)) }
