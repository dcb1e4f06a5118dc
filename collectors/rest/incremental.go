package rest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
)

// standing is what the last reading left for this one: the answers to requests that are made for a row, which still stand
// where the app says that nothing has changed there. What this reading leaves is written beside it, and takes its place when
// everything was read. It is safe for several goroutines.
type standing struct {
	path    string
	old     *spool // nil where nothing of the last reading can be used
	was     left
	new     *spool
	now     left
	changed map[*Request]map[string]bool // keys by request; nil where the app doesn't say
	whole   bool                         // everything is asked for
	notes   []string

	mu              sync.Mutex
	taken, asked    int
	compared, wrong int // requests whose answers should have been those of the last time; those whose were others
	examples        []string
}

// left is what is known of a reading beside the answers.
type left struct {
	FullAt time.Time         `json:"full_at"` // when everything was last asked for
	Marks  map[string]string `json:"marks"`   // by the request's name
	Held   map[string]held   `json:"held"`    // by the first call
}

// held is what a request gave.
type held struct {
	Stamp string `json:"stamp,omitempty"`
	Sum   uint64 `json:"sum"` // of the records, in whatever order
}

// leftKey is where left is, behind the answers: without it a file is not whole.
var leftKey = spoolKey([]byte("what is left of\x00"))

// incremental are the requests of which answers may be taken over.
func (r *Recipe) incremental() []*Request {
	var out []*Request
	walkRequests(r.Requests, func(q *Request) {
		if q.Incremental != nil {
			out = append(out, q)
		}
	})
	return out
}

// stand takes up what the last reading left, and asks what has changed since. It comes before anything is read: what changes
// later is told the next time.
func (r *reading) stand(ctx context.Context) (*standing, error) {
	k, now := r.k, r.k.time.now()
	s := &standing{
		path: filepath.Join(k.opt.Private, k.opt.UID+".answers"), changed: map[*Request]map[string]bool{},
		now: left{FullAt: now, Marks: map[string]string{}, Held: map[string]held{}},
	}
	if err := s.open(k.question(), now); err != nil {
		return nil, fmt.Errorf("incremental: keep what is answered: %w", err)
	}
	due := s.old != nil && !now.Before(s.was.FullAt.Add(time.Duration(k.config.Incremental.FullEvery)))
	if s.whole = s.old == nil || due; !s.whole {
		s.now.FullAt = s.was.FullAt
	}
	if due {
		s.notes = append(s.notes, fmt.Sprintf("incremental: everything was asked for, which was last done at %s", s.was.FullAt.UTC().Format(time.RFC3339)))
	}
	for _, q := range k.recipe.incremental() {
		if q.Incremental.Changes == nil {
			continue
		}
		r.pacers[q.Incremental.Changes.request] = r.pacers[q]
		if err := s.ask(ctx, r, q); err != nil {
			s.close(!interrupts(err))
			return nil, err
		}
	}
	return s, nil
}

// open opens what the last reading left, if it is of the same question, and begins a new file.
func (s *standing) open(of string, now time.Time) error {
	of = "answers of " + of
	old, err := newSpool(s.path)
	if err != nil {
		return err
	}
	why := "there is nothing yet"
	if _, err := os.Stat(s.path); err == nil {
		why = "what is kept of the last reading is damaged, or of another recipe, account or configuration"
		if old.resume(of, math.MaxInt64, now) {
			if a := old.get(leftKey); a != nil && json.Unmarshal(a.Body, &s.was) == nil && !s.was.FullAt.After(now) {
				s.old = old
			} else {
				old.close(true)
			}
		}
	}
	if s.old == nil {
		s.notes = append(s.notes, "incremental: everything was asked for: "+why)
	}
	if s.new, err = newSpool(s.path + ".new"); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return err
	}
	return s.new.create(of, now)
}

