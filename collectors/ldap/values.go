package ldap

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// sidText writes a security identifier as people know it, S-1-5-21-…, from its bytes in objectSid ([MS-DTYP] 2.4.2).
func sidText(b []byte) (string, error) {
	const head = 8 // revision, number of sub-authorities, authority
	switch {
	case len(b) < head:
		return "", fmt.Errorf("%d bytes are no SID", len(b))
	case b[0] != 1:
		return "", fmt.Errorf("a SID of revision %d is not known", b[0])
	case b[1] < 1 || b[1] > 15:
		return "", fmt.Errorf("a SID with %d sub-authorities: it has 1 to 15", b[1])
	case len(b) != head+4*int(b[1]):
		return "", fmt.Errorf("a SID of %d bytes with %d sub-authorities: it has %d", len(b), b[1], head+4*int(b[1]))
	}
	out := make([]byte, 0, 64)
	out = append(out, "S-1-"...)
	authority := uint64(binary.BigEndian.Uint16(b[2:]))<<32 | uint64(binary.BigEndian.Uint32(b[4:]))
	if authority <= math.MaxUint32 {
		out = strconv.AppendUint(out, authority, 10)
	} else {
		out = fmt.Appendf(out, "0x%012X", authority)
	}
	for ; len(b) > head; b = b[4:] {
		out = append(out, '-')
		out = strconv.AppendUint(out, uint64(binary.LittleEndian.Uint32(b[head:])), 10)
	}
	return string(out), nil
}

// guidText writes an objectGUID as Microsoft's tools show it. The bytes are those of a GUID structure: the first three
// parts are little-endian ([MS-DTYP] 2.3.4).
func guidText(b []byte) (string, error) {
	if len(b) != 16 {
		return "", fmt.Errorf("%d bytes are no GUID: it has 16", len(b))
	}
	var g [16]byte
	binary.BigEndian.PutUint32(g[0:], binary.LittleEndian.Uint32(b[0:]))
	binary.BigEndian.PutUint16(g[4:], binary.LittleEndian.Uint16(b[4:]))
	binary.BigEndian.PutUint16(g[6:], binary.LittleEndian.Uint16(b[6:]))
	copy(g[8:], b[8:])
	var out [36]byte
	hex.Encode(out[0:8], g[0:4])
	hex.Encode(out[9:13], g[4:6])
	hex.Encode(out[14:18], g[6:8])
	hex.Encode(out[19:23], g[8:10])
	hex.Encode(out[24:36], g[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:]), nil
}

// Years a time may have: those that the store holds. From openYear to 9999 a time stands for no time at all: it is what
// people and scripts write who mean never.
const firstYear, lastYear, openYear = 1900, 2299, 9000

// fileTime reads a FILETIME: intervals of 100 ns since 1601 in UTC ([MS-DTYP] 2.3.3). 0 and 0x7FFFFFFFFFFFFFFF mean never
// ([MS-ADTS] 2.2, accountExpires), as do the years from 9000 to 9999.
func fileTime(s string) (t time.Time, never bool, err error) {
	const toUnix = 11644473600 // seconds from 1601 to 1970
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil:
		return time.Time{}, false, errors.New("not a whole number of 64 bits, as a FILETIME is")
	case n == 0 || n == math.MaxInt64:
		return time.Time{}, true, nil
	case n < 0:
		return time.Time{}, false, errors.New("a negative FILETIME is a span, not a time")
	}
	t = time.Unix(n/1e7-toUnix, n%1e7*100).UTC()
	if y := t.Year(); y >= openYear && y <= 9999 {
		return time.Time{}, true, nil
	}
	if t, err = stored(t); err != nil {
		return time.Time{}, false, err
	}
	return t, false, nil
}

func stored(t time.Time) (time.Time, error) {
	if y := t.Year(); y < firstYear || y > lastYear {
		return time.Time{}, fmt.Errorf("the year %d is outside %d to %d", y, firstYear, lastYear)
	}
	return t, nil
}

// generalizedTime reads a Generalized Time of RFC 4517, 3.3.13: YYYYMMDDHH[MM[SS]][.f]Z, where the fraction is of the last
// unit given, and an offset may stand for Z. A time without either is local to nobody knows where, and an error.
func generalizedTime(s string) (time.Time, error) {
	rest := s
	fail := func(what string) (time.Time, error) {
		return time.Time{}, fmt.Errorf("no Generalized Time, such as 20261123020000Z: %s", what)
	}
	digits := func(n int) (v int, ok bool) {
		if len(rest) < n {
			return 0, false
		}
		for i := range n {
			c := rest[i]
			if c < '0' || c > '9' {
				return 0, false
			}
			v = v*10 + int(c-'0')
		}
		rest = rest[n:]
		return v, true
	}

	year, ok1 := digits(4)
	month, ok2 := digits(2)
	day, ok3 := digits(2)
	hour, ok4 := digits(2)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return fail("it begins with ten digits, for year, month, day and hour")
	}
	unit := time.Hour // of the fraction
	minute, more := digits(2)
	second := 0
	if more {
		unit = time.Minute
		if second, more = digits(2); more {
			unit = time.Second
		}
	}
	// 60 is a leap second; the others roll over below only if they are wrong.
	if month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60 {
		return fail("a part is out of range")
	}
	at := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if d := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC); d.Day() != day {
		return fail("there is no such day")
	}

	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		n := 1
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		if n == 1 {
			return fail("a fraction has no digits")
		}
		f, err := strconv.ParseFloat("0."+rest[1:n], 64)
		if err != nil {
			return fail("a fraction is out of range")
		}
		at = at.Add(time.Duration(math.Round(f * float64(unit))))
		rest = rest[n:]
	}

	if rest == "Z" {
		return stored(at)
	}
	if rest == "" || (rest[0] != '+' && rest[0] != '-') {
		return fail("it ends in Z or in an offset such as +0100")
	}
	east := rest[0] == '+'
	rest = rest[1:]
	hours, ok := digits(2)
	minutes := 0
	if ok && rest != "" {
		minutes, ok = digits(2)
	}
	if !ok || rest != "" || hours > 23 || minutes > 59 {
		return fail("an offset is an hour and a minute, such as +0100")
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if east {
		offset = -offset
	}
	return stored(at.Add(offset))
}
