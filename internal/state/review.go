package state

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"strings"
	"time"
)

// Review is an access review as it was started. It never changes: what came of its items are its events.
type Review struct {
	ID        string    `json:"id"` // name
	Scope     string    `json:"scope"`
	Reviewers string    `json:"reviewers"` // managers or owners: whom it asks first
	Run       uint64    `json:"run"`       // that its items are of
	RunTime   time.Time `json:"run_time"`
	At        time.Time `json:"at"` // by the run's clock
	Due       time.Time `json:"due"`
	By        string    `json:"by"`
	Items     int64     `json:"items"`
	Hash      string    `json:"items_sha256"`
	// Notes say what the review does not cover, and why.
	Notes []string `json:"notes,omitempty"`
}

// ReviewItem is one grant that is reviewed, as it was when the review was started.
type ReviewItem struct {
	N                            int64
	Source, Account, Entitlement string
	Holders                      int64 // accounts that held the entitlement then, in the review or not
	Reviewer                     string
	Body                         json.RawMessage // its maker's business
}

// ReviewKind is what an event did to items of a review.
type ReviewKind string

// The kinds of event.
const (
	ReviewDecided   ReviewKind = "decided"   // Decision, by whom it was asked
	ReviewPassed    ReviewKind = "passed"    // To is asked instead of whoever said that it is not theirs
	ReviewDelegated ReviewKind = "delegated" // To is asked instead
	ReviewSettled   ReviewKind = "settled"   // nobody needs to decide it any more: Reason says why
	ReviewPlanned   ReviewKind = "planned"   // Plan takes them away
	ReviewClosed    ReviewKind = "closed"    // Items are those that nobody decided: To is asked
)

var reviewKinds = map[ReviewKind]string{ReviewDecided: KindReviewDecided, ReviewPassed: KindReviewPassed, ReviewDelegated: KindReviewDelegated,
	ReviewSettled: KindReviewSettled, ReviewPlanned: KindReviewPlanned, ReviewClosed: KindReviewClosed}

// ReviewEvent is one thing that happened to some items of a review.
type ReviewEvent struct {
	ID       string     `json:"id"`
	Review   string     `json:"review"`
	Seq      int64      `json:"seq"` // from 1
	Kind     ReviewKind `json:"kind"`
	At       time.Time  `json:"at"` // by the run's clock; the ledger has when it was recorded
	By       string     `json:"by"` // whose word it is; the ledger has who recorded it
	Items    []int64    `json:"items,omitempty"`
	Decision string     `json:"decision,omitempty"`
	Reason   string     `json:"reason,omitempty"`
	Method   string     `json:"method,omitempty"` // how the word came: one by one, by a file, by taking what was suggested
	From     string     `json:"from,omitempty"`
	To       string     `json:"to,omitempty"`
	Plan     string     `json:"plan,omitempty"`
	Run      uint64     `json:"run,omitempty"` // by which it was settled
}

// maxEventItems keeps an entry of the ledger to a size that can be read.
const maxEventItems = 2000

// StartReview records a review with its items, in one transaction. Of r it takes all but who starts it, the number of items
// and their hash. A review of its name is an [ErrExists].
func (s *State) StartReview(ctx context.Context, actor Actor, r Review, items []ReviewItem) (Review, error) {
	err := s.decide(ctx, "start review "+r.ID, actor, func(d *decision) error {
		if err := errors.Join(text("review's name", r.ID, 1, 100), text("scope", r.Scope, 1, maxReason)); err != nil {
			return err
		}
		if len(items) == 0 {
			return errors.New("there is nothing to review")
		}
		standing, err := rows(d, scanReview, selectReviews+" WHERE id = $1", r.ID)
		if err != nil {
			return err
		}
		if len(standing) > 0 {
			return ErrExists
		}
		sum := sha256.New()
		for i := range items {
			items[i].N = int64(i + 1)
			items[i].sum(sum)
		}
		r.At, r.Due, r.RunTime = micros(r.At), micros(r.Due), micros(r.RunTime)
		r.By, r.Items, r.Hash = d.actor.ID, int64(len(items)), hex.EncodeToString(sum.Sum(nil))
		record, err := canonical(r)
		if err != nil {
			return err
		}
		if err := d.exec("INSERT INTO reviews (id, record) VALUES ($1, $2)", r.ID, string(record)); err != nil {
			return err
		}
		if err := d.insertReviewItems(r.ID, items); err != nil {
			return err
		}
		return d.append(KindReviewStarted, r)
	})
	if err != nil {
		return Review{}, err
	}
	return r, nil
}