// ask asks which rows of a request have changed. Where the app doesn't say, all have.
func (s *standing) ask(ctx context.Context, r *reading, q *Request) error {
	if mark := s.was.Marks[q.Name]; s.old != nil && mark != "" {
		changed, next, err := r.changes(ctx, q, mark)
		switch {
		case err == nil:
			s.changed[q], s.now.Marks[q.Name] = changed, next
			return nil
		case ctx.Err() != nil, interrupts(err):
			return err
		}
		s.notes = append(s.notes, fmt.Sprintf("incremental: %s was asked for everything: what has changed can't be told any more: %s", q.Name, r.c.hide.hide(err.Error())))
	}
	_, next, err := r.changes(ctx, q, "")
	switch {
	case err == nil:
		s.now.Marks[q.Name] = next
		return nil
	case ctx.Err() != nil, interrupts(err):
		return err
	}
	s.notes = append(s.notes, fmt.Sprintf("incremental: %s will be asked for everything the next time, too: what changes can't be told: %s", q.Name, r.c.hide.hide(err.Error())))
	return nil
}

// changes reads the keys of the rows that have changed since a mark, and the next mark; from the beginning where there is no
// mark.
func (r *reading) changes(ctx context.Context, q *Request, mark string) (map[string]bool, string, error) {
	l := q.Incremental.Changes
	vars := r.vars(scope{}, nil)[:fixedVars]
	k, err := r.call(l.request, nil, vars)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", l.request.plan.where, err)
	}
	query := k.url.Query()
	switch {
	case mark == "":
		for name, t := range l.Begin {
			value, ok, err := t.fill(nil, vars, plain)
			if err != nil {
				return nil, "", fmt.Errorf("incremental.changes.begin.%s: %w", name, err)
			}
			if ok {
				query.Set(name, value)
			}
		}
		k.url.RawQuery = query.Encode()
	case l.Param != "":
		query.Set(l.Param, mark)
		k.url.RawQuery = query.Encode()
	default: // the credentials go there
		if k.url, _, err = newPages(&l.Paging, k.url).follow(k.url, mark, nil, vars); err != nil {
			return nil, "", fmt.Errorf("%s: the mark: %w", l.request.plan.where, err)
		}
	}
	changed := map[string]bool{}
	around, err := r.walk(ctx, l.request, k, nil, vars, r.c.send, func(rows []row) error {
		for i := range rows {
			rows[i].decode()
			if rows[i].reason != "" {
				return errors.New(rows[i].reason)
			}
			key, err := l.Key.one(rows[i].value, vars)
			if err != nil {
				return fmt.Errorf("incremental.changes.key: %w", err)
			}
			text, ok := asText(key)
			if !ok || text == "" {
				return fmt.Errorf("incremental.changes.key: is %s, want a text or a number", describe(key))
			}
			changed[text] = true
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	v, err := l.Mark.one(around, vars)
	if err != nil {
		return nil, "", fmt.Errorf("incremental.changes.mark: %w", err)
	}
	next, ok := asText(v)
	if !ok || next == "" {
		return nil, "", fmt.Errorf("%s: the last page holds no mark", l.request.plan.where)
	}
	return changed, next, nil
}

// sender is how the pages of a request that is made for a row are got at: from the last reading, or from the app. Either
// way they are kept.
func (s *standing) sender(r *reading, f *feed, k call) (func(context.Context, call) (*answer, error), error) {
	stamp, err := textOf(&f.request.Incremental.Stamp, f)
	if err != nil {
		return nil, fmt.Errorf("incremental.stamp: %w", err)
	}
	key, err := textOf(&f.request.Incremental.Key, f)
	if err != nil {
		return nil, fmt.Errorf("incremental.key: %w", err)
	}
	f.id, f.held = k.key(), &held{Stamp: stamp}
	take := !s.whole && s.stands(f.request, f.id, key, stamp)
	s.mu.Lock()
	if take {
		s.taken++
	} else {
		s.asked++
	}
	s.mu.Unlock()
	return func(ctx context.Context, k call) (*answer, error) {
		var a *answer
		if take {
			a = s.old.take(k)
		}
		if a == nil {
			var err error
			if a, err = r.c.send(ctx, k); err != nil {
				return nil, err
			}
		}
		s.new.keep(k, a)
		return a, nil
	}, nil
}

// textOf is what an expression says of the row that a request is made for, "" for nothing.
func textOf(e *Expr, f *feed) (string, error) {
	if !e.IsSet() {
		return "", nil
	}
	v, err := e.one(f.scope.parent, f.vars)
	if err != nil || v == nil {
		return "", err
	}
	text, ok := asText(v)
	if !ok {
		return "", fmt.Errorf("is %s, want a text or a number", describe(v))
	}
	return text, nil
}

// stands reports whether the last answers to a request hold: the app says so in every way that the recipe knows.
func (s *standing) stands(q *Request, id spoolKey, key, stamp string) bool {
	if s.old == nil {
		return false
	}
	was, ok := s.was.Held[hex.EncodeToString(id[:])]
	switch {
	case !ok,
		q.Incremental.Stamp.IsSet() && (stamp == "" || stamp != was.Stamp),
		q.Incremental.Changes != nil && (key == "" || s.changed[q] == nil || s.changed[q][key]):
		return false
	}
	return true
}

// done notes what a request gave, all of whose pages were read, and compares it where everything is asked for.
func (s *standing) done(f *feed) {
	id := hex.EncodeToString(f.id[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.Held[id] = *f.held
	if !s.whole {
		return
	}
	key, err := textOf(&f.request.Incremental.Key, f)
	if err != nil || !s.stands(f.request, f.id, key, f.held.Stamp) {
		return
	}
	s.compared++
	if s.was.Held[id].Sum == f.held.Sum {
		return
	}
	if s.wrong++; len(s.examples) < 5 {
		at := f.request.plan.where
		if k, ok, err := f.request.Path.fill(f.scope.parent, f.vars, segment); err == nil && ok {
			at = f.request.place(k)
		}
		s.examples = append(s.examples, at)
	}
}

// commit lets what was answered stand for the next reading, and says what was taken over.
func (s *standing) commit() []string {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.whole:
		s.notes = append(s.notes, fmt.Sprintf("incremental: %d requests were not made, as nothing has changed there since the last reading, and %d were; everything was last asked for at %s",
			s.taken, s.asked, s.was.FullAt.UTC().Format(time.RFC3339)))
	case s.wrong > 0:
		s.notes = append(s.notes, fmt.Sprintf("incremental: %d of %d requests gave something else than the last time, although the app told no change; it changed in the meantime, or what the app tells of changes is wrong: %s",
			s.wrong, s.compared, strings.Join(s.examples, "; ")))
	case s.old != nil:
		s.notes = append(s.notes, fmt.Sprintf("incremental: %d requests gave what the app said had not changed", s.compared))
	}
	text, err := json.Marshal(s.now)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	s.new.put(leftKey, spooled{Body: text})
	if err = s.new.fault; err == nil {
		err = s.new.file.Sync()
	}
	if err == nil {
		err = os.Rename(s.new.path, s.path)
	}
	if err != nil {
		s.notes = append(s.notes, fmt.Sprintf("incremental: answers could not be kept for the next reading: %v", err))
	}
	return s.notes
}

// close ends a reading. Where one failed for good, nothing of the last one is taken over again: it may be why.
func (s *standing) close(failed bool) {
	s.new.close(false) // which has another name by now if it was committed
	if s.old != nil {
		s.old.close(!failed)
	}
}

// sumOf is the same for records that are equal.
func sumOf(rec access.Record) uint64 {
	text, err := json.Marshal(rec)
	if err != nil { // it holds nothing that JSON can't
		panic(err)
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%T", rec)
	h.Write(text)
	return h.Sum64()
}
