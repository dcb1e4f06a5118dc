package ldap

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// Bits of groupType ([MS-ADTS] 2.2.12).
const (
	groupGlobal      = 0x2
	groupDomainLocal = 0x4
	groupUniversal   = 0x8
	groupSecurity    = 0x80000000
)

// group is a group and whom it names as members.
func (d *activeDir) group(e located, dn string) error {
	v := d.v
	id, reason := d.identity()
	if reason != "" {
		return e.reject(d.out, "objectGUID", reason)
	}
	d.count.groups++
	sid := d.sid()
	g := access.Entitlement{ID: id, Name: cmp.Or(v.text("samaccountname"), v.text("cn")), Kind: "group", Resource: domainOf(e.DN),
		Attributes: map[string]string{"dn": e.DN}}
	if sid != "" {
		g.Attributes["sid"] = sid
		if everybodys(sid) {
			g.Attributes["implicit"] = "true"
		}
	}
	security := true
	if n, ok := v.number("grouptype"); ok {
		bits := uint32(n)
		switch {
		case bits&groupGlobal != 0:
			g.Attributes["scope"] = "global"
		case bits&groupDomainLocal != 0:
			g.Attributes["scope"] = "domain_local"
		case bits&groupUniversal != 0:
			g.Attributes["scope"] = "universal"
		}
		security = bits&groupSecurity != 0
		g.Attributes["group_type"] = "distribution"
		if security {
			g.Attributes["group_type"] = "security"
		}
	}
	if n, ok := v.number("admincount"); ok {
		g.Attributes["admin_count"] = strconv.FormatInt(n, 10)
	}
	g.Privileged = d.privileged(g.Name, dn, sid, security)

	names := []nameNo{d.members.name("dn", dn)}
	if sid != "" {
		names = append(names, d.members.name("sid", sid))
	}
	no := d.members.holder(access.HolderEntitlement, id, names...)
	for _, m := range v.texts("member") {
		member, err := canonicalDN(m)
		if err != nil {
			v.unreadable["member"]++
			continue
		}
		d.members.add(no, d.members.name("dn", member))
	}
	return d.put(e, g, v.text("managedby"))
}

// everybodys are the groups of a domain that an account is in by being one: Domain Users, Domain Guests, Domain Computers.
func everybodys(sid string) bool {
	i := strings.LastIndexByte(sid, '-')
	return strings.HasPrefix(sid, "S-1-5-21-") && slices.Contains([]string{"513", "514", "515"}, sid[i+1:])
}

// privileged says whether a group gives special rights: because the configuration says so, or because every domain has it
// and gives it those. It is unknown for a group whose SID can't be read.
func (d *activeDir) privileged(name, dn, sid string, security bool) *bool {
	yes := d.mapping.privileged[strings.ToLower(name)] || d.mapping.privileged[dn] || sid != "" && d.mapping.privileged[strings.ToLower(sid)]
	if !yes && security {
		if sid == "" {
			return nil
		}
		yes = privilegedSID(sid) || privilegedName[strings.ToLower(name)]
	}
	return &yes
}
