package remediate

import (
	"strings"
	"testing"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/state"
	"github.com/lapse-audit/lapse/reports/pagetest"
)

// Names of foreign systems do nothing to the pages, and every step is on them.
func TestPages(t *testing.T) {
	evil := `<img src=x onerror=alert(1)>|*_[x](javascript:alert(1))`
	m := &Maker{Settings: Defaults(), Facts: Facts{"ad": directory()}, Plan: Plan{ID: "plan-1", Made: noon, By: "hr:9", Run: 7, RunTime: noon, Reason: evil}}
	a := m.Facts["ad"].Accounts["anna"]
	a.Username = evil
	m.Facts["ad"].Accounts["anna"] = a
	f := found("LIC-01", "reclaim", "anna", "", "")
	f.Message = evil
	m.Add(f)
	m.Add(found("DIS-01", "revoke", "anna", "admins", ""))
	m.Add(found("DOR-01", "disable", "torn", "", ""))
	p := m.Finish()
	if got := p.Totals().String(); got != "3 changes, 1 account, 2 seats freed, 57.00 USD a month" {
		t.Errorf("totals: %s", got)
	}
	var html, markdown strings.Builder
	v := PlanView{Plan: p, Hash: strings.Repeat("0123456789abcdef", 4), Zone: time.UTC, Refusals: []Refusal{{"caps", "51 accounts"}}}
	if err := v.HTML(&html); err != nil {
		t.Fatal(err)
	}
	if err := v.Markdown(&markdown); err != nil {
		t.Fatal(err)
	}
	if got := pagetest.Measure(t, pagetest.Overflow, []int{375}, html.String()); got[0] != "0" {
		t.Errorf("at the width of a phone the plan sticks out by %s pixels", got[0])
	}
	for name, text := range map[string]string{"html": html.String(), "markdown": markdown.String()} {
		if strings.Contains(text, "<img") || name == "markdown" && strings.Contains(text, "[x](java") {
			t.Errorf("%s runs what a name says:\n%s", name, text)
		}
		for _, want := range []string{"take away Operations", "loses Domain Admins, Helpdesk, Operations", "reclaim Suite", "57.00 USD a month", "it is disputed", "51 accounts"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
}

func TestCertify(t *testing.T) {
	o := access.Object{Kind: access.HolderAccount, ID: "1"}
	later := noon.Add(24 * time.Hour)
	p := Plan{ID: "plan-1", Kind: KindOffboard, Person: "hr:1", PersonName: "<i>Anna</i>", Made: noon, Steps: []Step{
		{N: 1, Source: "ad", Subject: "anna", Change: access.Change{Action: access.ActionDisable, Object: o}},
		{N: 2, Source: "ad", Subject: "anna", Change: access.Change{Action: access.ActionEndSessions, Object: o}},
		{N: 3, Source: "ad", Subject: "anna", Change: access.Change{Action: access.ActionRevoke, Object: o}, Target: "Staff", NotBefore: later},
		{N: 4, Source: "people", Subject: "Anna", Change: access.Change{Action: task}, Manual: "collect the laptop"},
		{N: 5, Source: "crm", Subject: "anna", Change: access.Change{Action: access.ActionDisable, Object: o}},
		{N: 6, Source: "crm", Subject: "anna", Change: access.Change{Action: access.ActionReclaim, Object: o}, Target: "Suite", Manual: "no way to"},
		{N: 7, Source: "vpn", Subject: "anna", Change: access.Change{Action: access.ActionDisable, Object: o}},
	}}
	entries := []state.ChangeEntry{
		{ID: "chg-1", Step: 1, Status: state.ChangeDone, Began: noon, Ended: noon, By: "hr:8"},
		{ID: "chg-2", Step: 2, Status: state.ChangeSent, Began: noon, Ended: noon, By: "hr:8"},
		{ID: "chg-4", Step: 4, Status: state.ChangeAttested, Began: noon, By: "hr:5", Detail: "shelf 7"},
		{ID: "chg-5", Step: 5, Status: state.ChangeRefused, Began: noon, By: "hr:8", Detail: "insufficient rights"},
		{ID: "chg-7", Step: 7, Status: state.ChangeDone, Began: noon, By: "hr:8"},
		{ID: "chg-8", Step: 7, Undoes: "chg-7", Status: state.ChangeDone, Began: later, By: "hr:8"},
	}
	c := Certify(p, state.Plan{Hash: "abc"}, entries, nil, []CertifiedApp{{UID: "ad", Name: "Corp AD"}, {UID: "wiki", Name: "Wiki", AsOf: noon}}, noon.Add(time.Hour))
	var got []string
	for _, a := range c.Apps {
		for _, l := range a.Lines {
			got = append(got, a.UID+" "+l.What+": "+l.State+", "+l.How)
		}
	}
	want := []string{
		"ad disable: done, read back from the system",
		"ad end all sessions: done, the system accepted it; it has no way to show it",
		"ad take away Staff: open, due on 2026-11-26 12:00 UTC",
		"people collect the laptop: attested, by word of hr:5: shelf 7",
		"crm disable: open, refused: insufficient rights",
		"crm reclaim Suite: open, a person has to do it: no way to",
		"vpn disable: open, it was undone on 2026-11-26 12:00 UTC",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("lines\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.Complete || c.Sum() != "2 done, 1 attested, 4 open" {
		t.Errorf("complete %v: %s", c.Complete, c.Sum())
	}
	var html strings.Builder
	if err := c.HTML(&html, time.UTC); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"&lt;i&gt;Anna", "No account of theirs, as of 2026-11-25 12:00 UTC", "Not complete", "shelf 7"} {
		if !strings.Contains(html.String(), text) {
			t.Errorf("the page lacks %q", text)
		}
	}
}
