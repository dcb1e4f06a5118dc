package sql

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// FuzzBuild gives anything to every field of every kind: a row is a record that the runner takes, or rejected for a reason
// that tells nothing of what was in it.
func FuzzBuild(f *testing.F) {
	for _, seed := range []string{"1", "true", "2026-01-02", "2026-01-02 03:04:05.123+02", "0001-01-01", "9999-12-31T00:00:00Z", "57.00", "usd", "human", "a;b", " ", "\xff", "\x00", "\x01", "-1", "1e400"} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	clock, err := collect.Calendar{EndDate: collect.LastDay}.Clock()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, bytes bool) {
		var value any = string(data)
		if bytes {
			value = data
		}
		for _, kind := range collect.Kinds() {
			typ, err := newRecord(kind, nil)
			if err != nil {
				t.Fatal(err)
			}
			for name := range typ.names {
				r, err := newRecord(kind, []string{name})
				if err != nil {
					t.Fatal(err)
				}
				r.zone, r.clock = time.UTC, clock
				rec, column, reason, err := r.build([]any{value}, []bool{false})
				switch {
				case err != nil:
					t.Fatal(err)
				case reason != "":
					if rec != nil || column != name || !utf8.ValidString(reason) || len(data) > 12 && strings.Contains(reason, string(data)) {
						t.Errorf("%s.%s: %v, %q, %q", kind, name, rec, column, reason)
					}
				case collect.KindOf(rec) != kind:
					t.Errorf("%s.%s: a %T", kind, name, rec)
				default:
					if a, ok := rec.(access.Account); ok && (!utf8.ValidString(a.Username+a.ID) || strings.Contains(a.Username+a.ID, "\x00")) {
						t.Errorf("%q is no text", a.Username+a.ID)
					}
				}
			}
		}
	})
}
