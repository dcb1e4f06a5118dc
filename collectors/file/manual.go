package file

import (
	"errors"
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/strict"
)

// Manual says that people make the exports, because the app has no other way: how often, and who.
type Manual struct {
	Every strict.Span `yaml:"every"`
	Owner string      `yaml:"owner"`
}

func (m Manual) validate() error {
	var errs []error
	if m.Every == 0 {
		errs = append(errs, errors.New("every: say how often an export is due: 30d, 90d"))
	}
	if m.Owner == "" {
		errs = append(errs, errors.New("owner: say who makes the export"))
	}
	return errors.Join(errs...)
}

// stale says why data as of a moment is older than it may be, "" while it isn't.
func (m Manual) stale(asOf, now time.Time) string {
	age := now.Sub(asOf)
	if asOf.IsZero() || age <= time.Duration(m.Every) {
		return ""
	}
	days := int(age / (24 * time.Hour))
	return fmt.Sprintf("the export of %s is %d days old, and %s makes one every %s: upload a new one", asOf.Format(time.DateOnly), days, m.Owner, m.Every)
}

// note says when the next export is due.
func (m Manual) note(asOf time.Time) string {
	if asOf.IsZero() {
		return fmt.Sprintf("%s exports it by hand every %s", m.Owner, m.Every)
	}
	return fmt.Sprintf("%s exports it by hand every %s; the next one is due on %s", m.Owner, m.Every, asOf.Add(time.Duration(m.Every)).Format(time.DateOnly))
}
