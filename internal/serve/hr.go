package serve

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/lapse-audit/lapse/internal/state"
)

// HeaderSignature has the signature of a request: "t=UNIX,v1=HEX", an HMAC-SHA256 with the shared secret over UNIX, a dot
// and the body. There may be several v1, while a secret is changed.
const HeaderSignature = "Lapse-Signature"

const (
	// maxEvent is for the body of a request.
	maxEvent = 1 << 20
	// signedFor is how far the time of a signature may be from now.
	signedFor = 5 * time.Minute
)

// HR takes the events of HR systems at /hr/NAME.
type HR struct {
	Hooks []Hook
	// Record writes an event down, and says whether it is new. It is acknowledged when Record returned, and only then.
	Record func(ctx context.Context, l state.Leaver) (added bool, err error)
	Count  func(webhook, outcome string)
	Now    func() time.Time // the machine's clock: signatures have its time
	Zone   *time.Location   // of days without a zone
	Log    *slog.Logger

	mu   sync.Mutex
	seen map[string]time.Time // signatures that were used, until they are of no use any more
}

// Hook is a webhook with its secrets.
type Hook struct {
	Webhook
	SecretText, BearerText string
}

// refusal is why a request is not taken. Nothing of its body is in it.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

// ServeHTTP takes an event. 202 means that it is recorded, now or before; 200 that it is of a kind that nothing is done about.
func (h *HR) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	i := slices.IndexFunc(h.Hooks, func(k Hook) bool { return k.Name == name })
	if i < 0 {
		http.Error(w, "there is no such webhook", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST only", http.StatusMethodNotAllowed)
		return
	}
	outcome, err := h.take(w, r, &h.Hooks[i])
	if no, ok := errors.AsType[*refusal](err); ok {
		h.count(name, "refused")
		h.Log.Warn("an event of HR is refused", "webhook", name, "why", no.why, "from", r.RemoteAddr)
		http.Error(w, no.why, no.status)
		return
	}
	if err != nil {
		h.count(name, "failed")
		h.Log.Error("an event of HR is not recorded", "webhook", name, "error", err)
		http.Error(w, "not recorded: send it again", http.StatusInternalServerError)
		return
	}
	h.count(name, outcome)
	if outcome == "other" {
		_, _ = io.WriteString(w, "nothing is done about events of this kind\n")
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, "recorded\n")
}

func (h *HR) count(webhook, outcome string) {
	if h.Count != nil {
		h.Count(webhook, outcome)
	}
}

func (h *HR) take(w http.ResponseWriter, r *http.Request, k *Hook) (outcome string, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxEvent))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return "", refuse(http.StatusRequestEntityTooLarge, "the body is larger than %d bytes", maxEvent)
	}
	if err != nil {
		return "", refuse(http.StatusBadRequest, "the body can't be read")
	}
	taken, err := h.authentic(k, r.Header, body)
	if err != nil {
		return "", err
	}
	l, err := h.event(r.Context(), k, body)
	if err != nil || l.ID == "" {
		return "other", err
	}
	added, err := h.Record(r.Context(), l)
	switch {
	case errors.Is(err, state.ErrExists):
		return "", refuse(http.StatusConflict, "an event with this id came before, about somebody else")
	case err != nil:
		h.forget(taken) // it may come again
		return "", err
	case !added:
		return "repeated", nil
	}
	h.Log.Info("HR says that somebody leaves", "webhook", k.Name, "event", l.ID, "person", l.Person)
	return "recorded", nil
}

