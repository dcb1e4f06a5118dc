package cli

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/lapse-audit/lapse/internal/scan"
)

// progress shows how a scan goes on: a bar on a terminal, plain lines elsewhere.
func (g *global) progress(sources int) scan.Progress {
	if g.quiet {
		return silent{}
	}
	if width, ok := terminal(g.sys.Stderr); ok {
		return &bar{w: g.sys.Stderr, sources: reading{w: g.sys.Stderr, of: sources, width: width, now: time.Now}}
	}
	return lines{g.logger()}
}

type silent struct{}

func (silent) Reading(string, int64, int64) {}
func (silent) Collected(scan.Collected)     {}
func (silent) Phase(string, int)            {}
func (silent) Advance(int)                  {}

type lines struct{ log *slog.Logger }

func (l lines) Collected(c scan.Collected) {
	attrs := []any{"source", c.Source.UID, "records", c.Result.Total(), "rejected", c.Result.Rejected, "took", c.Took.Round(time.Millisecond)}
	if !c.Verdict.Accepted {
		l.log.Warn("source quarantined", append(attrs, "why", c.Verdict.String())...)
		return
	}
	l.log.Info("source read", attrs...)
}

func (lines) Reading(string, int64, int64) {}

func (l lines) Phase(name string, _ int) { l.log.Debug(name) }
func (lines) Advance(int)                {}

type bar struct {
	mu      sync.Mutex
	w       io.Writer
	sources reading
	bar     *progressbar.ProgressBar
}

func (b *bar) Reading(source string, records, before int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.at(source, records, before)
}

func (b *bar) Collected(c scan.Collected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.end(c.Source.UID)
	if !c.Verdict.Accepted {
		b.sources.clear()
		fmt.Fprintf(b.w, "%s is quarantined: %s\n", c.Source.UID, printable(c.Verdict.String()))
	}
	if b.sources.all() {
		b.sources.clear()
		return
	}
	b.sources.draw()
}

func (b *bar) Phase(name string, units int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources.clear()
	b.clear()
	b.start(name, units)
}

func (b *bar) Advance(units int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bar != nil {
		_ = b.bar.Add(units)
	}
}

func (b *bar) start(name string, units int) {
	if units == 0 {
		units = -1
	}
	b.bar = progressbar.NewOptions(units, progressbar.OptionSetWriter(b.w), progressbar.OptionSetDescription(name),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30))
}

func (b *bar) clear() {
	if b.bar != nil {
		_ = b.bar.Finish()
		_ = b.bar.Clear()
		b.bar = nil
	}
}
