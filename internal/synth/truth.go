package synth

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// Expected is a hit that an audit must have. Excluded says that an exemption keeps it from being a finding.
type Expected struct {
	Policy      string
	SubjectKind access.SubjectKind
	Source      string
	SubjectID   string
	Key         string
	Excluded    bool
}

// hours and days are how the rules count: whole hours, and 24 of them a day.
func hours(from, to time.Time) int { return int(math.Floor(to.Sub(from).Hours())) }

func days(from, to time.Time) int { return int(math.Floor(float64(hours(from, to)) / 24)) }

// Truth says what an audit of night n must find, ordered by policy, source, subject and key: with the fourteen rules that
// Config has on, at their defaults. Plants says what there is for the others.
func (c *Company) Truth(n int) []Expected {
	at := c.RunTime(n)
	people := make([]standing, c.people)
	byName := map[string]int{}
	for i := range people {
		p := c.personOf(i)
		if people[i] = c.standingOn(&p, n); people[i].status != "" {
			byName[p.id] = i
			byName[c.hrEmail(&p, n)] = i
		}
	}
	j := &judge{company: c, night: n, at: at, people: people, byName: byName}
	for _, source := range Sources()[1:] {
		j.source(source)
	}
	slices.SortFunc(j.out, func(a, b Expected) int {
		return cmp.Or(cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.Source, b.Source), cmp.Compare(a.SubjectID, b.SubjectID), cmp.Compare(a.Key, b.Key))
	})
	return j.out
}

// judge holds what one night's judgement needs.
type judge struct {
	company *Company
	night   int
	at      time.Time
	people  []standing
	byName  map[string]int
	out     []Expected

	name       string // of the source
	privileged map[string]*bool
	gives      map[string][]string // all that an entitlement gives, itself included
	ownerKnown bool
	peers      map[int]int            // linked active enabled accounts by department
	holders    map[int]map[string]int // of which hold an entitlement
}

// subject is an account with everything that a rule may ask.
type subject struct {
	observed
	link       link
	who        *standing
	privileged *bool
	effective  map[string]bool
	known      int // days since the first run that saw it
	linkDays   int
}

func (j *judge) source(name string) {
	c := j.company
	j.name, j.privileged, j.gives, j.ownerKnown = name, map[string]*bool{}, map[string][]string{}, false
	j.peers, j.holders = map[int]int{}, map[int]map[string]int{}
	in := map[string][]string{}
	for e := range c.entitlements(name, j.night) {
		j.privileged[e.ID] = e.Privileged
		in[e.ID] = e.in
		if s := j.owner(e.OwnerID); s != nil && s.status == access.PersonEnded {
			j.out = append(j.out, Expected{"LVR-05", access.SubjectEntitlement, name, e.ID, "", false})
		}
	}
	for id := range in {
		j.gives[id] = reach(in, id)
	}
	var all []subject
	for a := range c.accounts(name, j.night) {
		s := j.subject(&a)
		j.ownerKnown = j.ownerKnown || s.OwnerID != ""
		if s.peer() {
			d := s.who.department
			j.peers[d]++
			if j.holders[d] == nil {
				j.holders[d] = map[string]int{}
			}
			for id := range s.effective {
				j.holders[d][id]++
			}
		}
		all = append(all, s)
	}
	for i := range all {
		j.account(&all[i])
	}
}

// reach is everything that can be reached from start, itself included.
func reach(in map[string][]string, start string) []string {
	out := []string{start}
	for k := 0; k < len(out); k++ {
		for _, to := range in[out[k]] {
			if !slices.Contains(out, to) {
				out = append(out, to)
			}
		}
	}
	return out
}

func (j *judge) owner(name string) *standing {
	if i, ok := j.byName[name]; ok {
		return &j.people[i]
	}
	return nil
}

