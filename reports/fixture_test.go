package reports

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/lapse-audit/lapse/internal/access"
	"github.com/lapse-audit/lapse/internal/collect"
	"github.com/lapse-audit/lapse/internal/finding"
)

var night = time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC)

func daysAgo(n int) time.Time { return night.AddDate(0, 0, -n) }

// list yields findings in the order that Data asks for.
func list(findings []finding.Finding) iter.Seq2[finding.Finding, error] {
	slices.SortStableFunc(findings, func(a, b finding.Finding) int {
		backlog := 0
		if a.Backlog != b.Backlog {
			backlog = -1
			if a.Backlog {
				backlog = 1
			}
		}
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), backlog, a.FirstSeen.Compare(b.FirstSeen))
	})
	return func(yield func(finding.Finding, error) bool) {
		for _, f := range findings {
			if !yield(f, nil) {
				return
			}
		}
	}
}

var pack = []Policy{
	{"DOR-02", "Privileged account is dormant", "A privileged human account that nobody has used for 30 days.", finding.High, "account", "disable", []string{"CIS-8.1:5.3", "PCI-4.0:8.2.6", "NIST-800-53r5:AC-2(3)(d)"}, true},
	{"DOR-03", "Account was never used", "An enabled human account without a single sign-in, 30 days after it was made.", finding.Low, "account", "disable", []string{"CIS-8.1:5.3"}, false},
	{"LIC-01", "Seat of a leaver or a disabled account", "A paid seat whose account is disabled or whose holder has left.", finding.Low, "account", "none", []string{"CIS-8.1:2.1", "NIST-800-53r5:CM-10"}, true},
	{"LVR-01", "Leaver has an active account", "An enabled account of a person who has left, 24 hours after the end (at once where it is privileged).", finding.High, "account", "disable", []string{"PCI-4.0:8.2.5", "CIS-8.1:6.2", "NIST-800-53r5:PS-4", "ISO-27001:2022:A.6.5", "SOC2:CC6.2"}, true},
	{"LVR-03", "Leaver's account was used after the end", "Somebody signed in to the account of a person who had left.", finding.Critical, "account", "disable", []string{"NIST-800-53r5:AC-2(12)", "ISO-27001:2022:A.8.16"}, true},
	{"LVR-05", "Leaver owns groups or apps", "An entitlement whose owner has left.", finding.Medium, "entitlement", "handover", []string{"CIS-8.1:5.5"}, true},
	{"MFA-01", "Privileged account without MFA", "A privileged human account known to have no second factor.", finding.High, "account", "review", []string{"PCI-4.0:8.4.1", "CIS-8.1:6.5"}, true},
	{"ORP-01", "Account linked to nobody", "An enabled human account that no person in any roster owns.", finding.High, "account", "none", []string{"CIS-8.1:5.1", "ISO-27001:2022:A.5.16"}, true},
	{"SVC-01", "Service account without an owner", "A service account for which nobody answers.", finding.Medium, "account", "handover", []string{"CIS-8.1:5.5", "PCI-4.0:7.2.5"}, true},
}

var (
	surnames    = []string{"Okafor", "Lindqvist", "Nguyen", "García", "Schäfer", "Kowalczyk", "Haddad", "Tanaka", "O'Brien", "Müller", "Petrova", "Silva"}
	givenNames  = []string{"Amara", "Björn", "Chi", "Dolores", "Emil", "Frieda", "Ghassan", "Hana", "Ines", "Jürgen", "Katya", "Luís", "Mira"}
	departments = []string{"Finance", "Sales", "Engineering", "Customer Support", "Legal", ""}
	apps        = []struct{ uid, name string }{{"corp-ad", "Corp AD"}, {"salesforce", "Salesforce"}, {"github", "GitHub"}, {"jira", "Jira Cloud"}}
)