// insertReviewItems writes many rows a statement: a statement a row would be a round trip each. SQLite looks each numbered
// parameter up among all of the statement, so that with very many rows the statement takes longer than the round trips.
func (d *decision) insertReviewItems(review string, items []ReviewItem) error {
	const columns, batch = 8, 50
	for len(items) > 0 {
		part := items[:min(batch, len(items))]
		items = items[len(part):]
		var text strings.Builder
		text.WriteString("INSERT INTO review_items (review, n, source, account, entitlement, holders, reviewer, body) VALUES ")
		args := make([]any, 0, columns*len(part))
		for i, it := range part {
			if i > 0 {
				text.WriteString(", ")
			}
			p := i * columns
			fmt.Fprintf(&text, "($%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d)", p+1, p+2, p+3, p+4, p+5, p+6, p+7, p+8)
			args = append(args, review, it.N, it.Source, it.Account, it.Entitlement, it.Holders, it.Reviewer, string(it.Body))
		}
		if err := d.exec(text.String(), args...); err != nil {
			return err
		}
	}
	return nil
}

// sum adds an item to the hash of all, each field preceded by its length.
func (i ReviewItem) sum(h hash.Hash) {
	field := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	field(fmt.Sprint(i.N))
	field(fmt.Sprint(i.Holders))
	for _, s := range []string{i.Source, i.Account, i.Entitlement, i.Reviewer, string(i.Body)} {
		field(s)
	}
}

