package ldap

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"github.com/lapse-audit/lapse/collectors/ldap/ldaptest"

	"github.com/lapse-audit/lapse/internal/strict"
)

// proxy stands between the collector and a controller. It holds to the limits of Microsoft's servers, which Samba doesn't
// have, and breaks what it is told to break.
type proxy struct {
	url, ca string
	back    *dc

	// Limits of Microsoft's servers.
	pageMax, rangeMax int

	// entry is called with the number of each entry that passes, over all connections, and says what to do with it.
	entry func(n int64, dn string) fault
	// change may alter an entry that passes.
	change func(dn string, attributes *ber.Packet)
	// write says what to do with a request for a change.
	write func() fault

	entries, pages, ranges, connections atomic.Int64
	largestPage                         atomic.Int64
}

type fault int

const (
	pass      fault = iota
	cutOff          // the connection ends in the middle of the entry
	hang            // nothing comes any more
	garbage         // bytes that are no LDAP
	tooMany         // the search ends with sizeLimitExceeded
	busy            // the search ends with busy
	strangeID       // the entry answers another request
	noCookie        // the page ends without its control

	// Of requests for a change.
	cutAnswered  // it is carried out, and the connection ends instead of the answer
	hangAnswered // it is carried out, and no answer comes
	lost         // it is not carried out, and no answer comes
	pretended    // it is not carried out, and the answer is success
	denied       // it is not carried out, and the answer is insufficientAccessRights
)

// asksChange reports whether a request is for a change, and the kind of its answer.
func asksChange(op *ber.Packet) (answer ber.Tag, ok bool) {
	switch op.Tag {
	case ldap.ApplicationModifyRequest:
		return ldap.ApplicationModifyResponse, true
	case ldap.ApplicationModifyDNRequest:
		return ldap.ApplicationModifyDNResponse, true
	}
	return 0, false
}

// newProxy listens on loopback until the test ends.
func newProxy(t testing.TB, back *dc) *proxy {
	t.Helper()
	dir := t.TempDir()
	p := &proxy{ca: filepath.Join(dir, "cert.pem"), back: back, pageMax: 1000, rangeMax: 1500}
	if err := ldaptest.WriteCert(p.ca, filepath.Join(dir, "key.pem"), "127.0.0.1", "proxy.corp.example", time.Hour); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(p.ca, filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	p.url = "ldaps://" + l.Addr().String()
	pem, err := os.ReadFile(back.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			p.connections.Add(1)
			all.Go(func() { p.serve(front, pool, stop) })
		}
	})
	t.Cleanup(func() { close(stop); l.Close(); all.Wait() })
	return p
}

// config is that of the controller behind, through the proxy.
func (p *proxy) config() Config {
	c := p.back.config()
	c.URL, c.CA = strict.Texts{p.url}, p.ca
	return c
}

func (p *proxy) serve(front net.Conn, pool *x509.CertPool, stop chan struct{}) {
	back, err := tls.Dial("tcp", net.JoinHostPort(p.back.IP, "636"), &tls.Config{RootCAs: pool})
	if err != nil {
		front.Close()
		return
	}
	var both sync.WaitGroup
	end := func() { front.Close(); back.Close() }
	over := make(chan struct{})
	go func() {
		select {
		case <-stop:
			end()
		case <-over:
		}
	}()
	var asked sync.Map // message id to the first value that is asked for by range, or to the fault of a change
	both.Go(func() { defer end(); p.requests(front, back, &asked) })
	both.Go(func() { defer end(); p.answers(back, front, &asked, stop) })
	both.Wait()
	close(over)
}

func (p *proxy) requests(from io.ReadWriter, to io.Writer, asked *sync.Map) {
	for {
		m, err := ber.ReadPacket(from)
		if err != nil {
			return
		}
		if answer, ok := asksChange(m.Children[1]); ok && p.write != nil {
			id := m.Children[0].Value.(int64)
			switch what := p.write(); what {
			case lost:
				continue
			case pretended, denied:
				code := map[fault]int{pretended: 0, denied: ldap.LDAPResultInsufficientAccessRights}[what]
				from.Write(answered(id, answer, code).Bytes())
				continue
			case cutAnswered, hangAnswered:
				asked.Store(id, what)
			}
		}
		if op := m.Children[1]; op.Tag == ldap.ApplicationSearchRequest {
			for _, a := range op.Children[7].Children {
				name, _ := a.Value.(string)
				if low, _, ok := parseRange(name); ok {
					p.ranges.Add(1)
					asked.Store(m.Children[0].Value.(int64), low)
					plain, _, _ := strings.Cut(name, ";")
					*a = *ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, plain, "")
				}
			}
			p.capPage(m)
			m = rebuilt(m)
		}
		if _, err := to.Write(m.Bytes()); err != nil {
			return
		}
	}
}

