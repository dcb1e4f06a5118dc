package app_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/app"
	"github.com/lapse-audit/lapse/internal/config"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/internal/synth"
)

// BenchmarkClick takes answers in a company of ten thousand people, as the Slack channel hands them over: one after the other.
// Slack waits three seconds for the acknowledgement; at 50 clicks a second one may take 20 ms.
func BenchmarkClick(b *testing.B) {
	library := os.Getenv("LAPSE_LIBCHDB")
	if library == "" {
		b.Skip("LAPSE_LIBCHDB is not set: run `make bench`")
	}
	company := synth.New(synth.Config{Seed: 1, People: 10_000})
	dir := b.TempDir()
	file := filepath.Join(dir, "lapse.yaml")
	text := company.Config() + "\nnotify: {quiet: never, hold: {least: 1000000}, text: {dir: messages}, per_minute: {text: 600000}}\nremediation: {approve_by_click: true}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	a := app.New(c, app.Options{Now: func() time.Time { return company.RunTime(n) }, Library: library, Log: slog.New(slog.DiscardHandler), Version: "test"})
	defer a.Close()
	ctx, actor := b.Context(), state.Actor{ID: "test"}
	for i, night := range []int{0, company.Nights() - 1} {
		n = night
		if err := company.WriteExports(dir, n); err != nil {
			b.Fatal(err)
		}
		if _, err := a.Scan(ctx, app.ScanOptions{Progress: silent{}, Actor: actor}); err != nil {
			b.Fatal(err)
		}
		if i == 0 {
			if _, _, err := a.StartNotify(ctx, actor); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := a.Notify(ctx, actor); err != nil {
		b.Fatal(err)
	}
	decisions, err := a.State(ctx)
	if err != nil {
		b.Fatal(err)
	}
	asked, err := decisions.Asked(ctx, false)
	if err != nil {
		b.Fatal(err)
	}
	owned, err := a.AskedAbout(ctx, app.FindingQuery{})
	if err != nil {
		b.Fatal(err)
	}
	var items []notify.Decision
	for _, o := range owned {
		q, ok := asked[string(o.Finding.Fingerprint)]
		if ok && !notify.IsRole(q.To) && o.Finding.Action == "disable" {
			items = append(items, notify.Decision{Channel: notify.ChannelCLI, Who: q.To, Finding: finding.Fingerprint(q.ID)})
		}
	}
	begin := time.Now()
	if err := a.PrepareAnswers(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("prepared %d open findings within %v", len(owned), time.Since(begin))
	clicks := 0
	for _, answer := range []notify.Answer{notify.Later, notify.Revoke} {
		b.Run(string(answer), func(b *testing.B) {
			slowest, plans := time.Duration(0), time.Duration(0)
			for b.Loop() {
				d := items[clicks%len(items)]
				d.Answer, d.ID = answer, fmt.Sprint("click-", clicks)
				clicks++
				begin := time.Now()
				reply, err := a.RecordAnswer(ctx, actor, d)
				if err != nil || !strings.HasPrefix(reply, "Recorded") {
					b.Fatalf("%v %s", err, reply)
				}
				slowest = max(slowest, time.Since(begin))
				b.StopTimer()
				if answer == notify.Revoke {
					begin = time.Now()
					if reply := a.FollowAnswer(ctx, actor, d); !strings.Contains(reply, "plan") {
						b.Fatal(reply)
					}
					plans += time.Since(begin)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(plans.Milliseconds())/float64(b.N), "plan-ms/op")
			b.ReportMetric(float64(slowest.Milliseconds()), "slowest-ms")
			b.ReportMetric(float64(len(items)), "items")
		})
	}
}