// ChangeReview records what happens to items of a review. Next is given what has happened so far, which doesn't change before
// the events that it returns are recorded, all of them or none; of these it fills in id, review and number. No events are no
// error. A review that was never started is an [ErrNotFound].
func (s *State) ChangeReview(ctx context.Context, actor Actor, id string, next func(Review, []ReviewEvent) ([]ReviewEvent, error)) ([]ReviewEvent, error) {
	var out []ReviewEvent
	err := s.decide(ctx, "review "+id, actor, func(d *decision) error {
		found, err := rows(d, scanReview, selectReviews+" WHERE id = $1", id)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return ErrNotFound
		}
		so, err := rows(d, scanReviewEvent, selectReviewEvents+" WHERE review = $1 ORDER BY seq", id)
		if err != nil {
			return err
		}
		events, err := next(found[0], so)
		if err != nil {
			return err
		}
		for _, e := range events {
			for _, part := range e.parts() {
				part.Review, part.Seq = id, int64(len(so)+len(out)+1)
				if err := d.putReviewEvent(&part); err != nil {
					return err
				}
				out = append(out, part)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// parts splits what is too long for one entry of the ledger.
func (e ReviewEvent) parts() []ReviewEvent {
	var out []ReviewEvent
	for {
		part := e
		part.Items = e.Items[:min(maxEventItems, len(e.Items))]
		e.Items = e.Items[len(part.Items):]
		out = append(out, part)
		if len(e.Items) == 0 {
			return out
		}
	}
}

func (d *decision) putReviewEvent(e *ReviewEvent) error {
	kind := reviewKinds[e.Kind]
	if kind == "" {
		return fmt.Errorf("nothing called %q happens to a review", e.Kind)
	}
	if err := errors.Join(text("reason", e.Reason, 0, maxReason), text("person who decides", e.By, 1, maxID)); err != nil {
		return err
	}
	e.ID, e.At = newID("rev"), micros(e.At)
	record, err := canonical(*e)
	if err != nil {
		return err
	}
	if err := d.exec("INSERT INTO review_events (id, review, seq, record) VALUES ($1, $2, $3, $4)", e.ID, e.Review, e.Seq, string(record)); err != nil {
		return err
	}
	return d.append(kind, *e)
}

// Reviews lists the reviews by name.
func (s *State) Reviews(ctx context.Context) ([]Review, error) {
	all, err := query(ctx, s, scanReview, selectReviews+" ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list reviews in %s: %w", s.name, err)
	}
	return all, nil
}

// ReviewItems lists the items of a review in order.
func (s *State) ReviewItems(ctx context.Context, review string) ([]ReviewItem, error) {
	all, err := query(ctx, s, scanReviewItem, selectReviewItems+" WHERE review = $1 ORDER BY n", review)
	if err != nil {
		return nil, fmt.Errorf("read review %s in %s: %w", review, s.name, err)
	}
	out := make([]ReviewItem, len(all))
	for i, it := range all {
		out[i] = it.ReviewItem
	}
	return out, nil
}

// ReviewEvents lists what happened to a review, in order.
func (s *State) ReviewEvents(ctx context.Context, review string) ([]ReviewEvent, error) {
	all, err := query(ctx, s, scanReviewEvent, selectReviewEvents+" WHERE review = $1 ORDER BY seq", review)
	if err != nil {
		return nil, fmt.Errorf("read review %s in %s: %w", review, s.name, err)
	}
	return all, nil
}

// compareReviews checks the reviews with all that happened to them, and that their items are those that they were started with.
func (s *State) compareReviews(ctx context.Context, tx *sql.Tx, v *Verification, check func(family, id string, record any) error) error {
	var started []Review
	if err := compareRows(ctx, tx, selectReviews, scanReview, func(r Review) error {
		started = append(started, r)
		return check("review", r.ID, r)
	}); err != nil {
		return err
	}
	if err := compareRows(ctx, tx, selectReviewEvents, scanReviewEvent, func(e ReviewEvent) error { return check("reviewed", e.ID, e) }); err != nil {
		return err
	}
	for _, r := range started {
		sum := sha256.New()
		items, err := tx.QueryContext(ctx, selectReviewItems+" WHERE review = $1 ORDER BY n", r.ID)
		if err != nil {
			return err
		}
		// One at a time: a review may have a great many.
		_, err = collect(items, func(rows *sql.Rows) (struct{}, error) {
			it, err := scanReviewItem(rows)
			it.sum(sum)
			return struct{}{}, err
		})
		if err != nil {
			return err
		}
		if hex.EncodeToString(sum.Sum(nil)) != r.Hash {
			v.fault(0, "review %s was altered behind the ledger's back: its items are not those that it was started with", r.ID)
		}
	}
	var strays int64
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM review_items WHERE review NOT IN (SELECT id FROM reviews)").Scan(&strays); err != nil {
		return err
	}
	if strays > 0 {
		v.fault(0, "%d items are of no review that was started", strays)
	}
	return nil
}

const (
	selectReviews      = "SELECT id, record FROM reviews"
	selectReviewItems  = "SELECT review, n, source, account, entitlement, holders, reviewer, body FROM review_items"
	selectReviewEvents = "SELECT id, review, seq, record FROM review_events"
)

func scanReview(r *sql.Rows) (out Review, err error) {
	var id, record string
	if err := r.Scan(&id, &record); err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(record), &out); err != nil {
		return out, fmt.Errorf("review %s: %w", id, err)
	}
	out.ID = id
	return out, nil
}

type placedReviewItem struct {
	ReviewItem
	review string
}

func scanReviewItem(r *sql.Rows) (i placedReviewItem, err error) {
	var body string
	err = r.Scan(&i.review, &i.N, &i.Source, &i.Account, &i.Entitlement, &i.Holders, &i.Reviewer, &body)
	i.Body = json.RawMessage(body)
	return i, err
}

func scanReviewEvent(r *sql.Rows) (e ReviewEvent, err error) {
	var id, review, record string
	var seq int64
	if err := r.Scan(&id, &review, &seq, &record); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(record), &e); err != nil {
		return e, fmt.Errorf("review %s, event %s: %w", review, id, err)
	}
	// What is searched by counts: altered alone, it shows against the ledger.
	e.ID, e.Review, e.Seq = id, review, seq
	return e, nil
}
