package baton

import (
	"cmp"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/lapse-audit/lapse/internal/access"
)

// textFields are the fields of accounts that a key of the profile can be given for.
var textFields = map[string]func(*access.Account) *string{
	"username":    func(a *access.Account) *string { return &a.Username },
	"email":       func(a *access.Account) *string { return &a.Email },
	"name":        func(a *access.Account) *string { return &a.Name },
	"employee_id": func(a *access.Account) *string { return &a.EmployeeID },
	"owner_id":    func(a *access.Account) *string { return &a.OwnerID },
	"purpose":     func(a *access.Account) *string { return &a.Purpose },
}

// The statuses by number, the same of UserTrait.Status and Status.
const (
	statusEnabled  = 1
	statusDisabled = 2
	statusDeleted  = 3
)

// accountTypes by number: UserTrait.AccountType.
var accountTypes = []string{"", "human", "service", "system"}

// account makes an account of a user. What the connector doesn't say stays absent.
func (k *Collector) account(r resource, wanted map[string]bool, seen map[string]int) (access.Account, error) {
	a := access.Account{ID: key(r.kind, r.id), Name: r.name, CreatedAt: r.createdAt, Attributes: map[string]string{"resource_type": r.kind}}
	values := map[string]string{}
	t, err := k.trait(&a, r.user, wanted, values)
	if err != nil {
		return a, err
	}
	// The resource's own profile, status and time go before those of the trait, which are deprecated.
	if err := profile(r.profile, wanted, values); err != nil {
		return a, err
	}
	for name := range values {
		seen[name]++
	}
	enabled, details, err := status(r.status)
	if err != nil {
		return a, err
	}
	if a.Enabled = enabled; a.Enabled == nil {
		a.Enabled, details = t.enabled, cmp.Or(details, t.details)
	}
	if a.CreatedAt == nil {
		a.CreatedAt = t.createdAt
	}
	if details != "" {
		a.Attributes["status_details"] = details
	}
	for field, at := range textFields {
		if p := at(&a); *p == "" {
			*p = values[k.config.Fields[field]]
		}
	}
	for _, name := range k.config.Attributes {
		if v := values[name]; v != "" {
			a.Attributes[name] = v
		}
	}
	// An app always knows its users by something.
	a.Username = cmp.Or(a.Username, a.Email, r.id)
	for _, rule := range k.config.Kinds {
		if rule.fits(a.Username, r.kind) {
			a.Kind = rule.Kind
			break
		}
	}
	return a, nil
}

// told is what a UserTrait says beside what is an account's own.
type told struct {
	enabled   *bool
	details   string
	createdAt *time.Time
}

// trait reads a UserTrait.
func (k *Collector) trait(a *access.Account, b []byte, wanted map[string]bool, values map[string]string) (t told, err error) {
	var employee []string
	var given, family string
	primary := false
	err = each(b, func(n protowire.Number, v value) (err error) {
		switch n {
		case 1:
			address, main, err := email(v.bytes)
			if address != "" && (a.Email == "" || main && !primary) {
				a.Email, primary = address, main
			}
			return err
		case 2:
			t.enabled, t.details, err = status(v.bytes)
		case 3:
			err = profile(v.bytes, wanted, values)
		case 5:
			if v.num < uint64(len(accountTypes)) && v.num > 0 {
				name := accountTypes[v.num]
				a.Attributes["account_type"] = name
				a.Kind = access.KindService // a system's account is nobody's either
				if name == "human" {
					a.Kind = access.KindHuman
				}
			}
		case 6:
			a.Username = v.text()
		case 8:
			t.createdAt, err = instant(v.bytes)
		case 9:
			a.LastLoginAt, err = instant(v.bytes)
		case 10:
			a.MFA, err = flag(v.bytes)
		case 11:
			sso, err := flag(v.bytes)
			if err != nil {
				return err
			}
			a.Attributes["sso"] = "no"
			if *sso {
				a.Attributes["sso"] = "yes"
			}
		case 12:
			return each(v.bytes, func(n protowire.Number, v value) error {
				switch n {
				case 1:
					given = v.text()
				case 2:
					family = v.text()
				}
				return nil
			})
		case 13:
			if id := v.text(); id != "" {
				employee = append(employee, id)
			}
		}
		return err
	})
	if len(employee) == 1 { // of several nobody can tell which it is
		a.EmployeeID = employee[0]
	}
	a.Name = cmp.Or(a.Name, strings.TrimSpace(given+" "+family))
	return t, err
}

func email(b []byte) (address string, primary bool, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			address = v.text()
		case 2:
			primary = v.num != 0
		}
		return nil
	})
	return address, primary, err
}

// status reads a Status. One that is unspecified, and one that is not known here, say nothing.
func status(b []byte) (enabled *bool, details string, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			yes, no := true, false
			switch v.num {
			case statusEnabled:
				enabled = &yes
			case statusDisabled, statusDeleted:
				enabled = &no
			}
		case 2:
			details = v.text()
		}
		return nil
	})
	return enabled, details, err
}

// key is what a resource is known by: ids are unique within their type only.
func key(kind, id string) string { return kind + ":" + id }
