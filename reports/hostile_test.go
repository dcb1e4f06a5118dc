package reports

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// nasty tries markup, a script, an attribute's end, the end of isolation, a formula, an escape sequence, forced writing
// direction, a line break and what XML forbids.
const nasty = "=cmd|'/C calc'!A0\"'><script src=//evil.example>alert(1)</script></bdi></style><img onerror=x>\x1b[2J\u202e\u2066\r\n\x00\x7f\u0085\ufffe{{.}}"

// hostile puts text into every string of foreign origin. What the program itself makes stays: ids of rules, statuses,
// decimals, fingerprints.
func hostile(d Data, text string) Data {
	d.Company = text
	for i := range d.Inputs {
		uid, status := d.Inputs[i].UID, d.Inputs[i].Status
		fill(reflect.ValueOf(&d.Inputs[i]).Elem(), text)
		d.Inputs[i].UID, d.Inputs[i].Status = uid, status
	}
	for _, list := range []any{&d.Exceptions, &d.Changes, &d.Run} {
		fill(reflect.ValueOf(list).Elem(), text)
	}
	d.AssigneeName = func(string) string { return text }
	evidence, err := json.Marshal(map[string]any{text: text, "path": []string{text, text}, "list": []any{map[string]string{text: text}}})
	if err != nil {
		panic(err)
	}
	inner := d.Findings
	d.Findings = func(yield func(finding.Finding, error) bool) {
		for f, err := range inner {
			f.Message, f.Evidence, f.Key, f.Subject.ID = text, string(evidence), text, text+f.Subject.ID
			f.SourceName, f.Name, f.PersonName, f.Department, f.Assignee = text, text, text, text, text
			f.Title, f.Action, f.Controls = text, text, []string{text}
			if f.Currency != "" {
				f.Currency = text
			}
			if f.ExcludedBy != "" {
				f.ExcludedBy = text
			}
			if !yield(f, err) {
				return
			}
		}
	}
	policies := append([]Policy{}, d.Policies...)
	for i := range policies {
		policies[i].Title, policies[i].Description, policies[i].Controls = text, text, []string{text}
	}
	d.Policies = policies
	tallies := append([]finding.Tally{}, d.Tallies...)
	for i := range tallies {
		if tallies[i].Failed != "" {
			tallies[i].Failed = text
		}
	}
	d.Tallies = tallies
	return d
}

// fill replaces every string below v; maps are left alone.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Slice:
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			fill(v.Elem(), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	}
}
