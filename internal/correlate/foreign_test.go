package correlate

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

func TestForeign(t *testing.T) {
	records, joins := people()
	l := NewLinker(Identities(records, joins, now), Options{
		Domains:           []string{"corp.example"},
		EmployeeIDRosters: func(source string) []string { return map[string][]string{"lab": {"hr"}}[source] },
		Manual: []ManualLink{
			{Source: "ad", AccountID: "by-hand", Person: "hr:2"},
			{Source: "ad", AccountID: "not-ann", Person: "hr:1", Denied: true},
			{Source: "ad", AccountID: "not-twin1", Person: "hr:5", Denied: true},
			{Source: "lab", AccountID: "hand", Person: "hr:2"},
		},
	})
	owners := []struct {
		source, sid string
		Account
	}{
		{"lab", "S-ann", Account{ID: "ann", Username: "ann", EmployeeID: "1"}},
		{"lab", "S-con", Account{ID: "con", Email: "con@agency.example"}},
		{"lab", "S-hand", Account{ID: "hand"}},
		{"lab", "S-desk", Account{ID: "desk", Username: "desk", Email: "desk@corp.example"}},
		{"lab", "S-nobody", Account{ID: "nobody", Username: "nobody"}},
		{"lab", "S-service", Account{ID: "svc", Username: "svc", Email: "bob@corp.example", Kind: access.KindService}},
		{"lab", "S-twice", Account{ID: "twice", EmployeeID: "1"}},
		{"old-lab", "S-twice", Account{ID: "twice", Email: "bob@corp.example"}},
		{"lab", "S-unasked", Account{ID: "unasked", EmployeeID: "2"}},
	}
	cases := []struct {
		id, sid string
		status  access.LinkStatus
		method  access.LinkMethod
		person  string
		others  []string
		reason  string
	}{
		{"by-id", "S-ann", access.LinkLinked, access.LinkEmployeeID, "hr:1", nil, "it stands for ann in lab, which has its SID: same employee id"},
		{"by-mail", "S-con", access.LinkLinked, access.LinkEmail, "hr:3", nil, "it stands for con in lab, which has its SID: same e-mail"},
		{"by-their-hand", "S-hand", access.LinkLinked, access.LinkManual, "hr:2", nil, "it stands for hand in lab, which has its SID: linked by hand"},
		{"disputed", "S-desk", access.LinkDisputed, access.LinkEmail, "", []string{"hr:5", "hr:6"}, "it stands for desk in lab, which has its SID: several people have its e-mail"},
		{"orphan", "S-nobody", access.LinkUnmatched, access.LinkNone, "", nil, "it stands for nobody in lab, which has its SID: no employee id, e-mail or username is a person's"},
		{"service", "S-service", access.LinkUnmatched, access.LinkNone, "", nil, "it stands for svc in lab, which has its SID: a service account is linked by hand or by employee id only"},
		{"two", "S-twice", access.LinkUnmatched, access.LinkNone, "", nil, "several accounts have its SID, among them twice in lab and twice in old-lab"},
		{"none", "S-1-5-21-9-9-9-1105", access.LinkUnmatched, access.LinkNone, "", nil, "no account of another source has its SID"},
		{"by-hand", "S-ann", access.LinkLinked, access.LinkManual, "hr:2", nil, "linked by hand"},
		{"not-ann", "S-ann", access.LinkUnmatched, access.LinkNone, "", nil, "nobody is left beside those denied by hand, though it stands for ann in lab, which has its SID"},
		{"not-twin1", "S-desk", access.LinkDisputed, access.LinkEmail, "", []string{"hr:6"}, "it stands for desk in lab, which has its SID: several people have its e-mail"},
	}
	var bearers []SIDBearer
	for _, tc := range cases {
		bearers = append(bearers, SIDBearer{Source: "ad", ID: tc.id, Username: tc.sid, SID: tc.sid, Foreign: true})
	}
	for _, o := range owners {
		if o.ID != "unasked" {
			bearers = append(bearers, SIDBearer{Source: o.source, ID: o.ID, Username: o.Username, SID: o.sid})
		}
	}
	// In whatever order the sources are read.
	for _, first := range []string{"ad", "lab"} {
		f := l.NewForeign(bearers)
		principals := func() {
			for _, tc := range cases {
				if !f.Take(l.Link("ad", Account{ID: tc.id, Username: tc.sid})) {
					t.Errorf("%s first: %s passes for an account of its directory", first, tc.id)
				}
			}
		}
		if first == "ad" {
			principals()
		}
		for _, o := range owners {
			if f.Take(l.Link(o.source, o.Account)) {
				t.Errorf("%s first: %s in %s passes for a principal", first, o.ID, o.source)
			}
		}
		if first == "lab" {
			principals()
		}
		got := slices.Collect(f.Links())
		for i, tc := range cases {
			want := access.Link{Source: "ad", AccountID: tc.id, Person: tc.person, Method: tc.method, Status: tc.status, Candidates: tc.others, Reason: tc.reason}
			if d := cmp.Diff(want, got[i]); d != "" {
				t.Errorf("%s first: %s: -want +got\n%s", first, tc.id, d)
			}
		}
		if len(got) != len(cases) {
			t.Errorf("%s first: %d links, want %d", first, len(got), len(cases))
		}
	}
}
