package policy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/finding"
)

// Result is a hit with what a reader wants to know of its subject and policy.
type Result struct {
	finding.Hit
	Fingerprint finding.Fingerprint

	Severity finding.Severity
	Title    string
	Category string // the policy id before the dash
	Action   string
	Controls []string

	Name       string // of the subject
	SourceName string
	Person     string // access.PersonKey of whose case it is
	PersonName string
	Department string
	Assignee   string // access.PersonKey, "app_owner" or "security"
}

// identity says where in a row stands who the subject is.
type identity struct {
	kind                                       access.SubjectKind
	source, sourceName, id                     *field
	names                                      []*field // best first
	person, personName, personDepartment       *field
	manager, managerStatus, owner, ownerStatus *field
	ownerName, ownerDepartment                 *field
}

func newIdentity(kind access.SubjectKind, c *columns) identity {
	i := identity{
		kind: kind, source: c.optional("source.uid"), sourceName: c.optional("source.name"),
		person: c.optional("person.id"), personName: c.optional("person.name"), personDepartment: c.optional("person.department"),
		manager: c.optional("manager.id"), managerStatus: c.optional("manager.status"),
		owner: c.optional("owner.id"), ownerStatus: c.optional("owner.status"),
		ownerName: c.optional("owner.name"), ownerDepartment: c.optional("owner.department"),
	}
	names := map[access.SubjectKind][]string{
		access.SubjectAccount:     {"account.username", "account.email", "account.name", "account.id"},
		access.SubjectPerson:      {"person.name", "person.email", "person.id"},
		access.SubjectEntitlement: {"entitlement.name", "entitlement.id"},
		access.SubjectLicense:     {"license.product", "license.sku"},
		access.SubjectSource:      {"source.name", "source.uid"},
	}[kind]
	for _, path := range names {
		i.names = append(i.names, c.optional(path))
	}
	i.id = i.names[len(i.names)-1]
	return i
}

// columns are all that fill looks at for an assignee.
func (i *identity) columns(assignee string) []int {
	fields := append([]*field{i.source, i.sourceName, i.id, i.person, i.personName, i.personDepartment}, i.names...)
	if i.kind == access.SubjectEntitlement {
		fields = append(fields, i.owner, i.ownerName, i.ownerDepartment)
	}
	switch assignee {
	case "account_owner":
		fields = append(fields, i.owner, i.ownerStatus)
	case "manager":
		fields = append(fields, i.manager, i.managerStatus)
	}
	var out []int
	for _, f := range fields {
		if f != nil {
			out = append(out, f.columns()...)
		}
	}
	return out
}

func (i *identity) subject(row access.Row) finding.Subject {
	return finding.Subject{Kind: i.kind, Source: i.source.text(row), ID: i.id.text(row)}
}

// SubjectOf says of a row of a kind which subject it is.
func SubjectOf(kind access.SubjectKind) func(access.Row) finding.Subject {
	i := newIdentity(kind, newColumns(kind))
	return i.subject
}

// fill adds to a result what the row says of its subject.
func (i *identity) fill(r *Result, row access.Row, assignee string) {
	for _, f := range i.names {
		if r.Name = f.text(row); r.Name != "" {
			break
		}
	}
	r.SourceName = i.sourceName.text(row)
	r.Person, r.PersonName, r.Department = i.person.text(row), i.personName.text(row), i.personDepartment.text(row)
	if i.kind == access.SubjectEntitlement { // the case is its owner's
		r.Person, r.PersonName, r.Department = i.owner.text(row), i.ownerName.text(row), i.ownerDepartment.text(row)
	}
	// Whoever has left, or is away, can't be asked.
	r.Assignee = assignee
	switch assignee {
	case "account_owner":
		r.Assignee = active(i.owner.text(row), i.ownerStatus.text(row))
	case "manager":
		r.Assignee = active(i.manager.text(row), i.managerStatus.text(row))
	}
}

func active(id, status string) string {
	if id == "" || access.PersonStatus(status) != access.PersonActive {
		return "security"
	}
	return id
}

