package store

import (
	"slices"
	"testing"
)

// testHeld reads of a run whose account subjects are there what they say of grants, one by one.
func testHeld(t *testing.T, s *Store, run uint64) {
	if there, err := s.HasSubjects(t.Context(), run); err != nil || !there {
		t.Fatalf("the subjects of the run are there: %v, %v", there, err)
	}
	if there, err := s.HasSubjects(t.Context(), run+1); err != nil || there {
		t.Errorf("the subjects of no run are there: %v, %v", there, err)
	}
	var got []string
	all := gather(t, s.Held(t.Context(), run, HeldFilter{}))
	for _, h := range all {
		got = append(got, h.Account+" "+h.Entitlement)
	}
	want := []string{"a1 g1", "a1 g2", "a1 g3", "a1adm g1", "a3 g1", "a5 g4"}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	i := slices.IndexFunc(all, func(h Held) bool { return h.Account == "a1" && h.Entitlement == "g3" })
	share, peers, used := 0.5, int64(2), int64(1)
	wantEqual(t, "a grant through another", all[i], Held{Source: "ad", SourceName: "Corp AD", Account: "a1", Username: "ANNA", AccountName: "Anna A", Kind: "human", Enabled: ptr(true),
		NeverSignedIn: ptr(false), SignInDays: ptr(int64(7)), Person: "hr:p1", PersonName: "Anna", PersonStatus: "active", Department: "Sales", Manager: "hr:p2",
		Entitlement: "g3", EntitlementName: "Domain Admins", Privileged: ptr(true), HighRisk: ptr(true), Path: []string{"Helpdesk", "Domain Admins"}, UsedDays: &used,
		PeerShare: &share, Peers: &peers})
	// What nobody knows is absent: nothing is said of a5's grant.
	i = slices.IndexFunc(all, func(h Held) bool { return h.Account == "a5" })
	if h := all[i]; h.Person != "" || h.Privileged != nil || h.UsedDays != nil || h.GrantedDays != nil || h.Approved != nil || h.PeerShare != nil || !h.Direct {
		t.Errorf("%+v", h)
	}
	if few := gather(t, s.Held(t.Context(), run, HeldFilter{Sources: []string{"ad", "app"}, Accounts: []string{"a3"}})); len(few) != 1 || few[0].PersonStatus != "ended" || *few[0].EndDays != 2 {
		t.Errorf("%+v", few)
	}
	if none := gather(t, s.Held(t.Context(), run, HeldFilter{Sources: []string{"app"}})); len(none) != 0 {
		t.Errorf("%+v", none)
	}
}
