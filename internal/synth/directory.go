package synth

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lapse-audit/lapse/internal/access"
)

// DirectoryLDIF is the directory once more, beside its other exports: as Active Directory itself has it.
const DirectoryLDIF = "directory.ldif"

// domainDN is the directory's domain.
const domainDN = "DC=corp,DC=planetary,DC=example"

// units are the parts of the domain that accounts lie in. Which one tells what an account is for; of those in the last
// nobody knows.
var units = map[access.AccountKind]string{
	access.KindHuman: "OU=Users", access.KindService: "OU=Service", access.KindShared: "OU=Shared", "": "OU=Unsorted",
}

// standard are groups that every domain has, and where.
var standard = map[int]string{grpDomainAdmins: "CN=Users", grpServerOperators: "CN=Builtin"}

// writeDirectory writes the directory of night n in LDIF (RFC 2849). A group names its members there, so, unlike the other
// exports, it needs memory: some hundred bytes an account.
func (c *Company) writeDirectory(path string, n int) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := &ldif{Writer: bufio.NewWriterSize(f, 1<<16)}
	defer func() {
		if e := w.Flush(); err == nil {
			err = e
		}
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	d := c.directory(n)
	w.WriteString("version: 1\n")
	for _, unit := range []string{units[access.KindHuman], units[access.KindService], units[access.KindShared], units[""], "OU=Groups", "OU=Contacts"} {
		w.entry(unit+","+domainDN, "objectClass", "top", "objectClass", "organizationalUnit")
	}
	for _, name := range d.outside {
		w.entry(d.contact(name), "objectClass", "top", "objectClass", "person", "objectClass", "organizationalPerson", "objectClass", "contact")
	}
	d.groups(w)
	for a := range c.accounts(AD, n) {
		d.account(w, &a)
	}
	return nil
}

// directory is what the entries of one night need to know of each other.
type directory struct {
	company  *Company
	night    int
	dn       map[string]string // of accounts and groups, by id
	person   map[string]string // DN of a person's account, by employee id and e-mail
	members  map[string][]string
	admins   map[string]bool // groups that lie in Domain Admins
	outside  []string        // owners who are nobody's account
	contacts map[string]bool
}

func (c *Company) directory(n int) *directory {
	d := &directory{company: c, night: n, dn: map[string]string{}, person: map[string]string{}, members: map[string][]string{}, admins: map[string]bool{}, contacts: map[string]bool{}}
	in := map[string][]string{}
	for e := range c.entitlements(AD, n) {
		d.dn[e.ID] = "CN=" + escape(e.Name) + "," + d.under(e.ID)
		in[e.ID] = e.in
	}
	for id, to := range in {
		d.admins[id] = slices.Contains(reach(in, id), c.group(grpDomainAdmins, 0, 0))
		for _, group := range to {
			d.members[group] = append(d.members[group], d.dn[id])
		}
	}
	for a := range c.accounts(AD, n) {
		o := c.observe(&a, n)
		cn := o.Username
		if o.Name != cn {
			cn = o.Name + " (" + cn + ")" // names are not unique
		}
		d.dn[a.id] = "CN=" + escape(cn) + "," + units[a.kind] + "," + domainDN
		for _, g := range o.grants {
			d.members[g.EntitlementID] = append(d.members[g.EntitlementID], d.dn[a.id])
		}
		if a.person != nil && a.handle == "" {
			d.person[a.person.id] = d.dn[a.id]
			d.person[c.hrEmail(a.person, n)] = d.dn[a.id]
		}
		// An owner who is neither an employee id nor an e-mail address is nobody's account.
		if a.person == nil && a.owner != "" && !strings.ContainsAny(a.owner, "@0123456789") && !d.contacts[a.owner] {
			d.contacts[a.owner] = true
			d.outside = append(d.outside, a.owner)
		}
	}
	for _, list := range d.members {
		slices.Sort(list)
	}
	return d
}

func (d *directory) under(group string) string {
	for what, under := range standard {
		if group == d.company.group(what, 0, 0) {
			return under + "," + domainDN
		}
	}
	return "OU=Groups," + domainDN
}

func (d *directory) contact(name string) string {
	return "CN=" + escape(name) + ",OU=Contacts," + domainDN
}

// owner is the DN of whoever answers for something, "" where the directory has no entry for them.
func (d *directory) owner(name string) string {
	if d.contacts[name] {
		return d.contact(name)
	}
	return d.person[name]
}

// Numbers by which SIDs end: those of groups, then those of accounts.
const (
	firstGroupRID   = 1_100
	firstAccountRID = 1_000_000
)

