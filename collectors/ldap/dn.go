package ldap

import (
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// canonicalDN returns the form of a distinguished name in which two spellings of one name are equal: attribute types by
// their short names in lower case, values unescaped, folded (NFKC, Unicode case folding, runs of spaces as one: RFC 4518)
// and escaped in one way only, the pairs of a multi-valued RDN sorted. It reads RFC 4514 and what RFC 2253 wrote before it
// (quotes, semicolons). The result is a distinguished name itself, and its own canonical form.
//
// Every value is folded as if its attribute ignored case, as those that name entries do. A server that has two entries
// whose names differ less than that gives two entries one form: whoever indexes by it must look for that.
func canonicalDN(s string) (string, error) {
	switch look(s) {
	case plainLower:
		return s, nil
	case plainASCII:
		return strings.ToLower(s), nil
	case plainText:
		// Folding may bring forth a character that means something in a name, such as a comma of a full-width one.
		if folded := foldValue(s); specials(folded) == specials(s) {
			return folded, nil
		}
	case notPlain:
	}
	rdns, err := parseDN(s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(len(s))
	pairs := make([]string, 0, 4)
	for i, rdn := range rdns {
		if i > 0 {
			b.WriteByte(',')
		}
		pairs = pairs[:0]
		for _, p := range rdn {
			pairs = append(pairs, p.canonical())
		}
		slices.Sort(pairs)
		for j, p := range pairs {
			if j > 0 {
				b.WriteByte('+')
			}
			b.WriteString(p)
		}
	}
	return b.String(), nil
}

// parentDN returns the name of the entry above, "" for the topmost.
func parentDN(dn string) string {
	quoted := false
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case ',', ';':
			if !quoted {
				return strings.TrimLeft(dn[i+1:], " ")
			}
		}
	}
	return ""
}

// underDN reports whether dn is base or lies below it. Both are canonical.
func underDN(dn, base string) bool {
	if base == "" || dn == base {
		return true
	}
	above, ok := strings.CutSuffix(dn, base)
	if !ok || !strings.HasSuffix(above, ",") {
		return false
	}
	above = above[:len(above)-1]
	escapes := len(above) - len(strings.TrimRight(above, `\`))
	return escapes%2 == 0
}

// nameOf returns the attribute type and the value of the first pair of a name, unescaped, as they are spelt there. It
// doesn't look at what follows.
func nameOf(dn string) (typ, value string, err error) {
	p := parser{s: dn}
	first, err := p.pair()
	if err != nil {
		return "", "", p.fault(err)
	}
	return first.typ, first.value, nil
}

// shape says how much work a name is. Most names are plain.
type shape int

const (
	notPlain   shape = iota
	plainText        // nothing to unescape or sort, but characters beyond ASCII
	plainASCII       // nothing but upper case to fold
	plainLower       // canonical as it is
)

// longestShort is the longest attribute type that needs no look into the table of synonyms.
const longestShort = 4

// look finds out in one pass over the bytes what canonicalDN need not do.
func look(s string) shape {
	found := plainLower
	typ, start := true, 0 // in an attribute type, and where it began
	for i := 0; i < len(s); i++ {
		c := s[i]
		if typ {
			switch {
			case c >= 'a' && c <= 'z':
			case c >= 'A' && c <= 'Z':
				found = min(found, plainASCII)
			case c == '=' && i > start && i-start <= longestShort:
				typ = false
				start = i + 1
			default: // digits and hyphens too: they are rare
				return notPlain
			}
			continue
		}
		switch {
		case c == ',':
			if i == start || s[i-1] == ' ' {
				return notPlain
			}
			typ, start = true, i+1
		case c == ' ':
			if i == start || s[i-1] == ' ' {
				return notPlain
			}
		case c >= utf8.RuneSelf:
			found = plainText
		case c >= 'A' && c <= 'Z':
			found = min(found, plainASCII)
		case c < ' ' || c == 0x7f || c == '\\' || c == '"' || c == '+' || c == ';' || c == '<' || c == '>' || c == '#':
			return notPlain
		}
	}
	switch {
	case s == "":
		return plainLower
	case typ || start == len(s) || s[len(s)-1] == ' ':
		return notPlain
	case found == plainText && !utf8.ValidString(s):
		return notPlain
	}
	return found
}

// specials counts what means something in a name.
func specials(s string) int {
	n := 0
	for i := range len(s) {
		switch s[i] {
		case ' ', '"', '#', '+', ',', ';', '<', '=', '>', '\\':
			n++
		}
	}
	return n
}

// ava is an attribute type and a value of a name. The value of a raw one is a hexadecimal BER encoding that holds no text.
type ava struct {
	typ, value string
	raw        bool
}

// canonical writes the pair in its one form.
func (p ava) canonical() string {
	typ := strings.ToLower(p.typ)
	if short, ok := synonyms[typ]; ok {
		typ = short
	}
	if p.raw {
		return typ + "=#" + strings.ToLower(p.value)
	}
	var b strings.Builder
	b.WriteString(typ)
	b.WriteByte('=')
	value := p.value
	if utf8.ValidString(value) {
		value = foldValue(value)
	}
	for i := 0; i < len(value); {
		c := value[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(value[i:])
			if r == utf8.RuneError && n == 1 {
				fmt.Fprintf(&b, `\%02x`, c)
			} else {
				b.WriteString(value[i : i+n])
			}
			i += n
			continue
		}
		switch {
		case c == '"' || c == '+' || c == ',' || c == ';' || c == '<' || c == '>' || c == '\\',
			i == 0 && (c == '#' || c == ' '), i == len(value)-1 && c == ' ':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\%02x`, c)
		default:
			b.WriteByte(c)
		}
		i++
	}
	return b.String()
}

