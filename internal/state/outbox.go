package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// OutboxStatus is how a message stands.
type OutboxStatus string

// A message is queued with what it asks, in one transaction. It is sending from before it is handed to a channel until it is
// known what came of that; who finds one sending after a crash has to look for it before sending it again.
const (
	OutboxQueued  OutboxStatus = "queued"
	OutboxSending OutboxStatus = "sending"
	OutboxSent    OutboxStatus = "sent"
	OutboxFailed  OutboxStatus = "failed" // nobody was reached: the next in line is asked
)

// Outgoing is a message to one recipient. What is in it is its maker's business; the ledger has its hash.
type Outgoing struct {
	ID       string          `json:"id"` // idempotency key
	Kind     string          `json:"kind"`
	To       string          `json:"to"` // person key or role
	Run      uint64          `json:"run"`
	Hash     string          `json:"hash"`
	Status   OutboxStatus    `json:"status"`
	Channel  string          `json:"channel,omitempty"` // to which it was handed
	Attempts int             `json:"attempts,omitempty"`
	Repeats  int             `json:"repeats,omitempty"` // how often it was sent again though it may have been delivered
	Next     time.Time       `json:"next,omitzero"`     // not to be tried before
	Receipt  json.RawMessage `json:"receipt,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Queued   time.Time       `json:"queued"`
	Ended    time.Time       `json:"ended,omitzero"`
	Stale    bool            `json:"stale,omitempty"`
	Body     json.RawMessage `json:"-"`
}

// Queue records a message, and of each of its items that it was asked, in one transaction. A message with its id is an
// [ErrExists].
func (s *State) Queue(ctx context.Context, actor Actor, m Outgoing, items []Asked) (Outgoing, error) {
	err := s.decide(ctx, "queue a message to "+m.To, actor, func(d *decision) error {
		if err := errors.Join(text("key", m.ID, 1, maxID), text("kind", m.Kind, 1, 100), text("recipient", m.To, 1, maxID)); err != nil {
			return err
		}
		standing, err := rows(d, scanOutgoing, selectOutbox+" WHERE id = $1", m.ID)
		if err != nil {
			return err
		}
		if len(standing) > 0 {
			return ErrExists
		}
		m.Hash, m.Status, m.Queued = sumOf(m.Body), OutboxQueued, d.at
		if err := d.putOutgoing(KindMessageQueued, m); err != nil {
			return err
		}
		for _, a := range items {
			a.Message = m.ID
			if err := d.putAsked(KindItemAsked, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Outgoing{}, err
	}
	return m, nil
}

// ChangeOutgoing records how a message stands now: change is given what stands. With items it also records how they stand, in
// one transaction.
func (s *State) ChangeOutgoing(ctx context.Context, actor Actor, id string, change func(*Outgoing), items ...Asked) (Outgoing, error) {
	var m Outgoing
	err := s.decide(ctx, "record message "+id, actor, func(d *decision) (err error) {
		if m, err = d.changeOutgoing(id, change); err != nil {
			return err
		}
		for _, a := range items {
			if err := d.putAsked(KindItemChanged, a); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Outgoing{}, err
	}
	return m, nil
}

func (d *decision) changeOutgoing(id string, change func(*Outgoing)) (Outgoing, error) {
	standing, err := rows(d, scanOutgoing, selectOutbox+" WHERE id = $1", id)
	if err != nil {
		return Outgoing{}, err
	}
	if len(standing) == 0 {
		return Outgoing{}, ErrNotFound
	}
	m := standing[0]
	change(&m)
	m.ID, m.Queued, m.Hash = id, standing[0].Queued, sumOf(m.Body)
	kind := map[OutboxStatus]string{OutboxQueued: KindMessageQueued, OutboxSending: KindMessageSending, OutboxSent: KindMessageSent, OutboxFailed: KindMessageFailed}[m.Status]
	if kind == "" {
		return m, fmt.Errorf("a message has no status %q", m.Status)
	}
	return m, d.putOutgoing(kind, m)
}

func (d *decision) putOutgoing(kind string, m Outgoing) error {
	m.Next, m.Ended = micros(m.Next), micros(m.Ended)
	record, err := canonical(m)
	if err != nil {
		return err
	}
	err = d.exec(`INSERT INTO outbox (id, status, queued, stale, body, record) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET status = excluded.status, stale = excluded.stale, body = excluded.body, record = excluded.record`,
		m.ID, string(m.Status), stamp(m.Queued), flag(m.Stale), string(m.Body), string(record))
	if err != nil {
		return err
	}
	return d.append(kind, m)
}

// Outbox lists the messages that are to be sent, first first, and those that are to be brought up to date.
func (s *State) Outbox(ctx context.Context) ([]Outgoing, error) {
	all, err := query(ctx, s, scanOutgoing, selectOutbox+" WHERE status IN ('queued', 'sending') OR stale = 1 ORDER BY queued, id")
	if err != nil {
		return nil, fmt.Errorf("read the outbox in %s: %w", s.name, err)
	}
	return all, nil
}

// Outgoing reads one message.
func (s *State) Outgoing(ctx context.Context, id string) (Outgoing, error) {
	all, err := query(ctx, s, scanOutgoing, selectOutbox+" WHERE id = $1", id)
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Outgoing{}, fmt.Errorf("read message %s in %s: %w", id, s.name, err)
	}
	return all[0], nil
}

// CountOutbox counts the messages by status.
func (s *State) CountOutbox(ctx context.Context) (map[OutboxStatus]int, error) {
	return countBy[OutboxStatus](ctx, s, "SELECT status, count(*) FROM outbox GROUP BY status")
}

func countBy[T ~string](ctx context.Context, s *State, text string) (map[T]int, error) {
	type pair struct {
		of string
		n  int
	}
	pairs, err := query(ctx, s, func(r *sql.Rows) (p pair, err error) { return p, r.Scan(&p.of, &p.n) }, text)
	if err != nil {
		return nil, fmt.Errorf("count in %s: %w", s.name, err)
	}
	out := map[T]int{}
	for _, p := range pairs {
		out[T(p.of)] = p.n
	}
	return out, nil
}

const selectOutbox = "SELECT id, status, stale, body, record FROM outbox"

func scanOutgoing(r *sql.Rows) (m Outgoing, err error) {
	var id, status, body, record string
	var stale int64
	if err := r.Scan(&id, &status, &stale, &body, &record); err != nil {
		return m, err
	}
	if err := json.Unmarshal([]byte(record), &m); err != nil {
		return m, fmt.Errorf("message %s: %w", id, err)
	}
	// What is searched by counts: altered alone, it shows against the ledger.
	m.ID, m.Status, m.Stale, m.Body = id, OutboxStatus(status), stale != 0, json.RawMessage(body)
	return m, nil
}
