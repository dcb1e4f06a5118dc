package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/lapse-audit/lapse/internal/state"
)

// checked is what one look at readiness found. Why something is not well stands in the log: who asks is not known.
type checked struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// probeTime bounds what a probe waits for.
const probeTime = 5 * time.Second

// alive answers as long as the process does.
func (s *Service) alive(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"alive": true, "version": s.o.Version})
}

// ready answers whether requests are to be sent here.
func (s *Service) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTime)
	defer cancel()
	g := s.acquire()
	defer g.inflight.Done()
	all := []checked{{Name: "configuration", OK: true}}
	if s.stopping.Load() {
		all = append(all, checked{"service", false, "it is stopping"})
	}
	note := func(name string, err error) {
		if err != nil {
			s.o.Log.Warn("not ready", "check", name, "error", err)
			all = append(all, checked{name, false, "it can't be reached: the log says why"})
			return
		}
		all = append(all, checked{Name: name, OK: true})
	}
	_, err := s.o.State.Head(ctx)
	note("state", err)
	if err == nil {
		_, _, err = g.facts.get(ctx)
		note("store", err)
		for _, j := range g.setup.Jobs {
			all = append(all, s.onTime(ctx, j))
		}
	}
	ready := true
	for _, c := range all {
		ready = ready && c.OK
	}
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, map[string]any{"ready": ready, "checks": all})
}

// onTime says how a job stands. A failed run alone makes nobody unready: answers of people are taken all the same.
func (s *Service) onTime(ctx context.Context, j Job) checked {
	c := checked{Name: "schedule of " + j.Name, OK: true}
	slot, err := s.o.State.Slot(ctx, j.Name)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return c
	case err != nil:
		return checked{c.Name, false, "it can't be read"}
	}
	now, since := s.o.Clock.Now(), slot.At
	if slot.Status == state.SlotFailed {
		c.Detail = "the run of " + slot.At.In(j.Schedule.zone).Format(time.RFC3339) + " failed: run " + slot.Run + " in the log"
	}
	if slot.Status == state.SlotNone || slot.Status == state.SlotDone {
		if since = j.Schedule.Next(slot.At); since.IsZero() {
			return c
		}
	} else if !slot.Succeeded.IsZero() {
		since = earlier(since, j.Schedule.Next(slot.Succeeded))
	}
	if j.Overdue > 0 && now.Sub(since) > j.Overdue {
		c.OK, c.Detail = false, cmp.Or(c.Detail, "overdue")+"; due since "+since.In(j.Schedule.zone).Format(time.RFC3339)
	}
	return c
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
