package notify

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/state"
)

// Open is a finding that is open, and what has to be known of it.
type Open struct {
	Finding finding.Finding
	Case    Case
}

// Night is what a run found, and how things stand.
type Night struct {
	Run      uint64
	Time     time.Time // of the run
	Now      time.Time
	Open     []Open
	Accepted map[finding.Fingerprint]string // findings that are open but for an exception, by its id
	// Reopened says of a finding that it was excepted when asking was started, and so is no backlog now that it isn't.
	Reopened func(finding.Finding) bool
	Usual    int // number of new findings of a night
	Sending  state.Sending
	Asked    map[string]state.Asked // what is not settled
}

// Letter is a message and how its items stand once it is queued.
type Letter struct {
	Message Message
	Asked   []state.Asked
}

// Draft is what is to be said after a run.
type Draft struct {
	Letters []Letter
	// Settled are items that nobody needs to answer any more, and what is said of them in their messages.
	Settled []Settled
	New     int // findings that nobody was asked about before
	Backlog int // that nobody is asked about
	Silent  int // asked before, and not due
	Hold    string
}

// Settled is an item that needs no answer any more.
type Settled struct {
	Asked state.Asked
	Text  string
}

const day = 24 * time.Hour

// Draft says whom to tell what: what is new, what is to be reminded of, what is past its deadline, and what is settled. It
// changes nothing, and of the same night it is the same.
func (o *Owners) Draft(n Night) Draft {
	var d Draft
	turns := map[string]*Letter{}
	open := map[string]bool{}
	for _, f := range n.Open {
		id := string(f.Finding.Fingerprint)
		open[id] = true
		was, known := n.Asked[id]
		if !known && n.backlog(f.Finding) {
			d.Backlog++
			continue
		}
		if !known {
			d.New++
		}
		kind, now, due := o.turn(n, f, was, known)
		if !due {
			d.Silent++
			continue
		}
		l := turns[now.To]
		if l == nil {
			l = &Letter{Message: Message{Kind: kind, To: o.Recipient(now.To), Run: n.Run, AsOf: n.Time}}
			turns[now.To] = l
		}
		if rank(kind) < rank(l.Message.Kind) {
			l.Message.Kind = kind
		}
		l.Message.Items = append(l.Message.Items, o.item(n, f, now))
		l.Asked = append(l.Asked, now)
		if kind == Reminder && was.To == now.To && !slices.Contains(l.Message.Earlier, was.Message) {
			l.Message.Earlier = append(l.Message.Earlier, was.Message)
		}
	}
	for _, to := range slices.Sorted(maps.Keys(turns)) {
		turns[to].finish()
		d.Letters = append(d.Letters, *turns[to])
	}
	d.settle(n, open)
	if o.Settings.Summary && len(d.Letters)+len(d.Settled) > 0 {
		d.Letters = slices.Insert(d.Letters, 0, o.summary(n, d))
	}
	limit := max(o.Settings.Hold.Least, o.Settings.Hold.Factor*n.Usual)
	if d.New > limit && n.Sending.Released < n.Run {
		d.Hold = fmt.Sprintf("%d findings are new, and %d is usual: nothing is sent before somebody has looked (`lapse notify preview`, then `lapse notify release`)", d.New, n.Usual)
	}
	return d
}

// summary tells the security team what a run gave rise to: once a run, and nothing where nothing is to be told.
func (o *Owners) summary(n Night, d Draft) Letter {
	m := Message{Key: fmt.Sprintf("summary-%d", n.Run), Kind: Summary, To: o.Recipient(RoleSecurity), Run: n.Run, AsOf: n.Time}
	people, items := 0, map[Kind]int{}
	for _, l := range d.Letters {
		if l.Message.To.Person != "" {
			people++
		}
		items[l.Message.Kind] += len(l.Message.Items)
	}
	for _, c := range []struct {
		n         int
		one, many string
	}{
		{d.New, "finding is new", "findings are new"}, {items[First], "finding is in a first message", "findings are in first messages"},
		{items[Reminder], "finding is in a reminder", "findings are in reminders"}, {items[Escalation], "finding is past its deadline", "findings are past their deadline"},
		{people, "person is written to", "people are written to"}, {len(d.Settled), "finding needs no answer any more", "findings need no answer any more"},
	} {
		switch c.n {
		case 0:
		case 1:
			m.Counts = append(m.Counts, Count{c.one, 1})
		default:
			m.Counts = append(m.Counts, Count{c.many, c.n})
		}
	}
	return Letter{Message: m}
}

// rank orders the kinds of a message of which some items are new and others are not.
func rank(k Kind) int { return slices.Index([]Kind{First, Escalation, Reminder}, k) }

// backlog says of a finding that nobody was asked about that nobody ever is: it was there when asking started, or on the
// first night of its source or rule.
func (n Night) backlog(f finding.Finding) bool {
	if n.Reopened != nil && n.Reopened(f) {
		return false
	}
	return f.Backlog || !f.FirstSeen.After(n.Sending.RunTime)
}

// turn says whether something is to be said of a finding now, and how its item stands then.
func (o *Owners) turn(n Night, f Open, a state.Asked, known bool) (Kind, state.Asked, bool) {
	again := known && (a.Status == state.AskedKept || !a.Seen.Equal(f.Finding.FirstSeen)) // the exception has ended, or it came again
	switch {
	case !known || again:
		a = state.Asked{ID: string(f.Finding.Fingerprint), Round: a.Round, Passed: a.Passed}
		return First, o.fresh(n, f, a), true
	case a.Status == state.AskedRevoke:
		if a.Level == 2 || n.Now.Before(a.Deadline) {
			return "", a, false
		}
		a = o.entrust(n, a, RoleSecurity, "it was to be taken away, and still stands")
		return Escalation, a, true
	case a.Message == "" || o.gone(a.To, f, a.Passed):
		if a.Message != "" {
			a.To = ""
		}
		return First, o.fresh(n, f, a), true
	case n.Now.Before(a.Later):
		return "", a, false
	case a.Level < 2 && !n.Now.Before(a.Deadline):
		to, why := RoleSecurity, "nobody answered in time"
		if a.Level == 0 {
			to, why = o.above(a.To, f.Finding, f.Case, a.Passed)
		}
		return Escalation, o.entrust(n, a, to, why), true
	case !a.Later.IsZero():
		a.Later, a.At, a.Reminders, a.Round = time.Time{}, n.Now, 0, a.Round+1
		return Reminder, a, true
	}
	passed := 0
	for _, days := range o.Settings.RemindDays {
		if !n.Now.Before(a.At.Add(time.Duration(days) * day)) {
			passed++
		}
	}
	if passed <= a.Reminders {
		return "", a, false
	}
	a.Reminders, a.Round = passed, a.Round+1
	return Reminder, a, true
}

// gone says whether whoever was asked can't be asked any more.
func (o *Owners) gone(to string, f Open, passed []string) bool {
	return to != RoleSecurity && o.bars(to, f.Finding, f.Case, passed) != ""
}

// fresh is an item of which somebody is asked for the first time: whom it was passed on to, or the next in line.
func (o *Owners) fresh(n Night, f Open, a state.Asked) state.Asked {
	if a.To == "" || o.gone(a.To, f, a.Passed) {
		asking := o.Of(f.Finding, f.Case, a.Passed)
		a.To, a.Why = asking.To.ID(), asking.Why
	}
	a.Seen, a.Status, a.First, a.Level = f.Finding.FirstSeen, state.AskedOpen, "", 0
	if a.To == RoleSecurity {
		a.Level = 2
	}
	a.At, a.Deadline, a.Later, a.Reminders, a.Round = n.Now, n.Now.Add(time.Duration(o.Settings.DeadlineDays)*day), time.Time{}, 0, a.Round+1
	return a
}

// entrust gives an item to whoever is above the one who was asked.
func (o *Owners) entrust(n Night, a state.Asked, to, why string) state.Asked {
	if a.First == "" {
		a.First = a.To
	}
	a.To, a.Why, a.Status, a.Level = to, why, state.AskedOpen, a.Level+1
	if to == RoleSecurity {
		a.Level = 2
	}
	a.At, a.Deadline, a.Later, a.Reminders, a.Round = n.Now, n.Now.Add(time.Duration(o.Settings.EscalateDays)*day), time.Time{}, 0, a.Round+1
	return a
}

func (o *Owners) item(n Night, f Open, a state.Asked) Item {
	i := Item{Finding: f.Finding, Why: a.Why, Privileged: f.Case.Privileged, Answers: []Answer{Keep, NotMine, Later}}
	if revocable(f.Finding) {
		i.Answers = slices.Insert(i.Answers, 0, Revoke)
	}
	switch a.Level {
	case 0:
		i.Due, i.Otherwise = a.Deadline, "your manager is asked"
		if IsRole(a.To) {
			i.Otherwise = "the security team is asked"
		}
	case 1:
		i.Due, i.Otherwise = a.Deadline, "the security team is asked"
	}
	switch {
	case a.First != "":
		i.Urgency = Overdue
	case !i.Due.IsZero() && i.Due.Sub(n.Now) <= 3*day:
		i.Urgency = Soon
	}
	return i
}

// revocable says whether a plan can be made of a finding.
func revocable(f finding.Finding) bool {
	return slices.Contains([]string{"disable", "end_sessions", "revoke", "reclaim", "rotate_key", "handover"}, f.Action)
}

// finish orders a letter and gives it its key.
func (l *Letter) finish() {
	m := &l.Message
	slices.SortFunc(m.Items, func(a, b Item) int {
		return cmp.Or(strings.Compare(a.Finding.SourceName, b.Finding.SourceName), cmp.Compare(b.Urgency, a.Urgency), cmp.Compare(b.Finding.Severity, a.Finding.Severity),
			strings.Compare(a.Finding.Policy, b.Finding.Policy), strings.Compare(a.Finding.Name, b.Finding.Name), strings.Compare(string(a.Finding.Fingerprint), string(b.Finding.Fingerprint)))
	})
	slices.Sort(m.Earlier)
	slices.SortFunc(l.Asked, func(a, b state.Asked) int { return strings.Compare(a.ID, b.ID) })
	h := sha256.New()
	fmt.Fprintf(h, "%s %q\n", m.Kind, m.To.ID())
	for _, a := range l.Asked {
		fmt.Fprintf(h, "%s %d %d\n", a.ID, a.Seen.UnixMicro(), a.Round)
	}
	m.Key = hex.EncodeToString(h.Sum(nil)[:16])
}

// settle finds what people were asked about and is not open any more.
func (d *Draft) settle(n Night, open map[string]bool) {
	for _, id := range slices.Sorted(maps.Keys(n.Asked)) {
		a := n.Asked[id]
		if open[id] || a.Status == state.AskedSettled {
			continue
		}
		text := "a scan finds it no more"
		if e, ok := n.Accepted[finding.Fingerprint(id)]; ok {
			if a.Status == state.AskedKept {
				continue
			}
			a.Status, text = state.AskedKept, "it was accepted by exception "+e
		} else {
			a.Status = state.AskedSettled
		}
		d.Settled = append(d.Settled, Settled{a, text})
	}
}

// Usual is the median of what past nights found anew.
func Usual(counts []int) int {
	if len(counts) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(counts))
	return sorted[len(sorted)/2]
}
