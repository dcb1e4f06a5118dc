package ldap

import (
	"cmp"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// group is a group, or a role with occupants, and whom it names as members.
func (d *rfc2307) group(e located, dn, id string) error {
	v := d.v
	d.count.groups++
	name := v.text("cn")
	if name == "" {
		if _, n, err := nameOf(e.DN); err == nil {
			name = n
		}
	}
	g := access.Entitlement{ID: id, Name: name, Kind: "group", Resource: domainOf(e.DN), Attributes: map[string]string{"dn": e.DN}}
	if v.has("roleoccupant") {
		g.Kind = "role"
	}
	if strings.HasPrefix(id, "dn:") {
		g.Attributes["id_from"] = "dn"
	}
	gid := v.text("gidnumber")
	if gid != "" {
		g.Attributes["gid_number"] = gid
	}
	g.Privileged = d.privileged(name, dn, gid)

	no := d.members.holder(access.HolderEntitlement, id)
	d.name(no, d.members.name("dn", dn))
	if gid != "" {
		d.name(no, d.members.name("gid", gid))
	}
	if d.hides() {
		d.hidden[no] = true
	}
	for _, attribute := range []string{"member", "uniquemember", "roleoccupant"} {
		for _, m := range v.texts(attribute) {
			if attribute == "uniquemember" {
				m = withoutUID(m)
			}
			member, err := canonicalDN(m)
			if err != nil {
				v.unreadable[attribute]++
				continue
			}
			if member != "" { // what stands in a group that must have a member and has none
				d.members.add(no, d.members.name("dn", member))
			}
		}
	}
	for _, uid := range v.texts("memberuid") {
		d.members.add(no, d.members.name("uid", foldValue(uid)))
	}
	if u := v.text("memberurl"); u != "" {
		g.Attributes["member_url"] = u
	}
	for _, u := range v.texts("memberurl") {
		d.dynamic.group(no, e.DN, u)
	}
	d.told.add(d, no)
	d.dynamic.keep(e, dn, no)

	owner := v.text("owner")
	if owner != "" && !strings.Contains(owner, "=") {
		g.OwnerID, owner = owner, ""
	}
	return d.owners.put(d.out, e, v, g, owner)
}

// classMembers are the attributes by which the classes of groups name members.
var classMembers = map[string]string{
	"groupofnames": "member", "groupofmembers": "member", "groupofentries": "member", "group": "member",
	"groupofuniquenames": "uniquemember", "posixgroup": "memberuid",
}

// hides reports whether no group at all shows what this one has its members in. That one of many shows none says nothing:
// it may be empty.
func (d *rfc2307) hides() bool {
	hides := false
	for _, class := range d.v.texts("objectclass") {
		if a := classMembers[strings.ToLower(class)]; a != "" {
			if d.given(a) {
				return false
			}
			hides = true
		}
	}
	return hides
}

// withoutUID takes the optional bit string off a uniqueMember (RFC 4517, 3.3.21): cn=a,dc=x#'0101'B.
func withoutUID(s string) string {
	if !strings.HasSuffix(s, "'B") {
		return s
	}
	i := strings.LastIndex(s, "#'")
	if i < 0 || strings.Trim(s[i+2:len(s)-2], "01") != "" {
		return s
	}
	return s[:i]
}

// privileged says whether a group gives special rights. Such directories have next to none that are known to; which groups
// do is for the configuration to say, and where it says nothing, nothing is known.
func (d *rfc2307) privileged(name, dn, gid string) *bool {
	yes := d.mapping.privileged[strings.ToLower(name)] || d.mapping.privileged[dn] ||
		gid == "0" || // root
		strings.EqualFold(name, "Directory Administrators") // of 389 Directory Server, which makes it
	if !yes && len(d.mapping.privileged) == 0 {
		return nil
	}
	return &yes
}

// memberships are those that accounts and groups tell of themselves in memberOf. They count where the group itself can't
// be read: servers write memberOf late or never, and some write it for nested groups as well.
type memberships struct {
	joins roll
	dns   map[nameNo]string // of groups
	order []nameNo
	// groups are those that were made of it.
	groups map[uint32]bool
}

func (t *memberships) add(d *rfc2307, member uint32) {
	for _, text := range d.v.texts("memberof") {
		dn, err := canonicalDN(text)
		if err != nil {
			d.v.unreadable["memberof"]++
			continue
		}
		key := d.members.name("dn", dn)
		if _, known := t.dns[key]; !known {
			if t.dns == nil {
				t.dns = map[nameNo]string{}
			}
			t.dns[key] = text
			t.order = append(t.order, key)
		}
		t.joins.add(uint32(key), member)
	}
}

// settleTold makes the groups that are known from memberOf alone, and adds the memberships that no group tells.
func (d *rfc2307) settleTold() error {
	for _, key := range d.told.order {
		if _, known := d.members.find(key); known {
			continue
		}
		text := d.told.dns[key]
		dn, err := canonicalDN(text)
		if err != nil {
			return err // add has read it
		}
		_, name, err := nameOf(text)
		if err != nil {
			return err
		}
		id := "dn:" + dn
		g := access.Entitlement{ID: id, Name: cmp.Or(name, text), Kind: "group", Resource: domainOf(text), Privileged: d.privileged(name, dn, ""),
			Attributes: map[string]string{"dn": text, "id_from": "dn", "known_from": "memberOf"}}
		located{}.locate(d.out)
		if err := d.out.Put(g); err != nil {
			return err
		}
		if d.told.groups == nil {
			d.told.groups = map[uint32]bool{}
		}
		d.told.groups[d.members.holder(access.HolderEntitlement, id, key)] = true
	}
	d.told.joins.each(func(group, member uint32) {
		no, _ := d.members.find(nameNo(group))
		if d.members.kind(no) == access.HolderEntitlement && !d.hidden[no] && !d.told.groups[no] {
			return // the group tells itself who is in it
		}
		d.members.join(member, nameNo(group))
	})
	return nil
}
