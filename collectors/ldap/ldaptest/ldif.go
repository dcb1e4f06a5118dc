package ldaptest

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf16"
)

// LDIF writes entries for [DC.Load].
type LDIF struct{ strings.Builder }

// Add adds an entry of "name: value" lines; "pw: …" sets a password.
func (f *LDIF) Add(dn string, lines ...string) {
	fmt.Fprintf(f, "dn: %s\n", dn)
	for _, l := range lines {
		if secret, ok := strings.CutPrefix(l, "pw: "); ok {
			l = "unicodePwd:: " + passwordValue(secret)
		}
		f.WriteString(l + "\n")
	}
	f.WriteByte('\n')
}

// passwordValue is how a password is written into unicodePwd.
func passwordValue(secret string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + secret + `"`)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return base64.StdEncoding.EncodeToString(b)
}