func (d *directory) groups(w *ldif) {
	const global, distribution, builtin = "-2147483646", "2", "-2147483643" // groupType, [MS-ADTS] 2.2.12
	class := []string{"objectClass", "top", "objectClass", "group"}
	w.entry("CN=Domain Users,CN=Users,"+domainDN, append(class, "sAMAccountName", "Domain Users", "groupType", global,
		"objectGUID", bytesOfGUID(d.company.group(0, 0, 0)), "objectSid", d.sid(513))...)
	serial := 0
	for e := range d.company.entitlements(AD, d.night) {
		typ, sid := global, d.sid(uint32(firstGroupRID+serial))
		serial++
		switch e.ID {
		case d.company.group(grpDomainAdmins, 0, 0):
			sid = d.sid(512)
		case d.company.group(grpServerOperators, 0, 0):
			typ, sid = builtin, sidOf(32, 549)
		}
		if strings.HasPrefix(e.Name, "List ") {
			typ = distribution
		}
		lines := append(slices.Clone(class), "sAMAccountName", e.Name, "groupType", typ, "objectGUID", bytesOfGUID(e.ID), "objectSid", sid)
		if d.admins[e.ID] {
			lines = append(lines, "adminCount", "1")
		}
		if owner := d.owner(e.OwnerID); owner != "" {
			lines = append(lines, "managedBy", owner)
		}
		for _, m := range d.members[e.ID] {
			lines = append(lines, "member", m)
		}
		w.entry(d.dn[e.ID], lines...)
	}
}

func (d *directory) account(w *ldif, a *account) {
	o := d.company.observe(a, d.night)
	lines := []string{"objectClass", "top", "objectClass", "person", "objectClass", "organizationalPerson", "objectClass", "user"}
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, name, value)
		}
	}
	add("sAMAccountName", o.Username)
	add("displayName", o.Name)
	add("mail", o.Email)
	add("employeeID", o.EmployeeID)
	add("userAccountControl", flag(o.Enabled, "512", "514"))
	add("whenCreated", when(o.CreatedAt, "20060102150405.0Z", ""))
	if o.LastLoginAt != nil { // of whoever never signed in it is missing
		add("lastLogonTimestamp", fmt.Sprint(filetime(o.LastLoginAt, nil)))
	}
	add("manager", d.owner(o.OwnerID)) // who answers for it: managedBy is for groups and computers
	add("primaryGroupID", "513")
	if slices.ContainsFunc(o.grants, func(g access.Grant) bool { return d.admins[g.EntitlementID] }) {
		add("adminCount", "1")
	}
	add("objectGUID", bytesOfGUID(a.id))
	add("objectSid", d.sid(uint32(firstAccountRID+a.serial)))
	w.entry(d.dn[a.id], lines...)
}

func (d *directory) sid(rid uint32) string { return d.company.domainSID(rid) }

// domainSID is the binary form of the domain's SID with a last part ([MS-DTYP] 2.4.2).
func (c *Company) domainSID(rid uint32) string {
	return sidOf(21, uint32(mix(c.seed, topicID, 1)), uint32(mix(c.seed, topicID, 2)), uint32(mix(c.seed, topicID, 3)), rid)
}

// textOfSID is how people write a SID.
func textOfSID(sid string) string {
	text := "S-1-5"
	for b := []byte(sid[8:]); len(b) > 0; b = b[4:] {
		text += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(b))
	}
	return text
}

// sidOf is the binary form of S-1-5 with more parts.
func sidOf(parts ...uint32) string {
	b := []byte{1, byte(len(parts)), 0, 0, 0, 0, 0, 5}
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint32(b, p)
	}
	return string(b)
}

// bytesOfGUID is how objectGUID holds a GUID ([MS-DTYP] 2.3.4).
func bytesOfGUID(s string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil {
		panic(fmt.Sprintf("synth: GUID %s: %v", s, err)) // they are made here
	}
	slices.Reverse(b[0:4])
	slices.Reverse(b[4:6])
	slices.Reverse(b[6:8])
	return string(b)
}

// escape writes a value as it stands in a DN (RFC 4514).
func escape(value string) string {
	return escapes.Replace(value)
}

var escapes = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`, `"`, `\"`, `<`, `\<`, `>`, `\>`, `;`, `\;`, `=`, `\=`)

// ldif writes entries.
type ldif struct{ *bufio.Writer }

// entry writes an entry of attributes and values in turn.
func (w *ldif) entry(dn string, lines ...string) {
	w.WriteByte('\n')
	w.line("dn", dn)
	for i := 0; i < len(lines); i += 2 {
		w.line(lines[i], lines[i+1])
	}
}

func (w *ldif) line(name, value string) {
	w.WriteString(name)
	if strings.Trim(value, " :<") != value || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		w.WriteString(":: ")
		value = base64.StdEncoding.EncodeToString([]byte(value))
	} else {
		w.WriteString(": ")
	}
	w.WriteString(value)
	w.WriteByte('\n')
}
