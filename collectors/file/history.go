package file

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
)

// history makes worker records of rows with effective dates: several rows a person, each in force from effective_from
// to effective_to, or to the start of the next one. Where two are in force at a time, the one that began later counts.
//
// It holds all people in memory, once each, and 64 bytes a row.
type history struct {
	k      *Collector
	out    collect.Sink
	now    time.Time
	people map[string]*worker
	order  []*worker
	texts  map[string]string
}

// worker is a person, or one worker record where the file tells them apart.
type worker struct {
	stints []stint
	rows   []access.Person // beside stints
	at     []place
}

// stint is one row: half-open, in UTC.
type stint struct {
	from time.Time
	to   time.Time // forever for none
	row  int
}

var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func newHistory(k *Collector, out collect.Sink) *history {
	return &history{k: k, out: out, now: k.opt.Now(), people: map[string]*worker{}, texts: map[string]string{}}
}

func (h *history) add(r personRow, at place) error {
	reject := func(field, reason string) error {
		return h.out.Reject(collect.Rejection{File: at.file, Line: at.line, Column: field, Reason: reason})
	}
	from, err := r.from.starts(h.k.clock, r.Location)
	switch {
	case err != nil:
		return err
	case from == nil:
		return reject("effective_from", "empty")
	}
	s := stint{from: *from, to: forever}
	to, err := r.to.ends(h.k.clock, r.Location)
	switch {
	case err != nil:
		return err
	case to != nil:
		s.to = *to
	}
	if s.to.Before(s.from) {
		return reject("effective_to", "is before effective_from")
	}
	key := r.ID + "\xff" + r.RecordID
	w := h.people[key]
	if w == nil {
		w = &worker{}
		h.people[key] = w
		h.order = append(h.order, w)
	}
	s.row = len(w.rows)
	w.rows, w.at, w.stints = append(w.rows, h.shared(r.Person)), append(w.at, at), append(w.stints, s)
	return nil
}

// shared keeps one copy of the texts that many rows have.
func (h *history) shared(p access.Person) access.Person {
	for _, s := range []*string{&p.ID, &p.RecordID, &p.Name, &p.Department, &p.Title, &p.Location, &p.Company, &p.CostCenter, &p.ManagerID, &p.Kind, &p.Email, &p.Username, &p.EmployeeID} {
		if same, ok := h.texts[*s]; ok {
			*s = same
		} else {
			*s = strings.Clone(*s) // not the whole row that it is a part of
			h.texts[*s] = *s
		}
	}
	return p
}

// flush passes on the worker records, in the order in which the files name the people.
func (h *history) flush() error {
	for _, w := range h.order {
		slices.SortStableFunc(w.stints, func(a, b stint) int {
			return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to))
		})
		if err := h.disagree(w); err != nil {
			return err
		}
		for i, stretch := range w.stretches(h.k.config.Roster.History == Assignment) {
			p, at := h.record(w, stretch)
			if p.RecordID == "" {
				p.RecordID = p.ID
			}
			if i > 0 { // the first keeps its name when a second comes
				p.RecordID += "@" + stretch[0].from.Format(time.DateOnly)
			}
			locate(h.out, at.file, at.line)
			if err := h.out.Put(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// disagree rejects the rows that begin at the same moment as another: which of them is in force can't be told.
func (h *history) disagree(w *worker) error {
	other := map[int]int{} // row to the row it disagrees with
	for i := 1; i < len(w.stints); i++ {
		a, b := w.stints[i-1], w.stints[i]
		if a.from.Equal(b.from) && !a.from.Equal(a.to) { // one of no length says nothing
			other[a.row], other[b.row] = b.row, a.row
		}
	}
	if len(other) == 0 {
		return nil
	}
	for _, row := range slices.Sorted(maps.Keys(other)) {
		err := h.out.Reject(collect.Rejection{File: w.at[row].file, Line: w.at[row].line, Column: "effective_from",
			Reason: fmt.Sprintf("%s of the same id begins at the same time: neither is taken", w.at[other[row]])})
		if err != nil {
			return err
		}
	}
	w.stints = slices.DeleteFunc(w.stints, func(s stint) bool { _, ok := other[s.row]; return ok })
	return nil
}

// stretches parts the rows where there is a gap between them; none where rows are assignments.
func (w *worker) stretches(assignment bool) [][]stint {
	if assignment && len(w.stints) > 0 {
		return [][]stint{w.stints}
	}
	var out [][]stint
	var end time.Time
	for i, s := range w.stints {
		if i == 0 || s.from.After(end) {
			out, end = append(out, nil), s.to
		}
		last := len(out) - 1
		out[last] = append(out[last], s)
		if s.to.After(end) {
			end = s.to
		}
	}
	return out
}

// record is the worker record of a stretch: the row in force now, else the last one of those that are over, else the
// first one to come.
func (h *history) record(w *worker, stretch []stint) (access.Person, place) {
	lead := 0
	for i, s := range stretch {
		if s.from.After(h.now) {
			break
		}
		if inForce := s.to.After(h.now); inForce || !stretch[lead].to.After(h.now) && !s.to.Before(stretch[lead].to) {
			lead = i
		}
	}
	p := w.rows[stretch[lead].row]
	if h.k.config.Roster.History != Assignment {
		start, end := stretch[0].from, stretch[0].to
		for _, s := range stretch {
			if s.to.After(end) {
				end = s.to
			}
		}
		if p.StartAt == nil {
			p.StartAt = &start
		}
		if p.EndAt == nil && !end.Equal(forever) {
			p.EndAt = &end
		}
	}
	h.transfer(&p, w, stretch[:lead+1])
	return p, w.at[stretch[lead].row]
}

// transfer finds when the person came to the department of the last of these rows, and from where. A roster that says so
// itself is believed.
func (h *history) transfer(p *access.Person, w *worker, rows []stint) {
	if p.TransferredAt != nil || p.PreviousDepartment != "" || p.Department == "" {
		return
	}
	since := rows[len(rows)-1].from
	for _, s := range slices.Backward(rows[:len(rows)-1]) {
		before := w.rows[s.row]
		switch {
		case s.from.Equal(s.to) || before.Department == "": // never in force, or unknown
		case before.Department == p.Department:
			since = s.from
		default:
			p.PreviousDepartment, p.PreviousTitle, p.TransferredAt = before.Department, before.Title, &since
			return
		}
	}
}
