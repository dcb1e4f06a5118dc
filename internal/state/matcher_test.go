package state

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestMatcher(t *testing.T) {
	print1, print2 := strings.Repeat("ab", 32), strings.Repeat("cd", 32)
	scopes := map[string]Scope{
		"finding":    {Fingerprint: print1},
		"subject":    accountScope("DOR-01", 1),
		"both":       {Policy: "DOR-01", Source: "corp-ad", Department: "Straße"},
		"department": {Policy: "DOR-01", Department: "Ｒ＆Ｄ", Source: EverySource},
		"source":     {Policy: "DOR-01", Source: "github"},
		"policy":     {Policy: "LIC-02", Source: EverySource},
	}
	var list []Exception
	for id, scope := range scopes {
		if err := scope.validate(); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		list = append(list, Exception{ID: id, Scope: scope, Created: night, Expires: night.AddDate(0, 0, 1)})
	}
	// What doesn't apply must not hide what does.
	list = append(list, []Exception{
		{ID: "expired", Scope: scopes["subject"], Created: night.AddDate(0, 0, -9), Expires: night},
		{ID: "revoked", Scope: scopes["subject"], Created: night.AddDate(0, 0, -9), Expires: night.AddDate(1, 0, 0), Revoked: night},
		{ID: "pending", Scope: scopes["subject"], Created: night.Add(time.Hour), Expires: night.AddDate(1, 0, 0)},
		{ID: "expired", Scope: accountScope("MFA-01", 1), Created: night.AddDate(0, 0, -9), Expires: night},
	}...)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	m := NewMatcher(list, night)
	f := func(policy, source, id, department string) Subject {
		return Subject{Fingerprint: print2, Policy: policy, Kind: "account", Source: source, ID: id, Department: department}
	}
	byPrint := f("DOR-01", "corp-ad", "guid-1", "Straße")
	byPrint.Fingerprint = print1
	person := f("DOR-01", "corp-ad", "guid-1", "")
	person.Kind = "person"
	tests := []struct {
		name string
		f    Subject
		want string
	}{
		{"the finding before all", byPrint, "finding"},
		{"the subject before its department", f("DOR-01", "corp-ad", "guid-1", "Straße"), "subject"},
		{"another subject", f("DOR-01", "corp-ad", "guid-2", ""), ""},
		{"another kind of the same id", person, ""},
		{"another source of the same id", f("DOR-01", "okta", "guid-1", ""), ""},
		{"another policy", f("DOR-02", "corp-ad", "guid-1", "Straße"), ""},
		{"source and department, folded", f("DOR-01", "corp-ad", "guid-2", "STRASSE"), "both"},
		{"the department elsewhere", f("DOR-01", "okta", "guid-2", "straße"), ""},
		{"department, compatibility form", f("DOR-01", "okta", "guid-2", "r&d"), "department"},
		{"department before source", f("DOR-01", "github", "guid-2", "R&D"), "department"},
		{"source", f("DOR-01", "github", "guid-2", "Sales"), "source"},
		{"policy", f("LIC-02", "anything", "x", ""), "policy"},
		{"expired", f("MFA-01", "corp-ad", "guid-1", ""), ""},
		{"nothing known", Subject{}, ""},
	}
	for _, tt := range tests {
		e, ok := m.Match(tt.f)
		if e.ID != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, want %q", tt.name, e.ID, tt.want)
		}
	}
	if _, ok := NewMatcher(nil, night).Match(byPrint); ok {
		t.Error("an empty matcher matches")
	}
}

// Of two for one scope the later expiry wins, whatever the order of the list.
func TestMatcherTwins(t *testing.T) {
	scope := accountScope("DOR-01", 1)
	a := Exception{ID: "a", Scope: scope, Created: night, Expires: night.AddDate(0, 0, 2)}
	b := Exception{ID: "b", Scope: scope, Created: night, Expires: night.AddDate(0, 0, 3)}
	c := Exception{ID: "c", Scope: scope, Created: night, Expires: night.AddDate(0, 0, 3)}
	for _, list := range [][]Exception{{a, b, c}, {c, b, a}, {b, a, c}, {c, a, b}} {
		e, _ := NewMatcher(list, night).Match(Subject{Policy: "DOR-01", Kind: "account", Source: "corp-ad", ID: "guid-1"})
		if e.ID != "b" {
			t.Errorf("got %s, want b", e.ID)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	var list []Exception
	for i := range 100_000 {
		list = append(list, Exception{ID: fmt.Sprint(i), Scope: accountScope("DOR-01", i), Created: night, Expires: night.AddDate(0, 0, 1)})
	}
	list = append(list, Exception{ID: "d", Scope: Scope{Policy: "DOR-01", Department: "Sales"}, Created: night, Expires: night.AddDate(0, 0, 1)})
	m := NewMatcher(list, night)
	f := Subject{Fingerprint: strings.Repeat("ab", 32), Policy: "DOR-01", Kind: "account", Source: "corp-ad", ID: "guid-x", Department: "Research"}
	for b.Loop() {
		if _, ok := m.Match(f); ok {
			b.Fatal("matched")
		}
	}
}
