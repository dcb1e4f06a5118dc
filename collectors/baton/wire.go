package baton

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of a connector, as far as they are read. The field numbers are those of the .proto files in
// github.com/ConductorOne/baton-sdk at e2bd8af9aa92 (v0.25.0): c1/connector/v2 resource, entitlement, grant,
// annotation_trait and annotation_grant, and c1/storage/v3 records and refs. Protocol Buffers never reuse a number, so
// older and newer files have the same.

var errMessage = errors.New("holds a record that can't be read: the file is damaged")

// value is one field of a message.
type value struct {
	kind  protowire.Type
	num   uint64 // of varints and fixed64
	bytes []byte // of messages and texts; valid as long as the message
}

// each calls do with every field. It allocates nothing.
func each(b []byte, do func(protowire.Number, value) error) error {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		v := value{kind: kind}
		switch kind {
		case protowire.VarintType:
			v.num, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v.bytes, n = protowire.ConsumeBytes(b)
		case protowire.Fixed64Type:
			v.num, n = protowire.ConsumeFixed64(b)
		default:
			n = protowire.ConsumeFieldValue(num, kind, b)
		}
		if n < 0 {
			return errMessage
		}
		b = b[n:]
		if err := do(num, v); err != nil {
			return err
		}
	}
	return nil
}

// text is a field of type string.
func (v value) text() string { return strings.TrimSpace(string(v.bytes)) }

// pair reads a message whose fields 1 and 2 are a type and an id: ResourceId of v2, ResourceRef and PrincipalRef of v3.
func pair(b []byte) (kind, id string, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			kind = string(v.bytes)
		case 2:
			id = string(v.bytes)
		}
		return nil
	})
	return kind, id, err
}

// instant reads a google.protobuf.Timestamp. Go's zero time and the epoch are what connectors write for want of a time:
// both are absent.
func instant(b []byte) (*time.Time, error) {
	var seconds, nanos int64
	err := each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			seconds = int64(v.num)
		case 2:
			nanos = int64(v.num)
		}
		return nil
	})
	if err != nil || seconds <= 0 {
		return nil, err
	}
	const last = 10413791999 // of 2299
	if seconds > last || nanos < 0 || nanos >= int64(time.Second) {
		return nil, nil
	}
	at := time.Unix(seconds, nanos).UTC()
	return &at, nil
}

// flag reads a message whose field 1 is a bool: a message that is there says no by being empty.
func flag(b []byte) (*bool, error) {
	yes := false
	err := each(b, func(n protowire.Number, v value) error {
		if n == 1 {
			yes = v.num != 0
		}
		return nil
	})
	return &yes, err
}

// annotation reads a google.protobuf.Any. name is the message's, without its package.
func annotation(b []byte) (name, content []byte, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			if i := bytes.LastIndexByte(v.bytes, '/'); bytes.HasPrefix(v.bytes[i+1:], messages) {
				name = v.bytes[i+1+len(messages):]
			}
		case 2:
			content = v.bytes
		}
		return nil
	})
	return name, content, err
}

var messages = []byte("c1.connector.v2.")

// profile reads the texts, numbers and truths of a google.protobuf.Struct for which want says yes into m.
func profile(b []byte, want map[string]bool, m map[string]string) error {
	return each(b, func(n protowire.Number, v value) error {
		if n != 1 {
			return nil
		}
		var key, text string
		known := false
		err := each(v.bytes, func(n protowire.Number, v value) error {
			switch n {
			case 1:
				key = string(v.bytes)
			case 2:
				return each(v.bytes, func(n protowire.Number, v value) error {
					switch n { // of google.protobuf.Value
					case 2:
						text, known = strconv.FormatFloat(math.Float64frombits(v.num), 'f', -1, 64), true
					case 3:
						text, known = v.text(), true
					case 4:
						text, known = strconv.FormatBool(v.num != 0), true
					}
					return nil
				})
			}
			return nil
		})
		if err == nil && known && want[key] && text != "" {
			m[key] = text
		}
		return err
	})
}

// resourceType says what its resources are.
type resourceType struct {
	id, name string
	traits   []string // user, group, role, app, secret, ...
}

func (t resourceType) trait() string {
	for _, s := range t.traits {
		switch s {
		case "user", "group", "role", "app", "secret":
			return s
		}
	}
	return ""
}

// traits by number: ResourceType.Trait.
var traits = []string{"", "user", "group", "role", "app", "secret", "security_insight", "scope_binding", "vendor", "vendor_agreement", "license_profile", "agent", "managed_device"}

// resourceTypeV2 reads a ResourceType.
func resourceTypeV2(b []byte) (t resourceType, err error) {
	add := func(n uint64) {
		if n > 0 && n < uint64(len(traits)) {
			t.traits = append(t.traits, traits[n])
		}
	}
	err = each(b, func(n protowire.Number, v value) error {
		switch {
		case n == 1:
			t.id = string(v.bytes)
		case n == 2:
			t.name = v.text()
		case n == 3 && v.kind == protowire.VarintType:
			add(v.num)
		case n == 3:
			for packed := v.bytes; len(packed) > 0; {
				num, size := protowire.ConsumeVarint(packed)
				if size < 0 {
					return errMessage
				}
				packed = packed[size:]
				add(num)
			}
		}
		return nil
	})
	return t, err
}

// resourceTypeV3 reads a ResourceTypeRecord.
func resourceTypeV3(b []byte) (t resourceType, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 2:
			t.id = string(v.bytes)
		case 3:
			t.name = v.text()
		case 4:
			t.traits = append(t.traits, strings.ToLower(string(v.bytes)))
		}
		return nil
	})
	return t, err
}

