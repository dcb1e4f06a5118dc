package notify

import (
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

func reviewers() *Owners {
	person := func(id, manager, email string, status access.PersonStatus) access.Identity {
		return access.Identity{Key: "hr:" + id, Roster: "hr", Person: access.Person{ID: id, Name: strings.ToUpper(id), Email: email, Status: status, ManagerID: manager}}
	}
	return &Owners{Settings: Settings{Owners: map[string]string{"crm": "hr:o", "erp": "it@vendor.example", "lab": "hr:w"}, Delegates: map[string][]string{"hr:m": {"hr:d"}},
		Security: Security{People: []string{"hr:s"}}},
		People: NewPeople([]access.Identity{person("b", "", "b@x.example", access.PersonActive), person("m", "hr:b", "m@x.example", access.PersonActive),
			person("x", "hr:b", "x@x.example", access.PersonEnded), person("w", "hr:m", "w@x.example", access.PersonActive), person("v", "hr:x", "v@x.example", access.PersonActive),
			person("o", "hr:b", "o@x.example", access.PersonActive), person("d", "hr:b", "d@x.example", access.PersonLeave), person("s", "hr:b", "it@vendor.example", access.PersonActive)})}
}

func TestReviewer(t *testing.T) {
	o := reviewers()
	for _, tt := range []struct {
		name, first, want string
		held              Held
		not               []string
	}{
		{"the manager", ReviewManager, "hr:m", Held{"crm", "hr:w", ""}, nil},
		{"never a leaver", ReviewManager, "hr:b", Held{"crm", "hr:v", ""}, nil},
		{"nobody above: the app's owner", ReviewManager, "hr:o", Held{"crm", "hr:b", ""}, nil},
		{"the app's owner", ReviewAppOwner, "hr:o", Held{"crm", "hr:w", ""}, nil},
		{"never their own", ReviewAppOwner, "hr:m", Held{"lab", "hr:w", ""}, nil},
		{"a service account: whoever answers for it has a manager", ReviewManager, "hr:m", Held{"crm", "", "w@x.example"}, nil},
		{"who was passed over", ReviewManager, "hr:b", Held{"crm", "hr:w", ""}, []string{"hr:m"}},
		{"nobody", ReviewManager, RoleSecurity, Held{"files", "", ""}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := o.Reviewer(tt.held, tt.first, tt.not); got.To.ID() != tt.want {
				t.Errorf("%s is asked (%s), want %s", got.To.ID(), got.Why, tt.want)
			}
		})
	}
	strangers := &Owners{Settings: o.Settings, People: NewPeople(nil)}
	if got := strangers.Reviewer(Held{"erp", "", ""}, ReviewAppOwner, nil).To; got.ID() != "app_owner:erp" || got.Email != "it@vendor.example" {
		t.Errorf("an owner who is known by an address alone: %+v", got)
	}
	if why := o.MayReview("hr:w", Held{"crm", "hr:w", ""}); why != "benefits from it" {
		t.Errorf("their own: %q", why)
	}
	if why := o.MayReview("hr:d", Held{"crm", "hr:w", ""}); why != "is on leave" {
		t.Errorf("who is away: %q", why)
	}
	for _, speaks := range [][2]string{{"hr:m", "hr:m"}, {"hr:d", "hr:m"}, {"hr:s", RoleSecurity}, {"hr:s", "app_owner:erp"}} {
		if !o.Speaks(speaks[0], speaks[1]) {
			t.Errorf("%s does not speak for %s", speaks[0], speaks[1])
		}
	}
	for _, silent := range [][2]string{{"hr:b", "hr:m"}, {"hr:m", RoleSecurity}, {"hr:o", "app_owner:erp"}} {
		if o.Speaks(silent[0], silent[1]) {
			t.Errorf("%s speaks for %s", silent[0], silent[1])
		}
	}
	if got := o.OwnerRole("crm"); got != "hr:o" {
		t.Errorf("the owner of crm is %q", got)
	}
}

func TestNoticeText(t *testing.T) {
	var b strings.Builder
	m := Message{Key: "k", Kind: Notice, To: Recipient{Name: "Mia"}, Title: "Access waits for your review", Lines: []string{"- item 1: Ann\x1b[2J holds it", "the rest"}}
	if err := WriteText(&b, m); err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(b.String(), "\n"); !slices.Equal(got, []string{"To: Mia", "Access waits for your review", "- item 1: Ann [2J holds it", "the rest", ""}) {
		t.Errorf("%q", got)
	}
}