// company is a made-up night with something of everything.
func company(scale int) Data {
	var all []finding.Finding
	add := func(policy string, i int, change func(*finding.Finding)) {
		p := pack[slices.IndexFunc(pack, func(p Policy) bool { return p.ID == policy })]
		app := apps[i%len(apps)]
		name := givenNames[i%len(givenNames)] + " " + surnames[i*7%len(surnames)]
		user := fmt.Sprintf("u%05d", i)
		f := finding.Finding{
			Hit: finding.Hit{Policy: policy, Subject: finding.Subject{Kind: p.Subject, Source: app.uid, ID: fmt.Sprintf("6f1c%04d-9d0e-4c21-8a54-%012d", i%10000, i)},
				Message: fmt.Sprintf("%s in %s belongs to %s, who left %d days ago.", user, app.name, name, 3+i%40), Evidence: fmt.Sprintf(`{"ended":"2026-%02d-%02d","hours_since_end":%d,"last_login":"2026-11-20"}`, 1+i%11, 1+i%28, 72+i)},
			Severity: p.Severity, Title: p.Title, Category: policy[:3], Action: p.Action, Controls: p.Controls, SourceName: app.name, Name: user,
			Person: access.PersonKey("hr", fmt.Sprint(i/2)), PersonName: name, Department: departments[i*5%len(departments)], Assignee: "security",
			Status: finding.Open, FirstSeen: daysAgo(i % 25), LastSeen: night,
		}
		if i%3 == 0 {
			f.Assignee = "hr:100" + fmt.Sprint(i%4)
		}
		if change != nil {
			change(&f)
		}
		f.Fingerprint = finding.NewFingerprint(f.Policy, f.Subject, f.Key)
		all = append(all, f)
	}
	for i := range 3 * scale {
		add("LVR-03", i, func(f *finding.Finding) {
			f.Message = fmt.Sprintf("%s was used %d days after %s had left.", f.Name, 1+i, f.PersonName)
		})
	}
	for i := range 14 * scale {
		add("LVR-01", i, func(f *finding.Finding) {
			if i%5 == 4 {
				f.Backlog, f.FirstSeen, f.DueAt = true, daysAgo(29), night.AddDate(0, 0, i-8)
			}
			f.Carried = f.Subject.Source == "salesforce"
		})
	}
	for i := range 9 * scale {
		add("ORP-01", 100+i, func(f *finding.Finding) {
			f.Person, f.PersonName, f.Department = "", "", ""
			f.Message = f.Name + " in " + f.SourceName + " belongs to nobody."
			f.Evidence = `{"days_known":29,"link":"unmatched"}`
			f.Backlog, f.FirstSeen, f.DueAt = i%2 == 0, daysAgo(29), night.AddDate(0, 0, 31)
		})
	}
	for i := range 4 * scale {
		add("MFA-01", 200+i, func(f *finding.Finding) {
			f.Message = f.Name + " holds Domain Admins and has no second factor."
			f.Evidence = `{"grants":[{"entitlement":"Domain Admins","path":["Helpdesk","Tier 1","Domain Admins"]}],"mfa":false}`
		})
	}
	for i := range 5 * scale {
		add("SVC-01", 300+i, func(f *finding.Finding) {
			f.Person, f.PersonName, f.Department = "", "", ""
			f.Message = "Nobody answers for " + f.Name + "."
			f.Evidence = ""
		})
	}
	for i := range 11 * scale {
		add("LIC-01", 10+i, func(f *finding.Finding) {
			f.Key, f.CostMonth, f.Currency = "E3", "57.005", "USD"
			if i%4 == 1 {
				f.Key, f.CostMonth, f.Currency = "PRO", "30.10", "EUR"
			}
			if i%4 == 3 {
				f.CostMonth, f.Currency = "", ""
			}
			f.Message = fmt.Sprintf("%s still holds a seat of %s.", f.Name, f.Key)
		})
	}
	for i := range 2 * scale {
		add("DOR-02", 400+i, func(f *finding.Finding) {
			f.Status, f.ExceptionID = finding.Excepted, "EX-7"
			f.Message = f.Name + " was not used for 41 days."
		})
		add("DOR-02", 500+i, func(f *finding.Finding) {
			f.Status, f.ExcludedBy = finding.Excluded, "leave"
			f.Message = f.Name + " was not used for 64 days."
		})
		add("LVR-01", 600+i, func(f *finding.Finding) {
			f.Status, f.Cause, f.ClosedAt, f.LastSeen = finding.Closed, finding.Fixed, night, daysAgo(1)
		})
	}
	d := Data{
		Company: "Northwind Traders", Findings: list(all), Policies: pack,
		Run: Run{ID: 412, Time: night, Recorded: night.Add(41 * time.Second), Duration: 41 * time.Second, Version: "0.1.0", Previous: &RunRef{411, daysAgo(1)},
			Reasons: []string{"Salesforce is quarantined", "Jira Cloud is stale", "PEER-01 failed on GitHub"}},
		Exceptions: []Exception{
			{"EX-7", "DOR-02 on u00400 and u00401", "Emergency administrators, used in the yearly test only", "hr:1001", "SEC-88", daysAgo(80), night.AddDate(0, 0, 12)},
			{"EX-9", "LIC-01 in Jira Cloud", "Renewal in January", "hr:1002", "", daysAgo(10), night.AddDate(0, 3, 0)},
			{"EX-3", "SVC-01 on u00300", "Migration", "hr:1001", "SEC-70", daysAgo(200), daysAgo(0)},
		},
		Changes:      []Change{{"person.status", "active", "ended", 4}, {"person.status", "", "active", 6}, {"account.enabled", "true", "false", 9}, {"account.link", "", "", 1}, {"seat.seat", "held", "", 3}},
		AssigneeName: func(a string) string { return map[string]string{"hr:1000": "Ada Berg", "hr:1003": "Noor Aziz"}[a] },
	}
	d.AssigneeName = func(a string) string {
		return cmp.Or(map[string]string{"security": "Security team", "hr:1000": "Ada Berg", "hr:1001": "Tom Ruiz", "hr:1002": "Noor Aziz", "hr:1003": "Li Wei"}[a], a)
	}
	d.Inputs = inputs()
	yes, no := true, false
	d.Inventory = &Inventory{Apps: []App{
		{Name: "Workday", Source: "hr", Owner: "Tom Ruiz", PersonalData: &yes, Criticality: "high"}, {Name: "Active Directory", Source: "corp-ad"},
		{Name: "Salesforce", Source: "salesforce"}, {Name: "GitHub", Source: "github"}, {Name: "Jira", Source: "jira"},
		{Name: "Canteen", PersonalData: &no, Criticality: "low", Why: "no export"}, {Name: "Figma"},
		{Name: "Payroll <of> the \u202eyear", Owner: "Noor Aziz", PersonalData: &yes, Criticality: "critical", Why: "runs at the tax adviser's"},
	}}
	d.Gone = []Gone{{"gitlab", "GitLab \u202e<old>"}}
	d.Notes = []string{`contracts.csv line 7: nobody is known to hold a seat of "PR0" in github, so the contract says nothing: did you mean "PRO"?`}
	for i, p := range pack {
		if !p.Enabled {
			continue
		}
		for j, app := range apps {
			t := finding.Tally{Policy: p.ID, Source: app.uid, Subjects: uint64(2311 - 400*j), OutOfScope: uint64(90 + i), Missing: map[string]uint64{}}
			t.Evaluated = t.Subjects - t.OutOfScope
			t.Flagged = uint64(i)
			switch {
			case p.ID == "MFA-01" && j > 0:
				t.NotEvaluable, t.Evaluated = t.Evaluated, 0
				t.Missing["account.mfa"] = t.NotEvaluable
			case p.ID == "DOR-02" && j%2 == 1:
				t.NotEvaluable = 40
				t.Evaluated -= 40
				t.Missing["account.days_since_login|account.never_logged_in"], t.Missing["account.privileged"] = 33, 7
			}
			d.Tallies = append(d.Tallies, t)
		}
	}
	d.Tallies = append(d.Tallies, finding.Tally{Policy: "PEER-01", Source: "github", Failed: "policy.rego:14: two findings with one fingerprint: give them a key"})
	for i := range 30 {
		n := Night{Time: daysAgo(29 - i), Complete: i != 12, Open: uint64(30 + i*i/20 - max(0, i-22)*2), Backlog: uint64(64 - i*2), New: uint64(i * 7 % 5), Closed: uint64(i * 3 % 4)}
		if i == 0 {
			n.Open, n.New = 0, 0
		}
		d.Nights = append(d.Nights, n)
	}
	return d
}