// authentic checks who sent it. It returns the signature, which counts as used from then on.
func (h *HR) authentic(k *Hook, header http.Header, body []byte) (signature string, err error) {
	if k.BearerText != "" {
		if !sameSecret(header.Get("Authorization"), "Bearer "+k.BearerText) {
			return "", refuse(http.StatusUnauthorized, "the bearer token is missing or wrong")
		}
		return "", nil
	}
	text := header.Get(HeaderSignature)
	if text == "" {
		return "", refuse(http.StatusUnauthorized, "it is not signed: the header %s is missing", HeaderSignature)
	}
	var at int64
	var sums [][]byte
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if at, err = strconv.ParseInt(value, 10, 64); err != nil {
				return "", refuse(http.StatusUnauthorized, "the time of the signature can't be read: want t=UNIX,v1=HEX")
			}
		case "v1":
			if sum, err := hex.DecodeString(value); err == nil {
				sums = append(sums, sum)
			}
		}
	}
	mac := hmac.New(sha256.New, []byte(k.SecretText))
	fmt.Fprintf(mac, "%d.", at)
	mac.Write(body)
	want := mac.Sum(nil)
	if !slices.ContainsFunc(sums, func(sum []byte) bool { return hmac.Equal(sum, want) }) {
		return "", refuse(http.StatusUnauthorized, "the signature is not valid")
	}
	if off := h.Now().Sub(time.Unix(at, 0)); off > signedFor || off < -signedFor {
		return "", refuse(http.StatusUnauthorized, "the signature is of another time: it is good for %s", signedFor)
	}
	signature = k.Name + " " + hex.EncodeToString(want)
	if !h.first(signature) {
		return "", refuse(http.StatusConflict, "this very request came before: what is sent again is signed again")
	}
	return signature, nil
}

// first reports whether a signature comes for the first time. Where another replica, or the process before this one, took
// the request, the event's id says so.
func (h *HR) first(signature string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.Now()
	maps.DeleteFunc(h.seen, func(_ string, at time.Time) bool { return now.Sub(at) > 2*signedFor+time.Minute })
	if _, ok := h.seen[signature]; ok {
		return false
	}
	if h.seen == nil {
		h.seen = map[string]time.Time{}
	}
	h.seen[signature] = now
	return true
}

// inherit takes over the signatures that were used.
func (h *HR) inherit(old *HR) {
	old.mu.Lock()
	defer old.mu.Unlock()
	h.seen = maps.Clone(old.seen)
}

func (h *HR) forget(signature string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.seen, signature)
}

// event maps a body. A kind that says nothing of a leaver gives no id.
func (h *HR) event(ctx context.Context, k *Hook, body []byte) (l state.Leaver, err error) {
	var v any
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil || dec.More() {
		return l, refuse(http.StatusUnprocessableEntity, "the body is no JSON")
	}
	text := func(name string, e *Expr, needed bool) (out string) {
		if err != nil {
			return ""
		}
		got, bad := e.text(ctx, v)
		switch {
		case bad != nil:
			err = refuse(http.StatusUnprocessableEntity, "%s: %v", name, bad)
		case got == "" && needed:
			err = refuse(http.StatusUnprocessableEntity, "%s: the body has none", name)
		case len(got) > 200 || strings.ContainsFunc(got, unicode.IsControl):
			err = refuse(http.StatusUnprocessableEntity, "%s: it is longer than 200 bytes, or holds a control character", name)
		}
		return got
	}
	kind := text("event", &k.Event, true)
	if err != nil || !slices.Contains(k.Leaver, kind) {
		return l, err
	}
	id, person, on := text("id", &k.ID, true), text("person", &k.Person, true), text("on", &k.On, false)
	if err != nil {
		return l, err
	}
	sum := sha256.Sum256(body)
	l = state.Leaver{ID: k.Name + "/" + id, Origin: k.Name, Person: person, Hash: hex.EncodeToString(sum[:])}
	if k.Roster != "" {
		l.Person = k.Roster + ":" + person
	}
	if on != "" {
		if l.On, err = leaves(on, h.Zone, k.EndDate); err != nil {
			return state.Leaver{}, err
		}
	}
	return l, nil
}

// leaves reads when somebody leaves. Of a day, it is the end that is meant unless the webhook says otherwise: nobody is to
// lose their access on the morning of their last day.
func leaves(text string, zone *time.Location, endDate string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.UTC(), nil
		}
	}
	t, err := time.ParseInLocation(time.DateOnly, text, zone)
	if err != nil {
		return t, refuse(http.StatusUnprocessableEntity, "on: want a day (2026-11-30), a time (2026-11-30T17:00) or RFC 3339")
	}
	if endDate != firstDayOff {
		t = t.AddDate(0, 0, 1)
	}
	return t.UTC(), nil
}
