package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
)

// HitRow is a hit with all that is shown of it.
type HitRow struct {
	finding.Hit

	Severity   finding.Severity
	Title      string
	Category   string
	Action     string
	Controls   []string
	SourceName string
	Name       string // of the subject
	Person     string // access.PersonKey of whose case it is, "" for none
	PersonName string
	Department string
	Assignee   string
}

// Fingerprint is the finding's identity.
func (h *HitRow) Fingerprint() finding.Fingerprint {
	return finding.NewFingerprint(h.Policy, h.Subject, h.Key)
}

// hitRows is how many hits one INSERT carries: with its message and evidence one takes some kilobytes.
const hitRows = 10_000

// WriteHits adds hits of the run. They are sent in batches, in the background: all are in the store when CarryStates
// returns, and an error of one call can show in a later one. No two hits of a run have one fingerprint. ctx must live
// until CarryStates.
func (r *Run) WriteHits(ctx context.Context, hits []HitRow) error {
	if r.hits == nil {
		r.hits = newBatch(ctx, r.s, "finding_hits", r.token("hits"), r.hitFields())
		r.hits.size = hitRows
	}
	for _, h := range hits {
		if err := r.hits.put(h); err != nil {
			return fmt.Errorf("write hits of run %d: %w", r.ID, err)
		}
	}
	return nil
}

func (r *Run) flushHits() error {
	if r.hits == nil {
		return nil
	}
	err := r.hits.close()
	r.hits = nil
	return err
}

func (r *Run) hitFields() []field[HitRow] {
	type row = HitRow
	return []field[row]{
		column("run", func(*row) uint64 { return r.ID }),
		column("time", func(*row) time.Time { return r.Time }),
		column("fingerprint", func(h *row) string { return rawFingerprint(h.Fingerprint()) }),
		column("policy", func(h *row) string { return h.Policy }),
		column("subject_kind", func(h *row) string { return string(h.Subject.Kind) }),
		column("source", func(h *row) string { return h.Subject.Source }),
		column("subject", func(h *row) string { return h.Subject.ID }),
		column("key", func(h *row) string { return h.Key }),
		column("message", func(h *row) string { return h.Message }),
		column("evidence", func(h *row) string { return h.Evidence }),
		column("cost_month", func(h *row) *string { return given(h.CostMonth) }),
		column("currency", func(h *row) string { return h.Currency }),
		column("excluded_by", func(h *row) string { return h.ExcludedBy }),
		column("severity", func(h *row) int8 { return int8(h.Severity) }),
		column("title", func(h *row) string { return h.Title }),
		column("category", func(h *row) string { return h.Category }),
		column("action", func(h *row) string { return h.Action }),
		column("controls", func(h *row) []string { return h.Controls }),
		column("source_name", func(h *row) string { return h.SourceName }),
		column("name", func(h *row) string { return h.Name }),
		column("person", func(h *row) string { return h.Person }),
		column("person_name", func(h *row) string { return h.PersonName }),
		column("department", func(h *row) string { return h.Department }),
		column("assignee", func(h *row) string { return h.Assignee }),
	}
}

// given turns an empty text into an absent one.
func given(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func rawFingerprint(f finding.Fingerprint) string {
	raw, err := hex.DecodeString(string(f))
	if err != nil {
		panic("store: fingerprint " + string(f))
	}
	return string(raw)
}

// WriteTallies writes the accounts of policies on sources, one Tally for each pair in the run. It may be called several
// times.
func (r *Run) WriteTallies(ctx context.Context, tallies []finding.Tally) error {
	r.written++ // two calls are two writings
	b := newBatch(ctx, r.s, "tallies", r.token(fmt.Sprint("tallies/", r.written)), []field[finding.Tally]{
		column("run", func(*finding.Tally) uint64 { return r.ID }),
		column("policy", func(t *finding.Tally) string { return t.Policy }),
		column("source", func(t *finding.Tally) string { return t.Source }),
		column("subjects", func(t *finding.Tally) uint64 { return t.Subjects }),
		column("out_of_scope", func(t *finding.Tally) uint64 { return t.OutOfScope }),
		column("evaluated", func(t *finding.Tally) uint64 { return t.Evaluated }),
		column("flagged", func(t *finding.Tally) uint64 { return t.Flagged }),
		column("excluded", func(t *finding.Tally) uint64 { return t.Excluded }),
		column("not_evaluable", func(t *finding.Tally) uint64 { return t.NotEvaluable }),
		column("missing", func(t *finding.Tally) map[string]uint64 { return t.Missing }),
		column("failed", func(t *finding.Tally) string { return t.Failed }),
	})
	var err error
	for _, t := range tallies {
		if err = b.put(t); err != nil {
			break
		}
	}
	if err = b.close(); err != nil {
		return fmt.Errorf("write tallies of run %d: %w", r.ID, err)
	}
	return nil
}