// hits reads the findings of one rule on one subject, ordered by key.
func hits(policy string, subject finding.Subject, findings *ast.Term) ([]graded, error) {
	set, ok := findings.Value.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("findings is %s, not a set", ast.ValueName(findings.Value))
	}
	out := make([]graded, 0, set.Len())
	err := set.Iter(func(t *ast.Term) error {
		h, err := hit(t)
		h.Policy, h.Subject = policy, subject
		out = append(out, h)
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b graded) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Message, b.Message))
	})
	for i := 1; i < len(out); i++ {
		if out[i].Key == out[i-1].Key {
			return nil, fmt.Errorf("two findings on one subject have the same key %q (%q and %q): give each a key of its own, such as an entitlement's id", out[i].Key, out[i-1].Message, out[i].Message)
		}
	}
	return out, nil
}

// graded is a hit with a severity of its own, nil where it has the policy's.
type graded struct {
	finding.Hit
	severity *finding.Severity
}

func hit(t *ast.Term) (h graded, err error) {
	o, ok := t.Value.(ast.Object)
	if !ok {
		return h, fmt.Errorf("a finding is %s, not an object with a message", ast.ValueName(t.Value))
	}
	err = o.Iter(func(k, v *ast.Term) error {
		name, ok := k.Value.(ast.String)
		if !ok {
			return fmt.Errorf("a finding has the key %v, which is not text", k)
		}
		switch name {
		case "message", "key", "currency":
			text, ok := v.Value.(ast.String)
			if !ok || text == "" && name == "message" {
				return fmt.Errorf("%s of a finding is %v: want text", string(name), v)
			}
			switch name {
			case "message":
				h.Message = string(text)
			case "key":
				h.Key = string(text)
			default:
				h.Currency = string(text)
			}
		case "evidence":
			h.Evidence, err = evidence(v)
			return err
		case "severity":
			text, _ := v.Value.(ast.String)
			s, err := finding.ParseSeverity(string(text))
			if err != nil {
				return fmt.Errorf("severity of a finding is %v: want %s", v, list(severities))
			}
			h.severity = &s
		case "cost_month":
			h.CostMonth, err = decimal(v)
			return err
		default:
			return fmt.Errorf("a finding has no key %s%s", string(name), didYouMean(string(name), findingKeys))
		}
		return nil
	})
	if err == nil && h.Message == "" {
		err = fmt.Errorf("a finding has no message")
	}
	if h.CostMonth == "" {
		h.Currency = ""
	}
	return h, err
}

// evidence renders an object as JSON with sorted keys.
func evidence(t *ast.Term) (string, error) {
	if _, ok := t.Value.(ast.Object); !ok {
		return "", fmt.Errorf("evidence of a finding is %s: want an object", ast.ValueName(t.Value))
	}
	if text, ok := appendJSON(make([]byte, 0, 256), t.Value); ok {
		return string(text), nil
	}
	v, err := ast.JSON(t.Value)
	if err != nil {
		return "", fmt.Errorf("evidence of a finding: %w", err)
	}
	text, err := encoded(v)
	if err != nil {
		return "", fmt.Errorf("evidence of a finding: %w", err)
	}
	return text, nil
}

func encoded(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

var plainDecimal = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

// decimal renders an amount digit for digit as it was computed.
func decimal(t *ast.Term) (string, error) {
	n, ok := t.Value.(ast.Number)
	if !ok {
		return "", fmt.Errorf("cost_month of a finding is %v: want a number", t)
	}
	text := string(n)
	if plainDecimal.MatchString(text) {
		return text, nil
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok || r.Sign() < 0 || len(text) > 24 {
		return "", fmt.Errorf("cost_month of a finding is %s: want an amount of money", text)
	}
	places, exact := r.FloatPrec()
	if !exact || places > 20 {
		return "", fmt.Errorf("cost_month of a finding is %s: want an amount of money", text)
	}
	return r.FloatString(places), nil
}
