package state

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Kinds of the entries this package writes. Callers of [State.Record] choose
// their own, which must not begin like one of these.
const (
	KindExceptionAdded   = "exception.added"
	KindExceptionChanged = "exception.changed"
	KindExceptionRevoked = "exception.revoked"
	KindLinkAdded        = "link.added"
	KindLinkRemoved      = "link.removed"
	KindPeopleJoined     = "people.joined"
	KindPeopleParted     = "people.parted"
	KindShrinkAccepted   = "shrink.accepted"
	KindShrinkUsed       = "shrink.used"
	KindNameErased       = "name.erased"
	KindPlanMade         = "plan.made"
	KindPlanEnded        = "plan.ended"
	KindApprovalGiven    = "approval.given"
	KindRefusal          = "refusal.recorded"
	KindChangeBegun      = "change.begun"
	KindChangeEnded      = "change.ended"
	KindStopSet          = "stop.set"
	KindStopLifted       = "stop.lifted"
	KindNotifyStarted    = "notify.started"
	KindNotifyHeld       = "notify.held"
	KindNotifyReleased   = "notify.released"
	KindMessageQueued    = "message.queued"
	KindMessageSending   = "message.sending"
	KindMessageSent      = "message.sent"
	KindMessageFailed    = "message.failed"
	KindItemAsked        = "item.asked"
	KindItemChanged      = "item.changed"
	KindAnswerGiven      = "answer.given"
	KindAnswerCarried    = "answer.carried"
	KindReviewStarted    = "review.started"
	KindReviewDecided    = "reviewed.decided"
	KindReviewPassed     = "reviewed.passed"
	KindReviewDelegated  = "reviewed.delegated"
	KindReviewSettled    = "reviewed.settled"
	KindReviewPlanned    = "reviewed.planned"
	KindReviewClosed     = "reviewed.closed"
	KindLeaverReceived   = "leaver.received"
	KindLeaverTried      = "leaver.tried"
	KindLeaverCarried    = "leaver.carried"
)

var ownKinds = []string{"exception.", "link.", "people.", "shrink.", "name.", "plan.", "approval.", "refusal.", "change.", "stop.",
	"notify.", "message.", "item.", "answer.", "review.", "reviewed.", "leaver."}