func inputs() []Input {
	full := map[string]access.Coverage{"enabled": "full", "kind": "full", "email": "full", "last_login": "partial", "privileged": "full", "mfa": "none", "owner": "none"}
	sha := "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	return []Input{
		{UID: "hr", Name: "Workday", Type: "file", Roster: true, Status: Fresh, Taken: night, AsOf: night.Add(-8 * time.Hour), Records: map[string]uint64{"people": 2041},
			Coverage:   map[string]access.Coverage{"status": "full", "end_date": "full", "department": "partial"},
			Provenance: collect.Provenance{Request: "people.csv", Mapping: "c0ffee", Reads: []string{"people"}, Files: []collect.File{{Name: "people.csv", SHA256: sha, Size: 482113, ModTime: night.Add(-8 * time.Hour), Rows: 2043}}},
			Rejected:   2, Rejections: []collect.Rejection{{File: "people.csv", Line: 418, Column: "End Date", Reason: `"31/02/2026" is no date: want DD/MM/YYYY`}, {File: "people.csv", Line: 1203, Column: "Employee ID", Reason: "empty"}}},
		{UID: "corp-ad", Name: "Corp AD", Type: "file", Status: Fresh, Taken: night, Records: map[string]uint64{"accounts": 2311, "entitlements": 188, "grants": 9120}, Coverage: full,
			Provenance: collect.Provenance{Request: "ad-accounts.csv, ad-groups.csv", Identity: "svc-lapse", Reads: []string{"accounts", "entitlements", "grants"}, Notes: []string{"Li Wei exports it by hand every 90d; the next one is due on 2026-12-01"}, Files: []collect.File{{Name: "ad-accounts.csv", SHA256: sha, Size: 1482113, ModTime: night, Rows: 2311}}}},
		{UID: "salesforce", Name: "Salesforce", Type: "file", Status: Quarantined, Taken: daysAgo(2), Reasons: []string{"611 accounts where at least 1,079 were expected (highest of the last 7: 1,199)"}, Records: map[string]uint64{"accounts": 1199}, Coverage: full},
		{UID: "github", Name: "GitHub", Type: "file", Status: Fresh, Taken: night, Records: map[string]uint64{"accounts": 740, "seats": 700}, Coverage: full},
		{UID: "jira", Name: "Jira Cloud", Type: "file", Status: Stale, Taken: daysAgo(1), Reasons: []string{"open jira.csv: no such file"}, Records: map[string]uint64{"accounts": 1508}, Coverage: full},
		{UID: "zoom", Name: "Zoom", Type: "file", Status: Absent, Reasons: []string{"no snapshot yet"}},
	}
}
