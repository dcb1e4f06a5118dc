package notify

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/strict"
)

// Quiet is when nobody is disturbed, by the clock on the recipient's wall. From equal to To is never.
type Quiet struct {
	From    Minute `yaml:"from"`
	To      Minute `yaml:"to"`
	Weekend bool   `yaml:"weekend"` // Saturday and Sunday too
}

// Minute is a time of day.
type Minute int

// UnmarshalText reads 07:30.
func (m *Minute) UnmarshalText(text []byte) error {
	t, err := time.Parse("15:04", string(text))
	if err != nil {
		return fmt.Errorf("%q is no time of day: write it as 07:30", text)
	}
	*m = Minute(t.Hour()*60 + t.Minute())
	return nil
}

func (m Minute) String() string { return fmt.Sprintf("%02d:%02d", int(m)/60, int(m)%60) }

// UnmarshalYAML takes the section, or never.
func (q *Quiet) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		if n.Value != "never" {
			return fmt.Errorf(`%q: write {from: "20:00", to: "07:00", weekend: true}, or never`, n.Value)
		}
		*q = Quiet{}
		return nil
	}
	type plain Quiet
	return strict.Decode("", n, "notify.quiet", (*plain)(q))
}

// At says whether it is quiet at an instant in a zone.
func (q Quiet) At(t time.Time, zone *time.Location) bool {
	if zone != nil {
		t = t.In(zone)
	}
	if day := t.Weekday(); q.Weekend && (day == time.Saturday || day == time.Sunday) {
		return true
	}
	now := Minute(t.Hour()*60 + t.Minute())
	if q.From <= q.To {
		return now >= q.From && now < q.To
	}
	return now >= q.From || now < q.To
}
