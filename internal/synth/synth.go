// Package synth makes up a company of any size, the exports that its systems would give night by night, and what is true
// about it: who owns which account and what an audit must find. The same Config always gives the same company.
//
// Nothing is kept in memory: every person, account and sign-in is computed from the seed and a number, so a company of a
// million accounts streams. What is true is computed from the company itself, not by the code that it tests.
package synth

import (
	"fmt"
	"time"
	_ "time/tzdata" // the company's zones must be known on every machine
)

// Config says which company to make up.
type Config struct {
	Seed uint64
	// People in the roster, those who left included. Below 250 there are too few for every case, so 250 is the least.
	People int
	// Nights is how many nights are told: joiners, movers and leavers are spread over them. At least 10; zero is 30.
	Nights int
	// Start is the day of the first night; only its date counts. Zero is 12 October 2026: summer time ends on different
	// nights in the company's zones.
	Start time.Time
}

// Company is a made-up company. It may be used by several goroutines.
type Company struct {
	seed    uint64
	people  int
	nights  int
	y, d    int
	m       time.Month
	weekday int
	zones   [3]*time.Location
	departs int
	pair    [2]int // two people who share a mailbox
}

// New makes up a company.
func New(cfg Config) *Company {
	if cfg.Start.IsZero() {
		cfg.Start = time.Date(2026, 10, 12, 0, 0, 0, 0, time.UTC)
	}
	if cfg.Nights == 0 {
		cfg.Nights = 30
	}
	c := &Company{seed: cfg.Seed, people: max(cfg.People, 250), nights: max(cfg.Nights, 10)}
	c.y, c.m, c.d = cfg.Start.Date()
	c.weekday = int(cfg.Start.Weekday())
	for i, z := range zones {
		c.zones[i] = mustZone(z.name)
	}
	c.departs = max(len(functions), c.people/150)
	at := 0
	for i := range c.people {
		if c.fateOf(i) == fateSharedMail {
			c.pair[at] = i
			if at++; at == 2 {
				break
			}
		}
	}
	return c
}

// mustZone panics when the zone is unknown, which time/tzdata rules out.
func mustZone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(fmt.Sprintf("synth: zone %s: %v", name, err))
	}
	return loc
}

// zones are where people work; the second is the company's own.
var zones = [3]struct{ name, place string }{
	{"America/Los_Angeles", "San Francisco"}, {"Europe/Berlin", "Berlin"}, {"Asia/Singapore", "Singapore"},
}

// Zone is the company's own time zone.
const Zone = "Europe/Berlin"

// Locations gives the zone of each location.
func Locations() map[string]string {
	out := map[string]string{}
	for _, z := range zones {
		out[z.place] = z.name
	}
	return out
}

// People is the number of people, those who left included.
func (c *Company) People() int { return c.people }

// Nights is the number of nights that the company's story spans.
func (c *Company) Nights() int { return c.nights }

// RunTime is when night n is judged: 02:00 in the company's zone.
func (c *Company) RunTime(n int) time.Time { return c.local(1, n, 120) }

// local is the instant of a minute of a day in a zone. Day 0 is the first night's.
func (c *Company) local(zone, day, minute int) time.Time {
	return time.Date(c.y, c.m, c.d+day, 0, minute, 0, 0, c.zones[zone]).UTC()
}

// Sources lists the uids of the sources, the roster first, then the directory.
func Sources() []string { return []string{HR, AD, CRM, Code, Chat, Wiki, VPN, ERP, Lab, Cloud} }

// The sources' uids.
const (
	HR   = "hr"
	AD   = "ad"
	CRM  = "crm"
	Code = "code"
	Chat = "chat"
	Wiki = "wiki"
	VPN  = "vpn"
	ERP  = "erp"
	// Lab is the directory of a firm that was bought, and Cloud is where its products run.
	Lab   = "lab"
	Cloud = "cloud"
)

// mix is splitmix64's finalizer over a running sum: cheap, and good enough that neighbours look unrelated.
func mix(parts ...uint64) uint64 {
	var h uint64
	for _, p := range parts {
		h += p + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// The topics keep the rolls of different things apart.
const (
	topicPerson = iota + 1
	topicFate
	topicTeam
	topicAccount
	topicExtra
	topicLogin
	topicSeat
	topicGrant
	topicID
	topicEntitlement
)

// roll is a number in [0, n) for the thing i of a topic.
func (c *Company) roll(n int, topic, i, salt int) int {
	return int(mix(c.seed, uint64(topic), uint64(i), uint64(salt)) % uint64(n))
}

// between is a number in [low, high].
func (c *Company) between(low, high int, topic, i, salt int) int {
	return low + c.roll(high-low+1, topic, i, salt)
}

func ptr[T any](v T) *T { return &v }
