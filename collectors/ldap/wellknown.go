package ldap

import "strings"

// wellKnown are names for many that every Windows knows ([MS-DTYP] 2.4.2.4). In a directory they stand among the foreign
// principals once a group has one as a member.
var wellKnown = map[string]string{
	"S-1-1-0":     "Everyone",
	"S-1-3-0":     "Creator Owner",
	"S-1-5-1":     "Dialup",
	"S-1-5-2":     "Network",
	"S-1-5-3":     "Batch",
	"S-1-5-4":     "Interactive",
	"S-1-5-6":     "Service",
	"S-1-5-7":     "Anonymous Logon",
	"S-1-5-9":     "Enterprise Domain Controllers",
	"S-1-5-10":    "Self",
	"S-1-5-11":    "Authenticated Users",
	"S-1-5-12":    "Restricted Code",
	"S-1-5-13":    "Terminal Server Users",
	"S-1-5-14":    "Remote Interactive Logon",
	"S-1-5-15":    "This Organization",
	"S-1-5-17":    "IUSR",
	"S-1-5-18":    "Local System",
	"S-1-5-19":    "Local Service",
	"S-1-5-20":    "Network Service",
	"S-1-5-64-10": "NTLM Authentication",
	"S-1-5-64-14": "SChannel Authentication",
	"S-1-5-64-21": "Digest Authentication",
	"S-1-5-1000":  "Other Organization",
	"S-1-5-113":   "Local account",
	"S-1-5-114":   "Local account and member of Administrators group",
}

// privilegedBuiltin are the groups below S-1-5-32 whose members rule the domain, or can make themselves its rulers.
var privilegedBuiltin = map[string]bool{
	"544": true, // Administrators
	"548": true, // Account Operators
	"549": true, // Server Operators
	"550": true, // Print Operators: load drivers on domain controllers
	"551": true, // Backup Operators
	"552": true, // Replicator
	"557": true, // Incoming Forest Trust Builders
	"578": true, // Hyper-V Administrators
}

// privilegedRID are those of a domain.
var privilegedRID = map[string]bool{
	"498": true, // Enterprise Read-only Domain Controllers
	"512": true, // Domain Admins
	"516": true, // Domain Controllers
	"517": true, // Cert Publishers
	"518": true, // Schema Admins
	"519": true, // Enterprise Admins
	"520": true, // Group Policy Creator Owners
	"521": true, // Read-only Domain Controllers
	"526": true, // Key Admins
	"527": true, // Enterprise Key Admins
}

// privilegedName are groups that products make, whose SIDs differ from domain to domain.
var privilegedName = map[string]bool{
	"dnsadmins":                    true, // loads a library into the DNS service of a domain controller
	"organization management":      true, // Exchange
	"exchange trusted subsystem":   true,
	"exchange windows permissions": true,
}

// privilegedSID reports whether every domain has a group with this SID and gives it special rights.
func privilegedSID(sid string) bool {
	if rid, ok := strings.CutPrefix(sid, "S-1-5-32-"); ok {
		return privilegedBuiltin[rid]
	}
	return strings.HasPrefix(sid, "S-1-5-21-") && privilegedRID[ridOf(sid)]
}

// ridOf is the last part of a SID, which tells it from the others of its domain.
func ridOf(sid string) string { return sid[strings.LastIndexByte(sid, '-')+1:] }
