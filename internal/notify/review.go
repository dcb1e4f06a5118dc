package notify

import (
	"slices"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/fold"
)

// Whom a review asks first.
const (
	ReviewManager  = "manager"
	ReviewAppOwner = "app_owner"
)

// Held is an account's access that somebody is to review: by whom it benefits, "" for nobody known, and who answers for the
// account by its source's words.
type Held struct{ Source, Person, Owner string }

// Reviewer says who reviews access: as who is asked about a finding, with whoever the review asks before all others. Nobody
// reviews their own, privileged or not.
func (o *Owners) Reviewer(h Held, first string, not []string) Asking {
	f, c := h.finding()
	c.Assignee = first
	return o.Of(f, c, not)
}

// MayReview says why somebody is not to review access, "" if they may.
func (o *Owners) MayReview(who string, h Held) string {
	if IsRole(who) {
		return ""
	}
	f, c := h.finding()
	return o.bars(who, f, c, nil)
}

// Speaks says whether somebody may decide what another is asked: they themselves, a delegate, and for a role one of the
// security team or whoever has the address of the app's owner.
func (o *Owners) Speaks(who, asked string) bool {
	switch {
	case who == asked, slices.Contains(o.Settings.Delegates[asked], who):
		return true
	case asked == RoleSecurity:
		return slices.Contains(o.Settings.Security.People, who)
	case IsRole(asked):
		r, p := o.Recipient(asked), o.Recipient(who)
		return r.Email != "" && fold.Text(r.Email) == fold.Text(p.Email)
	}
	return false
}

func (h Held) finding() (finding.Finding, Case) {
	var f finding.Finding
	f.Person, f.Subject = h.Person, finding.Subject{Kind: access.SubjectAccount, Source: h.Source}
	return f, Case{Owner: h.Owner, Privileged: true}
}

// OwnerRole is who an app's owner is in the decisions: a person's key, a role where the rosters don't know them, or "".
func (o *Owners) OwnerRole(source string) string {
	var out string
	o.appOwner(source, func(key, _ string) bool { out = key; return true })
	return out
}