func (j *judge) subject(a *account) subject {
	c := j.company
	s := subject{observed: c.observe(a, j.night), link: c.linkOf(a, j.night), effective: map[string]bool{}}
	if s.link.status == access.LinkLinked {
		s.who = &j.people[a.person.i]
	}
	s.known = days(c.RunTime(max(0, c.firstNight(a.created))), j.at)
	s.linkDays = days(c.RunTime(c.linkedSince(a, j.night)), j.at)
	allKnown := len(j.gives) > 0
	s.privileged = s.Privileged
	for _, g := range s.grants {
		for _, id := range j.gives[g.EntitlementID] {
			s.effective[id] = true
		}
	}
	for id := range s.effective {
		switch p := j.privileged[id]; {
		case p == nil:
			allKnown = false
		case *p:
			s.privileged = p
		}
	}
	if s.privileged == nil && allKnown {
		s.privileged = ptr(false)
	}
	if s.usage != nil {
		s.LastLoginAt = s.usage.LastUsedAt
	}
	return s
}

func (s *subject) enabled() bool { return s.Enabled != nil && *s.Enabled }

func (s *subject) is(status access.PersonStatus) bool { return s.who != nil && s.who.status == status }

func (s *subject) peer() bool {
	return s.enabled() && s.Kind == access.KindHuman && s.is(access.PersonActive)
}

// account applies the rules about accounts.
func (j *judge) account(s *subject) {
	human := s.Kind == access.KindHuman
	personal := human || s.Kind == access.KindGuest
	admin := s.privileged != nil && *s.privileged
	ended := s.is(access.PersonEnded)
	outside := s.who != nil && (s.who.kind == "contractor" || s.who.kind == "vendor")
	hit := func(policy, key string, exempt bool) {
		j.out = append(j.out, Expected{policy, access.SubjectAccount, j.name, s.ID, key, exempt && s.who != nil && s.who.leave})
	}
	since := func(t *time.Time) int {
		if t == nil {
			return -1
		}
		return days(*t, j.at)
	}
	if s.enabled() && personal && ended && !outside {
		grace := 24
		if admin {
			grace = 0
		}
		if s.who.end == nil || hours(*s.who.end, j.at) >= grace {
			hit("LVR-01", "", false)
		}
	}
	if personal && ended && s.who.end != nil && s.LastLoginAt != nil && s.LastLoginAt.After(*s.who.end) {
		hit("LVR-03", "", false)
	}
	if s.enabled() && personal && ended && outside {
		hit("LVR-04", "", false)
	}
	if s.enabled() && human {
		neverIn := s.NeverLoggedIn != nil && *s.NeverLoggedIn
		age := s.known
		if s.CreatedAt != nil {
			age = since(s.CreatedAt)
		}
		switch {
		case s.link.status == access.LinkUnmatched && max(s.known, since(s.CreatedAt)) >= 7:
			hit("ORP-01", "", false)
		case s.link.status == access.LinkDisputed && s.linkDays >= 14:
			hit("ORP-02", "", false)
		}
		switch {
		case !admin && since(s.LastLoginAt) >= 90:
			hit("DOR-01", "", true)
		case admin && since(s.LastLoginAt) >= 30:
			hit("DOR-02", "", true)
		case neverIn && age >= 30 && (s.who == nil || s.who.start == nil || since(s.who.start) >= 30):
			hit("DOR-03", "", true)
		}
		if admin && s.MFA != nil && !*s.MFA {
			hit("MFA-01", "", false)
		}
	}
	if s.enabled() && s.Kind == access.KindService {
		owner := j.owner(s.OwnerID)
		if s.OwnerID == "" && j.ownerKnown || s.OwnerID != "" && (owner == nil || owner.status == access.PersonEnded) {
			hit("SVC-01", "", false)
		}
	}
	for _, seat := range s.seats {
		if s.Enabled != nil && !*s.Enabled || ended {
			hit("LIC-01", seat.SKU, false)
			continue
		}
		idle := since(seat.LastUsedAt) >= 60 || seat.NeverUsed != nil && *seat.NeverUsed && since(seat.AssignedAt) >= 60
		if s.enabled() && idle && seat.SKU != "WIKI-FREE" && seat.SKU != "ERP-VIEW" {
			hit("LIC-02", seat.SKU, true)
		}
	}
	if s.peer() {
		d := s.who.department
		for _, g := range s.grants {
			share := math.Round(float64(j.holders[d][g.EntitlementID])/float64(j.peers[d])*1e4) / 1e4
			if j.peers[d] >= 8 && share < 0.10 {
				hit("PEER-01", g.EntitlementID, false)
			}
		}
	}
}
