package collect

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lapse-audit/lapse/internal/access"
)

// examiner is a collector that says what it noticed.
type examiner struct {
	script
	advice []Advice
}

func (e examiner) Examine(ctx context.Context, out Sink) (Provenance, []Advice, error) {
	prov, err := e.Collect(ctx, out)
	return prov, e.advice, err
}

// doctor is one that looks by itself.
type doctor struct {
	script
	err error
}

func (d doctor) Diagnose(context.Context) ([]Advice, error) {
	return []Advice{{What: "connection", Detail: "stands"}}, d.err
}

func TestExamine(t *testing.T) {
	yes := true
	good := yielding(access.Account{ID: "1", Enabled: &yes, Email: "a@example.com"}, access.Account{ID: "2", Kind: access.KindService, Enabled: &yes})
	broken := script(func(context.Context, Sink) (Provenance, error) { return Provenance{}, errors.New("no server") })
	_, advice, err := Examine(t.Context(), script(func(ctx context.Context, out Sink) (Provenance, error) {
		if err := out.Reject(Rejection{File: "x", Reason: "bad"}); err != nil {
			return Provenance{}, err
		}
		return good(ctx, out)
	}), options(0))
	if len(advice) != 1 || advice[0].What != "coverage" || err == nil {
		t.Errorf("with too many rows rejected: %v, %v", advice, err)
	}
	own := []Advice{{"request users", true, "403"}}
	for name, c := range map[string]struct {
		collector Collector
		want      []Advice // beside the coverage
		covered   bool
		err       string
	}{
		"plain":                      {good, nil, true, ""},
		"with what it noticed":       {examiner{good, own}, own, true, ""},
		"noticed before it failed":   {examiner{broken, own}, own, false, "no server"},
		"that looks by itself":       {doctor{good, nil}, []Advice{{"connection", false, "stands"}}, true, ""},
		"whose look fails otherwise": {doctor{good, errors.New("no rights")}, []Advice{{"connection", false, "stands"}, {"examination", true, "no rights"}}, true, ""},
		"whose look fails alike":     {doctor{broken, errors.New("no server")}, []Advice{{"connection", false, "stands"}}, false, "no server"},
	} {
		t.Run(name, func(t *testing.T) {
			res, advice, err := Examine(t.Context(), c.collector, options(1))
			if got := errorText(err); got != c.err {
				t.Errorf("error %q, want %q", got, c.err)
			}
			if c.covered {
				if len(advice) == 0 || advice[0].What != "coverage" || res.Counts[Accounts] != 2 {
					t.Fatalf("no coverage: %v, %v", advice, res.Counts)
				}
				for _, part := range []string{"email 1 of 2", "enabled 2 of 2", "last_login 0 of 2", "grants none"} {
					if !strings.Contains(advice[0].Detail, part) {
						t.Errorf("%q lacks %q", advice[0].Detail, part)
					}
				}
				advice = advice[1:]
			}
			if len(advice)+len(c.want) > 0 {
				if d := cmp.Diff(c.want, advice); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
