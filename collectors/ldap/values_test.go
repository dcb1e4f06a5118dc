package ldap

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSIDText(t *testing.T) {
	for in, want := range map[string]string{
		"01 01 000000000000 00000000":                                     "S-1-0-0",
		"01 01 000000000005 12000000":                                     "S-1-5-18",
		"01 02 000000000005 20000000 20020000":                            "S-1-5-32-544",
		"01 05 000000000005 15000000 a065cf7e 784b9b5f e77c8770 f4010000": "S-1-5-21-2127521184-1604012920-1887927527-500",
		"01 01 0000ffffffff ffffffff":                                     "S-1-4294967295-4294967295",
		"01 01 010000000000 01000000":                                     "S-1-0x010000000000-1",
	} {
		if got, err := sidText(unhex(t, in)); err != nil || got != want {
			t.Errorf("sidText(%s) = %q, %v, want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                              "0 bytes",
		"01 01 0000000000":              "7 bytes",
		"02 01 000000000005 12000000":   "revision 2",
		"01 00 000000000005":            "0 sub-authorities",
		"01 02 000000000005 12000000":   "of 12 bytes with 2 sub-authorities",
		"01 01 000000000005 1200000000": "of 13 bytes",
		"01 10 000000000005 " + strings.Repeat("01000000", 16): "16 sub-authorities",
	} {
		if got, err := sidText(unhex(t, in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("sidText(%s) = %q, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestGUIDText(t *testing.T) {
	const want = "00112233-4455-6677-8899-aabbccddeeff"
	if got, err := guidText(unhex(t, "33221100 5544 7766 8899 aabbccddeeff")); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	for _, n := range []int{0, 15, 17, 36} {
		if got, err := guidText(make([]byte, n)); err == nil {
			t.Errorf("a GUID of %d bytes: %q", n, got)
		}
	}
}

func TestFileTime(t *testing.T) {
	for in, want := range map[string]string{ // "" is never
		"0":                   "",
		"9223372036854775807": "",
		"2650467743999999999": "", // 9999-12-31, as .NET writes it
		"116444736000000000":  "1970-01-01T00:00:00Z",
		"132537600000000001":  "2020-12-30T00:00:00.0000001Z",
		"94354848000000000":   "1900-01-01T00:00:00Z",
		"94354848000000000 ":  "!whole number",
		"94354847999999999":   "!the year 1899",
		"220582655999999999":  "2299-12-31T23:59:59.9999999Z",
		"220582656000000000":  "!the year 2300",
		"2650467744000000000": "!the year 10000",
		"9223372036854775806": "!the year 30828",
		"9223372036854775808": "!whole number",
		"-1":                  "!negative",
		"":                    "!whole number",
		"1e18":                "!whole number",
	} {
		got, never, err := fileTime(in)
		switch {
		case strings.HasPrefix(want, "!"):
			if err == nil || !strings.Contains(err.Error(), want[1:]) || never || !got.IsZero() {
				t.Errorf("fileTime(%q) = %s, %v, %v, want an error with %q", in, got, never, err, want[1:])
			}
		case want == "":
			if !never || err != nil || !got.IsZero() {
				t.Errorf("fileTime(%q) = %s, %v, %v, want never", in, got, never, err)
			}
		default:
			if never || err != nil || got.Format(time.RFC3339Nano) != want {
				t.Errorf("fileTime(%q) = %s, %v, %v, want %s", in, got.Format(time.RFC3339Nano), never, err, want)
			}
		}
	}
}

func TestGeneralizedTime(t *testing.T) {
	for in, want := range map[string]string{
		"20261123020000Z":        "2026-11-23T02:00:00Z",
		"20261123020000.0Z":      "2026-11-23T02:00:00Z", // AD
		"20261123020000.25Z":     "2026-11-23T02:00:00.25Z",
		"20261123020000,3Z":      "2026-11-23T02:00:00.3Z",
		"20261123020000.123456Z": "2026-11-23T02:00:00.123456Z", // ppolicy
		"202611230200Z":          "2026-11-23T02:00:00Z",
		"202611230200.5Z":        "2026-11-23T02:00:30Z",
		"2026112302Z":            "2026-11-23T02:00:00Z",
		"2026112302.75Z":         "2026-11-23T02:45:00Z",
		"20261123020000+0130":    "2026-11-23T00:30:00Z",
		"20261123020000-05":      "2026-11-23T07:00:00Z",
		"2026112302.5-0100":      "2026-11-23T03:30:00Z",
		"20161231235960Z":        "2017-01-01T00:00:00Z", // a leap second
		"20240229000000Z":        "2024-02-29T00:00:00Z",
		"19000101000000Z":        "1900-01-01T00:00:00Z",
		"22991231235959Z":        "2299-12-31T23:59:59Z",
	} {
		if got, err := generalizedTime(in); err != nil || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("generalizedTime(%q) = %s, %v, want %s", in, got.Format(time.RFC3339Nano), err, want)
		}
	}
	for in, want := range map[string]string{
		"":                     "ten digits",
		"20261123":             "ten digits",
		"20261123Z":            "ten digits",
		"2026-11-23":           "ten digits",
		"20261123020000":       "ends in Z",
		"20261123020000z":      "ends in Z",
		"20261123020000ZZ":     "ends in Z",
		"2026112302000Z":       "ends in Z",
		"20261123020000.Z":     "no digits",
		"20261123020000.+01":   "no digits",
		"20261123020000+1":     "offset",
		"20261123020000+2400":  "offset",
		"20261123020000+0160":  "offset",
		"20261123020000+01000": "offset",
		"20261323020000Z":      "out of range",
		"20260023020000Z":      "out of range",
		"20261123240000Z":      "out of range",
		"20261123026000Z":      "out of range",
		"20261123020061Z":      "out of range",
		"20260230000000Z":      "no such day",
		"20260200000000Z":      "no such day",
		"20250229000000Z":      "no such day",
		"000001010000Z":        "the year 0",
		"16010101000000.0Z":    "the year 1601",
		"23000101000000Z":      "the year 2300",
	} {
		if got, err := generalizedTime(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("generalizedTime(%q) = %s, %v, want an error with %q", in, got, err, want)
		}
	}
}
