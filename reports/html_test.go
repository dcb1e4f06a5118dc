package reports

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/finding"
)

// element is a start tag of the page.
type element struct {
	name       string
	attributes map[string]string
}

func render(t testing.TB, d Data) []byte {
	t.Helper()
	var page bytes.Buffer
	if err := mustNew(t, d).HTML(&page, HTMLOptions{CSV: "findings.csv"}); err != nil {
		t.Fatal(err)
	}
	return page.Bytes()
}

// parse reads the page as XML, which knows no forgiveness: each tag is closed in its turn.
func parse(t testing.TB, page []byte) []element {
	t.Helper()
	in := xml.NewDecoder(bytes.NewReader(page))
	var out []element
	for {
		token, err := in.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		if start, ok := token.(xml.StartElement); ok {
			e := element{start.Name.Local, map[string]string{}}
			for _, a := range start.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			out = append(out, e)
		}
	}
}

// Nothing is loaded or run, and every link leads somewhere: a mail gateway or a locked-down browser shows the whole page.
func TestPageIsSelfContained(t *testing.T) {
	elements := parse(t, render(t, company(1)))
	ids := map[string]bool{}
	for _, e := range elements {
		id, ok := e.attributes["id"]
		if ok && ids[id] {
			t.Errorf("id %q is there twice", id)
		}
		ids[id] = true
	}
	links := 0
	for _, e := range elements {
		if slices.Contains([]string{"script", "iframe", "object", "embed", "form", "img", "base"}, e.name) {
			t.Errorf("the page has a %s", e.name)
		}
		for name, value := range e.attributes {
			if strings.HasPrefix(name, "on") || name == "style" || name == "src" {
				t.Errorf("%s has an attribute %s", e.name, name)
			}
			if name != "href" {
				continue
			}
			links++
			anchor, inside := strings.CutPrefix(value, "#")
			if inside && !ids[anchor] {
				t.Errorf("link to %s leads nowhere", value)
			}
			if !inside && value != "./findings.csv" && value != "data:," {
				t.Errorf("link leaves the page: %s", value)
			}
		}
		for _, id := range strings.Fields(e.attributes["aria-labelledby"]) {
			if !ids[id] {
				t.Errorf("%s is labelled by %s, which is not there", e.name, id)
			}
		}
	}
	if links < 10 {
		t.Errorf("only %d links found", links)
	}
}

func TestPageForReaders(t *testing.T) {
	level := 0
	for _, e := range parse(t, render(t, company(1))) {
		switch e.name {
		case "h1", "h2", "h3", "h4":
			next := int(e.name[1] - '0')
			if next > level+1 {
				t.Errorf("%s follows h%d", e.name, level)
			}
			level = next
		case "th":
			if s := e.attributes["scope"]; s != "col" && s != "row" {
				t.Errorf("th with scope %q", s)
			}
		case "svg":
			if e.attributes["aria-hidden"] != "true" && (e.attributes["role"] != "img" || e.attributes["aria-labelledby"] == "") {
				t.Errorf("a drawing with neither title nor aria-hidden: %v", e.attributes)
			}
		}
	}
	if level == 0 {
		t.Error("no headings")
	}
}

// A browser applies the style only if its hash is the one announced.
func TestStyleIsAllowed(t *testing.T) {
	page := string(render(t, company(1)))
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, found := strings.Cut(rest, "</style>")
	if !found || len(style) < 1000 {
		t.Fatal("no style")
	}
	hash := sha256.Sum256([]byte(style))
	want := "style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	for _, e := range parse(t, []byte(page)) {
		if e.attributes["http-equiv"] == "Content-Security-Policy" {
			if policy := e.attributes["content"]; !strings.Contains(policy, want) || !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
				t.Errorf("policy is %s, want it to have %s", policy, want)
			}
			return
		}
	}
	t.Error("no content security policy")
}

// Hostile names change the text of the page and nothing of its structure.
func TestHostileNamesStayText(t *testing.T) {
	structure := func(text string) []string {
		var out []string
		for _, e := range parse(t, render(t, hostile(company(1), text))) {
			keys := []string{e.name}
			for name := range e.attributes {
				keys = append(keys, name)
			}
			slices.Sort(keys[1:])
			out = append(out, strings.Join(keys, " "))
		}
		return out
	}
	plain, attacked := structure("plain"), structure(nasty)
	if !slices.Equal(plain, attacked) {
		t.Errorf("the page has %d elements with plain names and %d with hostile ones", len(plain), len(attacked))
	}
	page := string(render(t, hostile(company(1), nasty)))
	for _, bad := range []string{"\u202e", "\u2066", "\x1b", "\x00", "<script", "<img", "</bdi></style>"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q reached the page", bad)
		}
	}
}

