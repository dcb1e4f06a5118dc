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
	if _, ok := terminal(g.sys.Stderr); ok {
		return &bar{w: g.sys.Stderr, sources: sources}
	}
	return lines{g.logger()}
}

type silent struct{}

func (silent) Collected(scan.Collected) {}
func (silent) Phase(string, int)        {}
func (silent) Advance(int)              {}

type lines struct{ log *slog.Logger }

func (l lines) Collected(c scan.Collected) {
	attrs := []any{"source", c.Source.UID, "records", c.Result.Total(), "rejected", c.Result.Rejected, "took", c.Took.Round(time.Millisecond)}
	if !c.Verdict.Accepted {
		l.log.Warn("source quarantined", append(attrs, "why", c.Verdict.String())...)
		return
	}
	l.log.Info("source read", attrs...)
}

func (l lines) Phase(name string, _ int) { l.log.Debug(name) }
func (lines) Advance(int)                {}

type bar struct {
	mu      sync.Mutex
	w       io.Writer
	sources int
	bar     *progressbar.ProgressBar
}

func (b *bar) Collected(c scan.Collected) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !c.Verdict.Accepted {
		b.clear()
		fmt.Fprintf(b.w, "%s is quarantined: %s\n", c.Source.UID, printable(c.Verdict.String()))
	}
	if b.bar == nil {
		b.start("reading sources", b.sources)
	}
	_ = b.bar.Add(1)
}

func (b *bar) Phase(name string, units int) {
	b.mu.Lock()
	defer b.mu.Unlock()
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
