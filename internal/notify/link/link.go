package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/finding"
	"github.com/lapse-audit/lapse/internal/notify"
)

// Path is where the links lead to, below the address of Config.
const Path = "/answer/"

// minSecret is for the characters of a key: less could be guessed.
const minSecret = 32

// Links makes links and reads them. It is safe for use by several goroutines. A nil one makes none.
type Links struct {
	url     string
	signing string
	keys    map[string][]byte
	life    time.Duration
	now     func() time.Time
}

// New returns the links that a section describes. keys are what its references resolve to.
func New(c Config, keys map[string]string, now func() time.Time) (*Links, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("notify.links: %w", err)
	}
	l := &Links{url: strings.TrimRight(c.URL, "/"), signing: c.signing(), keys: map[string][]byte{}, life: time.Duration(c.Days) * 24 * time.Hour, now: now}
	if c.Days == 0 {
		l.life = 14 * 24 * time.Hour
	}
	for id := range c.Keys {
		if len(keys[id]) < minSecret {
			return nil, fmt.Errorf("notify.links.keys.%s: it has fewer than %d characters: make one with `openssl rand -hex 32`", id, minSecret)
		}
		l.keys[id] = []byte(keys[id])
	}
	return l, nil
}

// String keeps the keys from being printed.
func (*Links) String() string { return "<secret>" }

// GoString keeps %#v from printing them.
func (*Links) GoString() string { return "<secret>" }

// Offer is what a link lets its recipient answer.
type Offer struct {
	Channel string // that brings the link: the answer came by it
	Email   string // of the recipient: by it they are known
	Message string // key of the message that the link stands in: another message's link is another
	Finding finding.Fingerprint
	Answer  notify.Answer
}

// answers are numbered in links that were sent long ago: what a number means may not change.
var answers = []notify.Answer{"", notify.Revoke, notify.Keep, notify.NotMine, notify.Later}

const (
	version   = 1
	tagLength = 16
	purpose   = "lapse answer link\x00" // so that a key that signs something else, too, signs no link
)

// URL is the link for an offer, "" where none can be made.
func (l *Links) URL(o Offer) string {
	if l == nil || o.Email == "" {
		return ""
	}
	about, ok := o.encode()
	if !ok {
		return ""
	}
	text := append([]byte{version, byte(len(l.signing))}, l.signing...)
	text = binary.BigEndian.AppendUint32(text, uint32(l.now().Add(l.life).Unix()))
	text = append(text, about...)
	return l.url + Path + base64.RawURLEncoding.EncodeToString(append(text, l.tag(l.signing, text)...))
}

// encode writes what makes an offer what it is.
func (o Offer) encode() ([]byte, bool) {
	fp, err := hex.DecodeString(string(o.Finding))
	number := slices.Index(answers, o.Answer)
	if err != nil || len(fp) != sha256.Size || number < 1 || len(o.Email) > 254 || len(o.Channel) > 20 {
		return nil, false
	}
	message := sha256.Sum256([]byte(o.Message))
	out := append([]byte{byte(number)}, message[:8]...)
	out = append(out, fp...)
	out = append(append(out, byte(len(o.Channel))), o.Channel...)
	return append(out, o.Email...), true
}

func (l *Links) tag(key string, text []byte) []byte {
	mac := hmac.New(sha256.New, l.keys[key])
	mac.Write([]byte(purpose))
	mac.Write(text)
	return mac.Sum(nil)[:tagLength]
}

var (
	// ErrForged means that a link is none of ours, or not whole.
	ErrForged = errors.New("the link is not valid")
	// ErrExpired means that a link was good once.
	ErrExpired = errors.New("the link has expired")
)

// Read is the answer that a link's token stands for. What it takes beside, a reason and a day, is still to be asked for. The
// same offer has the same Decision.ID, whichever key signed it and when.
func (l *Links) Read(token string) (notify.Decision, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	// Even when strict, it passes over the ends of lines.
	if err != nil || strings.ContainsAny(token, "\r\n") || len(text) < 2+tagLength || text[0] != version {
		return notify.Decision{}, ErrForged
	}
	text, tag := text[:len(text)-tagLength], text[len(text)-tagLength:]
	rest := text[1:]
	key, rest, ok := field(rest)
	if _, known := l.keys[key]; !ok || !known || !hmac.Equal(tag, l.tag(key, text)) {
		return notify.Decision{}, ErrForged
	}
	const fixed = 4 + 1 + 8 + sha256.Size
	if len(rest) < fixed+1 {
		return notify.Decision{}, ErrForged
	}
	about := sha256.Sum256(rest[4:])
	number, fp := int(rest[4]), rest[13:fixed]
	channel, email, ok := field(rest[fixed:])
	if !ok || number >= len(answers) || number < 1 {
		return notify.Decision{}, ErrForged
	}
	if ends := time.Unix(int64(binary.BigEndian.Uint32(rest)), 0); !l.now().Before(ends) {
		return notify.Decision{}, ErrExpired
	}
	return notify.Decision{
		Channel: channel, Who: string(email), Email: string(email), Finding: finding.Fingerprint(hex.EncodeToString(fp)), Answer: answers[number],
		ID: "link/" + hex.EncodeToString(about[:16]),
	}, nil
}

// field reads a text that its length stands before.
func field(b []byte) (text string, rest []byte, ok bool) {
	if len(b) == 0 || len(b) < 1+int(b[0]) {
		return "", nil, false
	}
	n := 1 + int(b[0])
	return string(b[1:n]), b[n:], true
}