// resource is what the connector listed. annotations, profile and status are read later, of users only.
type resource struct {
	kind, id, name        string
	parentKind, parentID  string
	user, profile, status []byte // UserTrait, Struct, Status
	createdAt             *time.Time
	hasUser               bool
	license, secret       []byte // LicenseProfileTrait, SecretTrait
}

// layout is where the fields of a resource are.
type layout struct{ id, kind, bareID, name, parent, annotations, profile, status, created protowire.Number }

var (
	resourceV2 = layout{id: 1, parent: 2, name: 3, annotations: 4, profile: 9, status: 11, created: 12}
	resourceV3 = layout{kind: 2, bareID: 3, name: 4, parent: 6, annotations: 7, profile: 9, status: 10, created: 11}
)

// read reads a Resource or ResourceRecord. What it returns holds parts of b.
func (l layout) read(b []byte) (r resource, err error) {
	err = each(b, func(n protowire.Number, v value) (err error) {
		switch n {
		case l.id:
			r.kind, r.id, err = pair(v.bytes)
		case l.kind:
			r.kind = string(v.bytes)
		case l.bareID:
			r.id = string(v.bytes)
		case l.name:
			r.name = v.text()
		case l.parent:
			r.parentKind, r.parentID, err = pair(v.bytes)
		case l.annotations:
			name, content, err := annotation(v.bytes)
			switch string(name) {
			case "UserTrait":
				r.user, r.hasUser = content, true
			case "LicenseProfileTrait":
				r.license = content
			case "SecretTrait":
				r.secret = content
			}
			return err
		case l.profile:
			r.profile = v.bytes
		case l.status:
			r.status = v.bytes
		case l.created:
			r.createdAt, err = instant(v.bytes)
		}
		return err
	})
	return r, err
}

// entitlement is one thing that can be granted of a resource.
type entitlement struct {
	id, name, description, purpose, slug string
	resourceKind, resourceID             string
}

// purposes by number: Entitlement.PurposeValue.
var purposes = []string{"", "assignment", "permission", "ownership"}

// entitlementV2 reads an Entitlement, but for what the columns of its row say.
func entitlementV2(b []byte) (e entitlement, err error) {
	err = each(b, func(n protowire.Number, v value) error {
		switch n {
		case 3:
			e.name = v.text()
		case 4:
			e.description = v.text()
		case 7:
			if v.num < uint64(len(purposes)) {
				e.purpose = purposes[v.num]
			}
		case 8:
			e.slug = v.text()
		}
		return nil
	})
	return e, err
}

// entitlementV3 reads an EntitlementRecord.
func entitlementV3(b []byte) (e entitlement, err error) {
	err = each(b, func(n protowire.Number, v value) (err error) {
		switch n {
		case 2:
			e.id = string(v.bytes)
		case 3:
			e.resourceKind, e.resourceID, err = pair(v.bytes)
		case 4:
			e.name = v.text()
		case 5:
			e.description = v.text()
		case 6:
			e.purpose = strings.ToLower(v.text())
		case 9:
			e.slug = v.text()
		}
		return err
	})
	return e, err
}

// grant says that a resource, the principal, holds an entitlement.
type grant struct {
	entitlement string
	kind, id    string // of the principal
	expansion   *expansion
	sources     []string // the entitlements by which it was worked out; the grant's own if it was given besides
}

// expansion is a GrantExpandable: whoever holds one of the entitlements, which are the principal's, holds the grant's.
type expansion struct {
	entitlements []string
	shallow      bool     // only whoever holds one directly
	kinds        []string // only resources of these types; none is all
}

// expandable reads a GrantExpandable or GrantExpandableRecord.
func expandable(b []byte) (*expansion, error) {
	var x expansion
	err := each(b, func(n protowire.Number, v value) error {
		switch n {
		case 1:
			if id := v.text(); id != "" {
				x.entitlements = append(x.entitlements, id)
			}
		case 2:
			x.shallow = v.num != 0
		case 3:
			x.kinds = append(x.kinds, string(v.bytes))
		}
		return nil
	})
	if err != nil || len(x.entitlements) == 0 {
		return nil, err
	}
	return &x, nil
}

// source reads one entry of the map of sources and keeps its key.
func (g *grant) source(b []byte) error {
	return each(b, func(n protowire.Number, v value) error {
		if n == 1 {
			g.sources = append(g.sources, string(v.bytes))
		}
		return nil
	})
}

// note looks for a GrantExpandable among the annotations.
func (g *grant) note(b []byte) error {
	name, content, err := annotation(b)
	if err == nil && g.expansion == nil && string(name) == "GrantExpandable" {
		g.expansion, err = expandable(content)
	}
	return err
}

// readV2 reads a Grant, but for what the columns of its row say.
func (g *grant) readV2(b []byte) error {
	return each(b, func(n protowire.Number, v value) error {
		switch n {
		case 4:
			return g.note(v.bytes)
		case 5:
			return each(v.bytes, func(n protowire.Number, v value) error {
				if n == 1 {
					return g.source(v.bytes)
				}
				return nil
			})
		}
		return nil
	})
}

// readV3 reads a GrantRecord.
func (g *grant) readV3(b []byte) error {
	return each(b, func(n protowire.Number, v value) (err error) {
		switch n {
		case 3:
			return each(v.bytes, func(n protowire.Number, v value) error {
				if n == 3 {
					g.entitlement = string(v.bytes)
				}
				return nil
			})
		case 4:
			g.kind, g.id, err = pair(v.bytes)
		case 6:
			g.expansion, err = expandable(v.bytes)
		case 8:
			err = g.note(v.bytes)
		case 9:
			err = g.source(v.bytes)
		}
		return err
	})
}