// Entry is one link of the ledger's chain. Payload is canonical JSON: keys
// sorted, no insignificant space. An entry about a decision carries the whole
// record as it stands after it.
type Entry struct {
	Seq     int64           `json:"seq"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Kind    string          `json:"kind"`
	Payload json.RawMessage `json:"payload"`
	Prev    string          `json:"prev"`
	Hash    string          `json:"hash"`
}

// Anchor is a place in the chain noted outside the database: with it, a cut or
// rewritten ledger shows.
type Anchor struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// genesis is what the first entry follows.
var genesis = Anchor{Seq: 0, Hash: strings.Repeat("0", 2*sha256.Size)}

// sum is SHA-256 over the entry's fields, each preceded by its length in eight
// bytes, so that no two entries share an encoding.
func (e Entry) sum() string {
	h := sha256.New()
	field := func(b []byte) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	number := func(v int64) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(v))
		field(n[:])
	}
	field([]byte("lapse ledger 1"))
	number(e.Seq)
	number(e.At.UnixMicro())
	field([]byte(e.Actor))
	field([]byte(e.Kind))
	field(e.Payload)
	field([]byte(e.Prev))
	return hex.EncodeToString(h.Sum(nil))
}

func (d *decision) append(kind string, payload any) error {
	canon, err := canonical(payload)
	if err != nil {
		return fmt.Errorf("ledger entry %s: %w", kind, err)
	}
	e := Entry{Seq: d.head.Seq + 1, At: d.at, Actor: d.actor.ID, Kind: kind, Payload: canon, Prev: d.head.Hash}
	e.Hash = e.sum()
	err = d.exec("INSERT INTO ledger (seq, at, actor, kind, payload, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		e.Seq, stamp(e.At), e.Actor, e.Kind, string(e.Payload), e.Prev, e.Hash)
	if err != nil {
		return err
	}
	d.head = Anchor{Seq: e.Seq, Hash: e.Hash}
	return nil
}

// canonical writes v as JSON with sorted keys, numbers as they were.
func canonical(v any) (json.RawMessage, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tree); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Record appends an entry of a caller's own kind ("scan.completed")
// and returns its place. Payload must be a JSON object holding ids, not names.
func (s *State) Record(ctx context.Context, actor Actor, kind string, payload any) (Anchor, error) {
	what := "record " + kind
	err := text("kind", kind, 1, 100)
	for _, own := range ownKinds {
		if strings.HasPrefix(kind, own) {
			err = errors.New("this kind is written by its own decision only")
		}
	}
	if err != nil {
		return Anchor{}, fmt.Errorf("%s: %w", what, err)
	}
	canon, err := canonical(payload)
	if err != nil {
		return Anchor{}, fmt.Errorf("%s: the payload is no JSON object: %w", what, err)
	}
	if canon[0] != '{' {
		return Anchor{}, fmt.Errorf("%s: the payload is no JSON object", what)
	}
	var at Anchor
	err = s.decide(ctx, what, actor, func(d *decision) error {
		err := d.append(kind, payload)
		at = d.head
		return err
	})
	if err != nil {
		return Anchor{}, err
	}
	return at, nil
}

// Head is the last entry's place, to be noted outside the database as an anchor.
// An empty ledger's head has Seq 0.
func (s *State) Head(ctx context.Context) (Anchor, error) {
	var a Anchor
	if err := s.r.QueryRowContext(ctx, "SELECT seq, hash FROM ledger_head WHERE one = 1").Scan(&a.Seq, &a.Hash); err != nil {
		return Anchor{}, fmt.Errorf("read ledger head of %s: %w", s.name, s.explain(ctx, err))
	}
	return a, nil
}

// Ledger yields the entries after a sequence number in order. It ends with the
// first error.
func (s *State) Ledger(ctx context.Context, after int64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		err := s.reading(ctx, func(tx *sql.Tx) error {
			return entries(ctx, tx, after, func(e Entry) error {
				if !yield(e, nil) {
					return errStop
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, fmt.Errorf("read ledger of %s: %w", s.name, s.explain(ctx, err)))
		}
	}
}

var errStop = errors.New("stop")

// reading runs fn on one consistent view of the database.
func (s *State) reading(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.snapshot()})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return fn(tx)
}

// entries reads page by page, so that a slow reader of a long ledger holds no
// more than a page.
func entries(ctx context.Context, tx *sql.Tx, after int64, each func(Entry) error) error {
	const page = 1000
	for {
		r, err := tx.QueryContext(ctx, "SELECT seq, at, actor, kind, payload, prev, hash FROM ledger WHERE seq > $1 ORDER BY seq LIMIT $2", after, page)
		if err != nil {
			return err
		}
		got, err := collect(r, func(r *sql.Rows) (Entry, error) {
			var e Entry
			var at int64
			var payload string
			err := r.Scan(&e.Seq, &at, &e.Actor, &e.Kind, &payload, &e.Prev, &e.Hash)
			e.At, e.Payload = timeOf(at), json.RawMessage(payload)
			return e, err
		})
		if err != nil {
			return err
		}
		for _, e := range got {
			if err := each(e); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(got) < page {
			return nil
		}
	}
}

// Export writes the ledger as JSON lines, one entry a line, oldest first.
// [VerifyExport] checks such a file without the database.
func (s *State) Export(ctx context.Context, w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for e, err := range s.Ledger(ctx, 0) {
		if err == nil {
			err = enc.Encode(e)
		}
		if err != nil {
			return fmt.Errorf("export ledger: %w", err)
		}
	}
	return nil
}