// synonyms are the other names of the attributes that RFC 4514 lists, and of two more that name entries.
var synonyms = map[string]string{
	"2.5.4.3": "cn", "commonname": "cn",
	"2.5.4.4": "sn", "surname": "sn",
	"2.5.4.6": "c", "countryname": "c",
	"2.5.4.7": "l", "localityname": "l",
	"2.5.4.8": "st", "stateorprovincename": "st",
	"2.5.4.9": "street", "streetaddress": "street",
	"2.5.4.10": "o", "organizationname": "o",
	"2.5.4.11": "ou", "organizationalunitname": "ou",
	"0.9.2342.19200300.100.1.1": "uid", "userid": "uid",
	"0.9.2342.19200300.100.1.3": "mail", "rfc822mailbox": "mail",
	"0.9.2342.19200300.100.1.25": "dc", "domaincomponent": "dc",
}

// foldValue folds text as internal/fold does, and takes each run of spaces and line ends for one space (RFC 4518, 2.2 and
// 2.6.1).
func foldValue(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return oneSpace(strings.ToLower(s))
	}
	for {
		// A Caser keeps state, so each call has its own. Folding can undo the normal form, for a few characters.
		folded := oneSpace(norm.NFKC.String(cases.Fold().String(norm.NFKC.String(s))))
		if folded == s {
			return s
		}
		s = folded
	}
}

func oneSpace(s string) string {
	last := ' '
	for _, r := range s {
		if space(r) && (r != ' ' || last == ' ') {
			return strings.Join(strings.FieldsFunc(s, space), " ")
		}
		last = r
	}
	return strings.TrimSuffix(s, " ")
}

func space(r rune) bool { return r == ' ' || r >= '\t' && r <= '\r' || r == 0x85 }

// parseDN reads a distinguished name into its RDNs. The parser of go-ldap takes some different names for one: it replaces
// bytes that are no text, reads each #value that holds no text as empty, and allows any attribute type.
func parseDN(s string) ([][]ava, error) {
	p := parser{s: s}
	p.spaces()
	if p.i == len(s) {
		return nil, nil
	}
	var rdns [][]ava
	rdn := make([]ava, 0, 1)
	for {
		next, err := p.pair()
		if err != nil {
			return nil, p.fault(err)
		}
		rdn = append(rdn, next)
		if p.i == len(s) {
			return append(rdns, rdn), nil
		}
		if s[p.i] != '+' { // pair stops at nothing else but a comma and a semicolon
			rdns = append(rdns, rdn)
			rdn = make([]ava, 0, 1)
		}
		p.i++
	}
}

type parser struct {
	s string
	i int
}

func (p *parser) fault(err error) error {
	return fmt.Errorf("not a distinguished name: at byte %d: %w", p.i+1, err)
}

func (p *parser) spaces() {
	for p.i < len(p.s) && p.s[p.i] == ' ' {
		p.i++
	}
}

// pair reads type=value up to the end or the separator after it.
func (p *parser) pair() (ava, error) {
	typ, err := p.typ()
	if err != nil {
		return ava{}, err
	}
	p.spaces()
	switch {
	case p.i < len(p.s) && p.s[p.i] == '#':
		return p.encoded(typ)
	case p.i < len(p.s) && p.s[p.i] == '"':
		p.i++
		value, err := p.value(true)
		if err != nil {
			return ava{}, err
		}
		p.i++ // the closing quote
		p.spaces()
		if !p.atSeparator() {
			return ava{}, errors.New("text after a closing quote")
		}
		return ava{typ: typ, value: value}, nil
	}
	value, err := p.value(false)
	return ava{typ: typ, value: value}, err
}

