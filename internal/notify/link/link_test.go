package link

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

var noon = time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)

var fingerprint = finding.NewFingerprint("LVR-01", finding.Subject{Kind: access.SubjectAccount, Source: "crm", ID: "a1"}, "")

var offer = Offer{Channel: "email", Email: "mia@example.com", Message: "m1", Finding: fingerprint, Answer: notify.Keep}

func secretRef(t testing.TB, ref string) collect.Secret {
	t.Helper()
	var s collect.Secret
	if err := yaml.Unmarshal([]byte(ref), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// newLinks signs with the first of some keys, which are named k1, k2, ...
func newLinks(t testing.TB, clock *time.Time, signing string, ids ...string) *Links {
	t.Helper()
	c := Config{URL: "https://lapse.example.com/", Keys: map[string]collect.Secret{}, Key: signing}
	keys := map[string]string{}
	for _, id := range ids {
		c.Keys[id], keys[id] = secretRef(t, "env:"+strings.ToUpper(id)), strings.Repeat(id+"-made-up ", 5)
	}
	l, err := New(c, keys, func() time.Time { return *clock })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func token(t testing.TB, link string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(link, "https://lapse.example.com/answer/")
	if !ok || url.PathEscape(rest) != rest || len(rest) > 200 {
		t.Fatalf("the link is %q", link)
	}
	return rest
}

func TestRead(t *testing.T) {
	now := noon
	l := newLinks(t, &now, "k1", "k1")
	d, err := l.Read(token(t, l.URL(offer)))
	if err != nil || d.Channel != "email" || d.Who != "mia@example.com" || d.Email != "mia@example.com" || d.Finding != fingerprint || d.Answer != notify.Keep || d.ID == "" {
		t.Fatalf("%+v, %v", d, err)
	}
	ids := map[string]string{d.ID: "the first"}
	for name, change := range map[string]func(*Offer){
		"another recipient": func(o *Offer) { o.Email = "bob@example.com" },
		"another answer":    func(o *Offer) { o.Answer = notify.Later },
		"another message":   func(o *Offer) { o.Message = "m2" },
		"another channel":   func(o *Offer) { o.Channel = "teams" },
		"another finding":   func(o *Offer) { o.Finding = finding.Fingerprint(strings.Repeat("0", 64)) },
	} {
		o := offer
		change(&o)
		d, err := l.Read(token(t, l.URL(o)))
		if err != nil || ids[d.ID] != "" {
			t.Errorf("%s has the id of %s: %v", name, ids[d.ID], err)
		}
		ids[d.ID] = name
	}
	if l.URL(Offer{Channel: "email", Finding: fingerprint, Answer: notify.Keep}) != "" {
		t.Error("a link for nobody")
	}
	if (*Links)(nil).URL(offer) != "" {
		t.Error("a link that nothing signs")
	}
}

// Every bit counts, and no second spelling is taken.
func TestForged(t *testing.T) {
	now := noon
	l := newLinks(t, &now, "k1", "k1")
	good := token(t, l.URL(offer))
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			if d, err := l.Read(base64.RawURLEncoding.EncodeToString(raw)); !errors.Is(err, ErrForged) {
				t.Fatalf("bit %d of byte %d: %+v, %v", bit, i, d, err)
			}
			raw[i] ^= 1 << bit
		}
	}
	for n := range raw {
		if _, err := l.Read(base64.RawURLEncoding.EncodeToString(raw[:n])); !errors.Is(err, ErrForged) {
			t.Fatalf("its first %d bytes: %v", n, err)
		}
	}
	for _, bad := range []string{"", "x", good + "=", good + "A", good + "\n", strings.ToUpper(good), "../" + good} {
		if _, err := l.Read(bad); !errors.Is(err, ErrForged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := newLinks(t, &now, "k2", "k2").Read(good); !errors.Is(err, ErrForged) {
		t.Errorf("signed by another: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	now := noon
	l := newLinks(t, &now, "k1", "k1")
	good := token(t, l.URL(offer))
	now = noon.Add(14*24*time.Hour - time.Second)
	if _, err := l.Read(good); err != nil {
		t.Error(err)
	}
	now = noon.Add(14 * 24 * time.Hour)
	if _, err := l.Read(good); !errors.Is(err, ErrExpired) {
		t.Error(err)
	}
}

// A key that is rotated out is good until its links have ended, and the answer by them is the same one.
func TestRotation(t *testing.T) {
	now := noon
	old, both := newLinks(t, &now, "k1", "k1"), newLinks(t, &now, "k2", "k1", "k2")
	first, err := both.Read(token(t, old.URL(offer)))
	if err != nil {
		t.Fatal(err)
	}
	now = noon.Add(time.Hour)
	second, err := both.Read(token(t, both.URL(offer)))
	if err != nil || first != second {
		t.Errorf("%+v, %+v, %v", first, second, err)
	}
	if _, err := old.Read(token(t, both.URL(offer))); !errors.Is(err, ErrForged) {
		t.Errorf("a key that is not known: %v", err)
	}
}

func TestConfig(t *testing.T) {
	good := Config{URL: "https://lapse.example.com", Keys: map[string]collect.Secret{"k1": secretRef(t, "env:K")}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, meddle := range map[string]func(*Config){
		"url is missing":      func(c *Config) { c.URL = "" },
		"want https":          func(c *Config) { c.URL = "http://lapse.example.com" },
		"an address alone":    func(c *Config) { c.URL = "https://u:p@lapse.example.com" },
		"keys is missing":     func(c *Config) { c.Keys = nil },
		"the id":              func(c *Config) { c.Keys = map[string]collect.Secret{"K 1": {}} },
		"key is missing":      func(c *Config) { c.Keys = map[string]collect.Secret{"a": {}, "b": {}} },
		`none called "other"`: func(c *Config) { c.Key = "other" },
		"days: 61":            func(c *Config) { c.Days = 61 },
	} {
		bad := good
		meddle(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := New(good, map[string]string{"k1": "hunter2"}, time.Now)
	if err == nil || !strings.Contains(err.Error(), "fewer than 32") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a short key: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	now := noon
	l := newLinks(f, &now, "k1", "k1")
	good := token(f, l.URL(offer))
	f.Add(good)
	f.Add("")
	f.Add("AQJrMQ")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := l.Read(text); err == nil && text != good {
			t.Errorf("%q is taken for %+v", text, d)
		}
	})
}
