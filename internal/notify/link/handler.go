package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/digest"
	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// Standing is how it stands with what a link was sent for.
type Standing struct {
	Item   digest.Item
	Source string
	// Used says what this very link came to before, "" if nothing.
	Used string
	// Gone says why there is nothing to answer any more, "" while there is.
	Gone string
}

// Callbacks take what comes by links. They are called by several goroutines at once.
type Callbacks struct {
	// Look says how it stands with a decision that may be made. It changes nothing.
	Look func(ctx context.Context, d notify.Decision) (Standing, error)
	// Decide authorises an answer and commits it, and says what came of it. What was not recorded is a refusal, for whoever
	// answers to read; an error means that nothing was committed and that it may be tried again. The same ID is the same
	// decision.
	Decide func(ctx context.Context, d notify.Decision) (reply string, recorded bool, err error)
}

// Options are what Answers may be told beside. The zero value is right.
type Options struct {
	Zone *time.Location // in which a day ends that somebody picks; UTC by default
	Log  *slog.Logger   // by default nothing is logged; no token is ever
}

// Answers is the way back of links: an http.Handler for Path.
type Answers struct {
	links   *Links
	call    Callbacks
	zone    *time.Location
	log     *slog.Logger
	callers limits
}

// Answers makes the way back. Both callbacks are needed.
func (l *Links) Answers(call Callbacks, o Options) *Answers {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Answers{links: l, call: call, zone: o.Zone, log: o.Log}
}

const (
	maxForm   = 16 << 10
	maxReason = 1000 // characters, as the form says
	maxTo     = 254
	within    = 20 * time.Second
	keepDays  = 90 // that the form proposes
	laterDays = 3
)

// ServeHTTP shows what a link is for, and takes the form of that page. GET changes nothing: mail is read by machines first, and
// they follow links.
func (a *Answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, HEAD, POST")
		a.show(w, http.StatusMethodNotAllowed, page{Title: "This can't be done", Text: "Open the link of the message in a browser."})
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	d, err := a.links.Read(r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:])
	// Whoever guesses is slowed down by where they come from, and nobody else with them: those with a link are by their link.
	caller := "link " + d.ID
	if err != nil {
		caller, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	if !a.callers.allow(caller, time.Now()) {
		w.Header().Set("Retry-After", "10")
		a.show(w, http.StatusTooManyRequests, page{Title: "Too many requests", Text: "Wait a moment and open the link again."})
		return
	}
	switch {
	case errors.Is(err, ErrExpired):
		a.show(w, http.StatusGone, page{Title: "This link has expired", Text: "Nothing was changed. If it still waits for your decision, the next reminder has new links."})
	case err != nil:
		a.show(w, http.StatusForbidden, page{Title: "This link is not valid", Text: "Nothing was changed. It may have been broken on its way: copy the whole of it from the message."})
	case r.Method == http.MethodPost:
		a.decide(ctx, w, r, d)
	default:
		a.ask(ctx, w, d, "", http.StatusOK)
	}
}

// ask shows what is to be confirmed, with what was wrong about the form that came before.
func (a *Answers) ask(ctx context.Context, w http.ResponseWriter, d notify.Decision, fault string, status int) {
	s, err := a.call.Look(ctx, d)
	switch {
	case err != nil:
		a.log.WarnContext(ctx, "a link is not shown", "finding", d.Finding, "error", err)
		a.show(w, http.StatusServiceUnavailable, page{Title: "This could not be looked up", Text: "Nothing was changed. Try again in a moment."})
	case s.Used != "":
		a.show(w, http.StatusOK, page{Title: "This link was used", Text: "It counts once. What came of it: " + s.Used + "."})
	case s.Gone != "":
		a.show(w, http.StatusGone, page{Title: "There is nothing to answer any more", Text: "Nothing was changed: " + s.Gone + "."})
	default:
		a.show(w, status, a.form(d, s, fault))
	}
}

func (a *Answers) decide(ctx context.Context, w http.ResponseWriter, r *http.Request, d notify.Decision) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		a.show(w, http.StatusBadRequest, page{Title: "The form can't be read", Text: "Nothing was changed. Open the link again."})
		return
	}
	if fault := a.fill(&d, r); fault != "" {
		a.ask(ctx, w, d, fault, http.StatusUnprocessableEntity)
		return
	}
	reply, recorded, err := a.call.Decide(ctx, d)
	switch {
	case err != nil:
		a.log.WarnContext(ctx, "an answer by a link is not recorded", "finding", d.Finding, "error", err)
		a.show(w, http.StatusServiceUnavailable, page{Title: "Your answer was not recorded", Text: "Try again in a moment: open the link again and send the form."})
	case !recorded:
		a.ask(ctx, w, d, "This was not recorded: "+foreign.Line(reply), http.StatusConflict)
	default:
		a.show(w, http.StatusOK, page{Title: "Your answer is recorded", Text: foreign.Line(reply), Done: true})
	}
}

// fill takes what was written into the form, and says what is wrong with it.
func (a *Answers) fill(d *notify.Decision, r *http.Request) (fault string) {
	day, dayErr := time.ParseInLocation(time.DateOnly, r.PostForm.Get("until"), a.zone)
	end := day.AddDate(0, 0, 1)
	reason, to := foreign.Line(r.PostForm.Get("reason")), foreign.Line(r.PostForm.Get("to"))
	now := a.links.now()
	d.Reason, d.To = reason, to // so that a form that comes back has them
	switch d.Answer {
	case notify.Keep:
		d.To = ""
		switch {
		case reason == "":
			return "Say why it is needed."
		case utf8.RuneCountInString(reason) > maxReason:
			return "The reason is too long: say it in 1000 characters."
		case dayErr != nil:
			return "Choose the day until which it is needed."
		case !end.After(now):
			return "The day until which it is needed is past."
		}
		d.Until = end
	case notify.Later:
		switch {
		case dayErr != nil:
			return "Choose the day on which to ask again."
		case !day.After(now):
			return "The day on which to ask again has begun already."
		}
		d.Until = day
	case notify.NotMine:
		if utf8.RuneCountInString(to) > maxTo {
			return "That is no address: it is too long."
		}
	}
	return ""
}

// secure keeps a page out of caches and frames, lets it run nothing and load nothing, and keeps its address, which holds the
// token, from every other site.
func secure(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src '"+styleHash+"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