func (p *parser) atSeparator() bool {
	return p.i == len(p.s) || p.s[p.i] == ',' || p.s[p.i] == ';' || p.s[p.i] == '+'
}

// typ reads an attribute type, a name or an object identifier, and the equals sign.
func (p *parser) typ() (string, error) {
	p.spaces()
	start := p.i
	for p.i < len(p.s) && p.s[p.i] != '=' && p.s[p.i] != ' ' {
		p.i++
	}
	typ := p.s[start:p.i]
	p.spaces()
	if p.i == len(p.s) || p.s[p.i] != '=' {
		p.i = start
		return "", errors.New("an attribute type and = are missing")
	}
	if len(typ) > 4 && strings.EqualFold(typ[:4], "oid.") { // RFC 1779
		typ = typ[4:]
	}
	if !attributeType(typ) {
		p.i = start
		return "", errors.New("no attribute type is spelt like this")
	}
	p.i++
	return typ, nil
}

// attributeType checks the spelling of a descriptor or an object identifier (RFC 4512, 1.4).
func attributeType(s string) bool {
	if s == "" {
		return false
	}
	if s[0] >= '0' && s[0] <= '9' {
		for arc := range strings.SplitSeq(s, ".") {
			if arc == "" || strings.Trim(arc, "0123456789") != "" || len(arc) > 1 && arc[0] == '0' {
				return false
			}
		}
		return true
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// value reads text up to an unescaped separator, or up to the closing quote.
func (p *parser) value(quoted bool) (string, error) {
	start := p.i
	var b []byte     // made at the first escape
	significant := 0 // length of b up to the last character that is no unescaped space
	for ; p.i < len(p.s); p.i++ {
		c := p.s[p.i]
		switch {
		case c == '\\':
			if b == nil {
				b = append(make([]byte, 0, len(p.s)-start), p.s[start:p.i]...)
			}
			char, n, err := p.escaped()
			if err != nil {
				return "", err
			}
			b = append(b, char)
			p.i += n - 1
			significant = len(b)
			continue
		case quoted && c == '"', !quoted && (c == ',' || c == ';' || c == '+'):
			if b == nil {
				return trimRight(p.s[start:p.i], quoted), nil
			}
			if quoted {
				return string(b), nil
			}
			return string(b[:significant]), nil
		case c == 0, !quoted && (c == '"' || c == '<' || c == '>'):
			return "", fmt.Errorf("%q is not escaped", c)
		}
		if b != nil {
			b = append(b, c)
			if c != ' ' {
				significant = len(b)
			}
		}
	}
	if quoted {
		return "", errors.New("a closing quote is missing")
	}
	if b == nil {
		return trimRight(p.s[start:], false), nil
	}
	return string(b[:significant]), nil
}

func trimRight(s string, quoted bool) string {
	if quoted {
		return s
	}
	return strings.TrimRight(s, " ")
}

// escaped reads a backslash and what follows: a special character, or two hexadecimal digits of a byte.
func (p *parser) escaped() (c byte, n int, err error) {
	rest := p.s[p.i+1:]
	if rest != "" && strings.IndexByte(` "#+,;<=>\`, rest[0]) >= 0 {
		return rest[0], 2, nil
	}
	if len(rest) >= 2 {
		var out [1]byte
		if _, err := hex.Decode(out[:], []byte(rest[:2])); err == nil {
			return out[0], 3, nil
		}
	}
	return 0, 0, errors.New("a backslash comes before a special character or two hexadecimal digits")
}

// encoded reads #hex: the BER encoding of a value, which is text where its type is one of the string types.
func (p *parser) encoded(typ string) (ava, error) {
	p.i++
	start := p.i
	for p.i < len(p.s) && hexDigit(p.s[p.i]) {
		p.i++
	}
	digits := p.s[start:p.i]
	p.spaces()
	if !p.atSeparator() {
		return ava{}, errors.New("a value that begins with # is hexadecimal: escape the # where it is text")
	}
	data, err := hex.DecodeString(digits)
	if err != nil || len(data) == 0 {
		return ava{}, errors.New("a value that begins with # has pairs of hexadecimal digits: escape the # where it is text")
	}
	var v asn1.RawValue
	if rest, err := asn1.Unmarshal(data, &v); err == nil && len(rest) == 0 && v.Class == asn1.ClassUniversal && !v.IsCompound {
		switch v.Tag {
		case asn1.TagOctetString, asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString:
			return ava{typ: typ, value: string(v.Bytes)}, nil
		}
	}
	return ava{typ: typ, value: digits, raw: true}, nil
}

func hexDigit(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
