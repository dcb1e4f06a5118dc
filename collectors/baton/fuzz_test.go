package baton

import (
	"strings"
	"testing"

	"github.com/lapse-audit/lapse/internal/access"
)

// FuzzFile reads anything as a file, as it is or as the database within one: it must end, in bounded memory, with an error
// that names the file or with records that have ids.
func FuzzFile(f *testing.F) {
	m := company()
	f.Add(m.database(f), true)
	f.Add(m.database(f, "drop table v1_grants", "create view v1_grants as select 1"), true)
	f.Add(m.v1(f), false)
	f.Add(envelope(f, "pebble3", indexedZstd, map[string][]byte{"CURRENT": []byte("x")}), false)
	f.Add(envelope(f, "pebble3", tarZstd, nil), false)
	f.Add([]byte(magicV3+"\x00\x00\x00\x00"), false)
	f.Fuzz(func(t *testing.T, data []byte, database bool) {
		if database {
			data = append([]byte(magicV1), compress(t, data)...)
		}
		var out keeper
		if _, err := collector(t, data, Config{MaxSize: 16 << 20}).Collect(t.Context(), &out); err != nil {
			if !strings.HasPrefix(err.Error(), "app.c1z: ") {
				t.Errorf("the error doesn't name the file: %v", err)
			}
			return
		}
		for _, r := range out.records {
			if a, ok := r.(access.Account); ok && a.ID == "" {
				t.Errorf("an account without an id: %+v", a)
			}
		}
	})
}

// FuzzMessages reads anything as each of the messages of a connector.
func FuzzMessages(f *testing.F) {
	for _, r := range company().resources {
		f.Add(r.trait)
		f.Add(join(str(1, r.kind), str(2, r.id), sub(4, annotated("UserTrait", r.trait)), sub(9, entry("a", "b")), sub(11, r.status)))
	}
	f.Add((&expansion{entitlements: []string{"x"}, shallow: true, kinds: []string{"y"}}).wire())
	f.Add([]byte{0x1a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	k := &Collector{config: Config{Path: "x"}.defaults()}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = resourceTypeV2(b)
		_, _ = resourceTypeV3(b)
		_, _ = entitlementV2(b)
		_, _ = entitlementV3(b)
		_, _ = expandable(b)
		_, _ = readFrame(b)
		_ = new(manifest).summary(b)
		var g grant
		_ = g.readV2(b)
		_ = g.readV3(b)
		for _, l := range []layout{resourceV2, resourceV3} {
			r, err := l.read(b)
			if err != nil {
				continue
			}
			a, err := k.account(r, map[string]bool{"a": true}, map[string]int{})
			if err == nil && a.Username == "" && r.id != "" {
				t.Errorf("an account without a name: %+v", a)
			}
		}
		if at, err := instant(b); err == nil && at != nil && (at.Year() < 1970 || at.Year() > 2299) {
			t.Errorf("the time %s can't be stored", at)
		}
	})
}
