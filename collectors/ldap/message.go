package ldap

import (
	"bufio"
	"errors"
	"fmt"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// The tags of BER that LDAP messages are made of (RFC 4511, 5.1: only definite lengths).
const (
	tagInteger     = 0x02
	tagOctetString = 0x04
	tagEnumerated  = 0x0a
	tagSequence    = 0x30
	tagSet         = 0x31
	tagControls    = 0xa0
	tagApplication = 0x60 // constructed; the operation is in the lower five bits
	maskOperation  = 0x1f
)

var errBER = errors.New("a message that is no LDAP")

// message is one answer. It is valid until the next one is read.
type message struct {
	id   int64
	op   int // an Application… of the library
	body element
	rest element // the controls, if any
}

// element is what is left to read of a BER value.
type element []byte

// take cuts off the next value.
func (e *element) take() (tag byte, content element, err error) {
	b := *e
	if len(b) < 2 {
		return 0, nil, errBER
	}
	tag = b[0]
	n, head := int(b[1]), 2
	if n >= 0x80 {
		octets := n & 0x7f
		if octets == 0 || octets > 4 || len(b) < 2+octets {
			return 0, nil, errBER
		}
		n = 0
		for _, c := range b[2 : 2+octets] {
			n = n<<8 | int(c)
		}
		head += octets
	}
	if n < 0 || len(b)-head < n {
		return 0, nil, errBER
	}
	*e = b[head+n:]
	return tag, b[head : head+n], nil
}

// want cuts off the next value, which must have a tag.
func (e *element) want(tag byte) (element, error) {
	got, content, err := e.take()
	if err == nil && got != tag {
		err = errBER
	}
	return content, err
}

// number cuts off an integer or enumerated.
func (e *element) number(tag byte) (int64, error) {
	content, err := e.want(tag)
	if err != nil || len(content) == 0 || len(content) > 8 {
		return 0, errBER
	}
	n := int64(int8(content[0]))
	for _, c := range content[1:] {
		n = n<<8 | int64(c)
	}
	return n, nil
}

// readLength reads the length of a message from a stream.
func readLength(r *bufio.Reader) (int64, error) {
	c, err := r.ReadByte()
	if err != nil || c < 0x80 {
		return int64(c), err
	}
	octets := int(c & 0x7f)
	if octets == 0 || octets > 4 {
		return maxMessage + 1, nil
	}
	var n int64
	for range octets {
		if c, err = r.ReadByte(); err != nil {
			return 0, err
		}
		n = n<<8 | int64(c)
	}
	return n, nil
}

func parseMessage(b element) (m message, err error) {
	if m.id, err = b.number(tagInteger); err != nil {
		return m, &cut{err}
	}
	tag, body, err := b.take()
	if err != nil || tag&^maskOperation != tagApplication {
		return m, &cut{errBER}
	}
	m.op, m.body, m.rest = int(tag&maskOperation), body, b
	return m, nil
}

// entry decodes a SearchResultEntry. Its strings are its own; the descriptions of attributes are shared through names. Only
// Values are set, which hold the bytes as they came.
func (m message) entry(names map[string]string) (*ldap.Entry, error) {
	b := m.body
	dn, err := b.want(tagOctetString)
	if err != nil {
		return nil, &cut{err}
	}
	list, err := b.want(tagSequence)
	if err != nil {
		return nil, &cut{err}
	}
	e := &ldap.Entry{DN: string(dn), Attributes: make([]*ldap.EntryAttribute, 0, 32)}
	for len(list) > 0 {
		pair, err := list.want(tagSequence)
		if err != nil {
			return nil, &cut{err}
		}
		raw, err := pair.want(tagOctetString)
		if err != nil {
			return nil, &cut{err}
		}
		set, err := pair.want(tagSet)
		if err != nil {
			return nil, &cut{err}
		}
		name, ok := names[string(raw)]
		if !ok {
			name = string(raw)
			if len(names) < 1<<12 { // ranges make new ones
				names[name] = name
			}
		}
		a := &ldap.EntryAttribute{Name: name}
		for len(set) > 0 {
			value, err := set.want(tagOctetString)
			if err != nil {
				return nil, &cut{err}
			}
			a.Values = append(a.Values, string(value))
		}
		e.Attributes = append(e.Attributes, a)
	}
	return e, nil
}

// result decodes an LDAPResult: nil for success, else an *ldap.Error.
func (m message) result() error {
	b := m.body
	code, err := b.number(tagEnumerated)
	if err != nil {
		return &cut{err}
	}
	matched, err := b.want(tagOctetString)
	if err != nil {
		return &cut{err}
	}
	text, err := b.want(tagOctetString)
	if err != nil {
		return &cut{err}
	}
	if code == ldap.LDAPResultSuccess {
		return nil
	}
	return &ldap.Error{ResultCode: uint16(code), MatchedDN: string(matched), Err: errors.New(string(text))}
}

// controls decodes what came with the end of a search.
func (m message) controls() ([]ldap.Control, error) {
	if len(m.rest) == 0 {
		return nil, nil
	}
	rest := m.rest
	list, err := rest.want(tagControls)
	if err != nil {
		return nil, &cut{err}
	}
	var out []ldap.Control
	for len(list) > 0 {
		before := list
		if _, err := list.want(tagSequence); err != nil {
			return nil, &cut{err}
		}
		packet, err := ber.DecodePacketErr(before[:len(before)-len(list)])
		if err != nil {
			return nil, &cut{fmt.Errorf("a control: %w", err)}
		}
		c, err := ldap.DecodeControl(packet)
		if err != nil {
			return nil, &cut{fmt.Errorf("a control: %w", err)}
		}
		out = append(out, c)
	}
	return out, nil
}