func TestOmittedFindingsAreCounted(t *testing.T) {
	var all []finding.Finding
	for i := range 1234 {
		all = append(all, finding.Finding{Hit: finding.Hit{Policy: "LVR-01", Subject: finding.Subject{Kind: "account", Source: "corp-ad", ID: fmt.Sprint(i)}, Message: "stands"},
			Fingerprint: finding.Fingerprint(fmt.Sprint(i)), Severity: finding.High, Category: "LVR", Status: finding.Open, FirstSeen: daysAgo(9), Backlog: i >= 700})
	}
	for i := range 777 {
		all = append(all, finding.Finding{Hit: finding.Hit{Policy: "DOR-02", Subject: finding.Subject{Kind: "account", ID: fmt.Sprint(i)}, ExcludedBy: "leave"}, Status: finding.Excluded, Severity: finding.Low})
	}
	d := company(1)
	d.Findings = list(all)
	page := string(render(t, d))
	for _, want := range []string{
		"The 500 worst of 700</summary>", "200 findings of this rule are not on this page. <a href=\"./findings.csv\">",
		"<b>534</b> in the backlog", "534 findings of this rule are not on this page.", "500 of 777 excluded hits", "277 more are not on this page.",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if n := strings.Count(page, "<td class=\"why\">"); n != 500 {
		t.Errorf("%d findings are on the page, want 500", n)
	}
	var csv bytes.Buffer
	if err := mustNew(t, d).CSV(&csv); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(csv.String(), "\r\n"); n != 1+1234+777 {
		t.Errorf("the CSV has %d lines, want %d", n, 1+1234+777)
	}
}

// Without a CSV beside it the page says where the omitted are, and links to nothing.
func TestPageWithoutCSV(t *testing.T) {
	var page bytes.Buffer
	if err := mustNew(t, company(200)).HTML(&page, HTMLOptions{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(page.String(), "The CSV report has them all.") || strings.Contains(page.String(), "href=\"\"") {
		t.Error("the omission is not explained")
	}
}

// The name of the CSV can't become a link to somewhere else.
func TestCSVNameIsAFileBeside(t *testing.T) {
	for _, name := range []string{"javascript:alert(1)", "//evil.example/x", "https://evil.example/x.csv", "../../x?y#z"} {
		var page bytes.Buffer
		if err := mustNew(t, company(1)).HTML(&page, HTMLOptions{CSV: name}); err != nil {
			t.Fatal(err)
		}
		for _, e := range parse(t, page.Bytes()) {
			if href := e.attributes["href"]; href != "" && !strings.HasPrefix(href, "#") && href != "data:," && (!strings.HasPrefix(href, "./") || strings.Contains(href[2:], "/")) {
				t.Errorf("CSV %q: link to %s", name, href)
			}
		}
	}
}

func TestEvidence(t *testing.T) {
	for object, want := range map[string]string{
		"": "[]",
		`{"hours_since_end":72,"mfa":false,"x":null}`:          "[{hours since end 72} {mfa no} {x unknown}]",
		`{"path":["Helpdesk","Tier 1","Admins"]}`:              "[{path Helpdesk → Tier 1 → Admins}]",
		`{"grants":[{"id":"a","path":["p","q"]},{"id":"b"}]}`:  "[{grants 1: id a} {grants 1: path p → q} {grants 2: id b}]",
		`{"share":0.031250000000000001,"n":12345678901234567}`: "[{n 12345678901234567} {share 0.031250000000000001}]",
		`not an object`: "[{evidence not an object}]",
	} {
		if got := fmt.Sprint(evidence(object)); got != want {
			t.Errorf("evidence(%s) = %s, want %s", object, got, want)
		}
	}
}

func BenchmarkPage100k(b *testing.B) {
	r := mustNew(b, company(2500))
	b.Logf("%d findings", r.Listed)
	b.ReportAllocs()
	for b.Loop() {
		n := &counter{}
		if err := r.HTML(n, HTMLOptions{CSV: "findings.csv"}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n.n)/1e6, "MB/page")
	}
}

func BenchmarkCount100k(b *testing.B) {
	d := company(2500)
	b.ReportAllocs()
	for b.Loop() {
		mustNew(b, d)
	}
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }
