package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// URNs of RFC 7643 and RFC 7644.
const (
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	userURN       = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupURN      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	errorURN      = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// user is a User (RFC 7643, 4.1) with the enterprise extension (4.3). Names of attributes are matched whatever their case,
// as RFC 7643, 2.1 wants it; encoding/json does so.
type user struct {
	ID           text         `json:"id"`
	ExternalID   text         `json:"externalId"`
	UserName     text         `json:"userName"`
	Name         some[name]   `json:"name"`
	DisplayName  text         `json:"displayName"`
	UserType     text         `json:"userType"`
	Title        text         `json:"title"`
	Active       flag         `json:"active"`
	Emails       some[plural] `json:"emails"`
	Groups       some[plural] `json:"groups"`
	Roles        some[plural] `json:"roles"`
	Entitlements some[plural] `json:"entitlements"`
	Enterprise   some[worker] `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	Meta         some[meta]   `json:"meta"`
}

type name struct {
	Formatted  text `json:"formatted"`
	GivenName  text `json:"givenName"`
	FamilyName text `json:"familyName"`
}

// plural is one value of a multi-valued attribute. Some servers write the bare value.
type plural struct {
	Value   text `json:"value"`
	Ref     text `json:"$ref"`
	Display text `json:"display"`
	Type    text `json:"type"`
	Primary flag `json:"primary"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *plural) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		*p = plural{}
		return p.Value.UnmarshalJSON(data)
	}
	type plain plural
	return json.Unmarshal(data, (*plain)(p))
}

type worker struct {
	EmployeeNumber text          `json:"employeeNumber"`
	CostCenter     text          `json:"costCenter"`
	Organization   text          `json:"organization"`
	Division       text          `json:"division"`
	Department     text          `json:"department"`
	Manager        some[manager] `json:"manager"`
}

// manager is an object; version 1.1 and some servers write the bare id.
type manager struct {
	Value       text `json:"value"`
	ManagerID   text `json:"managerId"`
	DisplayName text `json:"displayName"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *manager) UnmarshalJSON(data []byte) error {
	if data[0] != '{' {
		*m = manager{}
		return m.Value.UnmarshalJSON(data)
	}
	type plain manager
	return json.Unmarshal(data, (*plain)(m))
}

type meta struct {
	Created text `json:"created"`
}

// group is a Group (RFC 7643, 4.2).
type group struct {
	ID          text            `json:"id"`
	ExternalID  text            `json:"externalId"`
	DisplayName text            `json:"displayName"`
	Members     json.RawMessage `json:"members"`
}

// members calls do with one member after the other: a group may have as many as there are users.
func (g *group) members(do func(plural) error) error {
	if len(g.Members) == 0 || g.Members[0] == 'n' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(g.Members))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return errMembers
	}
	for d.More() {
		var m plural
		if d.Decode(&m) != nil {
			return errMembers
		}
		if err := do(m); err != nil {
			return err
		}
	}
	return nil
}

var errMembers = errors.New("is no list of members")

// page is a ListResponse (RFC 7644, 3.4.2).
type page struct {
	total int
	items []json.RawMessage
}

// parsePage reads an answer to a query. An error that comes with status 200 is one.
func parsePage(body []byte) (page, error) {
	var m struct {
		Total     count           `json:"totalResults"`
		Resources json.RawMessage `json:"Resources"`
		message
	}
	if err := parse(body, &m, &m.message); err != nil {
		return page{}, err
	}
	switch {
	case m.Total.odd:
		return page{}, errors.New("totalResults is no number")
	case m.Total.value == nil:
		return page{}, errors.New("has no totalResults: it is no list of SCIM 2.0 (RFC 7644, 3.4.2)")
	}
	p := page{total: *m.Total.value}
	if len(m.Resources) == 0 || string(m.Resources) == "null" {
		return p, nil
	}
	if err := json.Unmarshal(m.Resources, &p.items); err != nil {
		return page{}, errors.New("its Resources are no list")
	}
	return p, nil
}

// message is what tells an error from an answer.
type message struct {
	Schemas some[text]      `json:"schemas"`
	Status  text            `json:"status"`
	Detail  text            `json:"detail"`
	Type    text            `json:"scimType"`
	Errors  json.RawMessage `json:"Errors"` // of version 1.1
	Error   json.RawMessage `json:"error"`
	Message text            `json:"message"`
	OK      json.RawMessage `json:"ok"`
}

// isError reports whether a body is one, whatever the status it came with.
func (m message) isError() bool {
	for _, s := range m.Schemas.list {
		if strings.EqualFold(s.s, errorURN) {
			return true
		}
	}
	code := len(m.Status.s) == 3 && m.Status.s >= "400" && m.Status.s <= "599"
	return code && m.Detail.s != "" || len(m.Errors) > 0 || string(m.OK) == "false" ||
		len(m.Error) > 0 && string(m.Error) != "null" && string(m.Error) != "false"
}

// text is what an error says, shortened.
func (m message) text() string {
	var parts []string
	for _, t := range []text{m.Status, m.Type, m.Detail, m.Message} {
		if t.s != "" {
			parts = append(parts, t.s)
		}
	}
	var s string
	if len(m.Error) > 0 && json.Unmarshal(m.Error, &s) == nil && s != "" {
		parts = append(parts, s)
	}
	return shorten(strings.Join(parts, " "))
}

// shorten makes one short line of what a server says.
func shorten(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// parse reads a body as one JSON object into v, and as a message into m.
func parse(body []byte, v any, m *message) error {
	head := strings.TrimSpace(string(body[:min(len(body), 512)]))
	switch {
	case head == "":
		return errors.New("the answer is empty")
	case head[0] == '<':
		return errors.New("the answer is HTML, no SCIM: is url: the base of the SCIM service, and not a page to sign in?")
	case head[0] != '{':
		return errors.New("the answer is no JSON object: is url: the base of a service of SCIM 2.0?")
	}
	if err := json.Unmarshal(body, v); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			if syntax.Offset >= int64(len(body)) && strings.HasPrefix(syntax.Error(), "unexpected end") {
				return errors.New("the answer was cut off: its JSON ends in the middle")
			}
			return fmt.Errorf("the answer is no JSON: %w at byte %d", err, syntax.Offset)
		}
		return fmt.Errorf("the answer is no SCIM: %w", err)
	}
	if m != nil && m.isError() {
		return fmt.Errorf("the answer is an error in spite of its status: %s", m.text())
	}
	return nil
}