// capPage makes a page no larger than the server's limit.
func (p *proxy) capPage(m *ber.Packet) {
	if len(m.Children) < 3 {
		return
	}
	for i, c := range m.Children[2].Children {
		control, err := ldap.DecodeControl(ber.DecodePacket(c.Bytes()))
		if paging, ok := control.(*ldap.ControlPaging); err == nil && ok {
			p.pages.Add(1)
			paging.PagingSize = min(paging.PagingSize, uint32(p.pageMax))
			m.Children[2].Children[i] = paging.Encode()
		}
	}
}

func (p *proxy) answers(from io.Reader, to io.Writer, asked *sync.Map, stop chan struct{}) {
	page := int64(0)
	drop := false
	for {
		m, err := ber.ReadPacket(from)
		if err != nil {
			return
		}
		id, op := m.Children[0].Value.(int64), m.Children[1]
		if what, ok := asked.Load(id); ok && what == cutAnswered {
			return
		} else if ok && what == hangAnswered {
			<-stop
			return
		}
		switch op.Tag {
		case ldap.ApplicationSearchResultEntry:
			dn := op.Children[0].Value.(string)
			if dn == "" { // the root
				break
			}
			page++
			what := pass
			if p.entry != nil {
				what = p.entry(p.entries.Add(1), dn)
			}
			if p.change != nil {
				p.change(dn, op.Children[1])
			}
			p.range1(op.Children[1], id, asked)
			m = rebuilt(m)
			switch what {
			case cutOff:
				b := m.Bytes()
				to.Write(b[:len(b)/2])
				return
			case hang:
				<-stop
				return
			case garbage:
				to.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				return
			case tooMany, busy:
				code := map[fault]int{tooMany: ldap.LDAPResultSizeLimitExceeded, busy: ldap.LDAPResultBusy}[what]
				to.Write(done(id, code).Bytes())
				drop = true
				continue
			case strangeID:
				m.Children[0] = ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id+7, "")
				m = rebuilt(m)
			case noCookie:
				to.Write(done(id, 0).Bytes())
				drop = true
				continue
			}
			if drop {
				continue
			}
		case ldap.ApplicationSearchResultDone:
			p.largestPage.Store(max(p.largestPage.Load(), page))
			page = 0
			if drop {
				drop = false
				continue
			}
		}
		if _, err := to.Write(m.Bytes()); err != nil {
			return
		}
	}
}

func done(id int64, code int) *ber.Packet {
	return answered(id, ldap.ApplicationSearchResultDone, code)
}

func answered(id int64, tag ber.Tag, code int) *ber.Packet {
	m := ber.NewSequence("")
	m.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "told to", ""))
	m.AppendChild(op)
	return m
}

// range1 gives no more values of an attribute than Microsoft's servers do.
func (p *proxy) range1(attributes *ber.Packet, id int64, asked *sync.Map) {
	low := 0
	if l, ok := asked.Load(id); ok {
		low = l.(int)
	}
	for _, a := range attributes.Children {
		name, values := a.Children[0].Value.(string), a.Children[1].Children
		if !strings.EqualFold(name, "member") || low == 0 && len(values) <= p.rangeMax {
			continue
		}
		high := min(low+p.rangeMax, len(values))
		last := strconv.Itoa(high - 1)
		if high == len(values) {
			last = "*"
		}
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, v := range values[min(low, high):high] {
			set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, v.Value.(string), ""))
		}
		a.Children[0] = ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, fmt.Sprintf("%s;range=%d-%s", name, low, last), "")
		a.Children[1] = set
	}
}

// rebuilt encodes a changed packet anew: a packet keeps the bytes of its children apart from them.
func rebuilt(p *ber.Packet) *ber.Packet {
	if p.TagType != ber.TypeConstructed {
		return p
	}
	out := ber.Encode(p.ClassType, ber.TypeConstructed, p.Tag, nil, "")
	for _, c := range p.Children {
		out.AppendChild(rebuilt(c))
	}
	return out
}
