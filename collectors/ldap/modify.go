package ldap

import (
	"context"
	"errors"
	"fmt"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// unsure is the error of a request that may have reached the server, and of which no answer came.
type unsure struct{ error }

func (u *unsure) Unwrap() error { return u.error }

// modification changes one attribute of an entry.
type modification struct {
	op        int64 // ldap.AddAttribute, DeleteAttribute or ReplaceAttribute
	attribute string
	values    []string
}

// swap are the modifications that put new values in place of old ones, and fail where the old ones are no longer there:
// what somebody else has written meanwhile is not lost.
func swap(attribute string, old, new []string) []modification {
	var out []modification
	if len(old) > 0 {
		out = append(out, modification{ldap.DeleteAttribute, attribute, old})
	}
	if len(new) > 0 {
		out = append(out, modification{ldap.AddAttribute, attribute, new})
	}
	return out
}

// modify changes attributes of an entry, all or none (RFC 4511, 4.6).
func (w *wire) modify(ctx context.Context, dn string, mods []modification, controls ...ldap.Control) error {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationModifyRequest, nil, "")
	op.AppendChild(octets(dn))
	changes := ber.NewSequence("")
	for _, m := range mods {
		change := ber.NewSequence("")
		change.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, m.op, ""))
		attribute := ber.NewSequence("")
		attribute.AppendChild(octets(m.attribute))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range m.values {
			set.AppendChild(octets(v))
		}
		attribute.AppendChild(set)
		change.AppendChild(attribute)
		changes.AppendChild(change)
	}
	op.AppendChild(changes)
	return w.change(ctx, op, ldap.ApplicationModifyResponse, controls)
}

// rename puts an entry below another one under the name that it has (RFC 4511, 4.9).
func (w *wire) rename(ctx context.Context, dn, rdn, superior string, controls ...ldap.Control) error {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationModifyDNRequest, nil, "")
	op.AppendChild(octets(dn))
	op.AppendChild(octets(rdn))
	op.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, ""))
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, superior, ""))
	return w.change(ctx, op, ldap.ApplicationModifyDNResponse, controls)
}

// extensionPassword is the request to set a password (RFC 3062), which the server hashes in its own way.
const extensionPassword = "1.3.6.1.4.1.4203.1.11.1"

// setPassword gives an entry a password.
func (w *wire) setPassword(ctx context.Context, dn, password string) error {
	value := ber.NewSequence("")
	value.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, dn, ""))
	value.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 2, password, ""))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationExtendedRequest, nil, "")
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 0, extensionPassword, ""))
	op.AppendChild(ber.NewString(ber.ClassContext, ber.TypePrimitive, 1, string(value.Bytes()), ""))
	return w.change(ctx, op, ldap.ApplicationExtendedResponse, nil)
}

// controlAssertion makes a change fail unless the entry is one that a filter finds (RFC 4528).
const controlAssertion = "1.3.6.1.1.12"

// asserting is the control that holds a change to an entry that a filter finds.
func asserting(filter string) (ldap.Control, error) {
	f, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil, err
	}
	return ldap.NewControlString(controlAssertion, true, string(f.Bytes())), nil
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

// change sends a request once and reads its answer: nil, an *ldap.Error if the server said no, an *unsure if it didn't
// say. Any other error means that nothing was sent.
func (w *wire) change(ctx context.Context, op *ber.Packet, want int, controls []ldap.Control) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if w.spent {
		return &cut{errors.New("an earlier answer was not read to its end")}
	}
	w.id++
	packet := ber.NewSequence("")
	packet.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, w.id, ""))
	packet.AppendChild(op)
	if len(controls) > 0 {
		packet.AppendChild(encodeControls(controls))
	}

	w.spent = true
	w.changes++
	stop := context.AfterFunc(ctx, func() { w.conn.Close() })
	defer stop()
	lost := func(err error) error {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return &unsure{err}
	}
	if err := w.write(packet.Bytes()); err != nil {
		return lost(err)
	}
	for {
		m, err := w.read()
		switch {
		case err != nil:
			return lost(err)
		case m.id == 0:
			return lost(fmt.Errorf("the server ends the connection: %w", m.result()))
		case m.id != w.id:
			return lost(fmt.Errorf("an answer to request %d, which was not sent", m.id))
		case m.op == ldap.ApplicationIntermediateResponse:
		case m.op == want:
			err := m.result()
			var c *cut
			if errors.As(err, &c) {
				return lost(err)
			}
			w.spent = false
			return err
		default:
			return lost(fmt.Errorf("an answer of kind %d to a change", m.op))
		}
	}
}
