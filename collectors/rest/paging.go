package rest

import (
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// pages walks the pages of one request. It ends on every server: an address, a cursor or a page that comes again, and
// pages without rows that never end, are errors.
type pages struct {
	paging *Paging
	first  *url.URL // the first page

	number  int    // of the next page, from 0
	rows    int    // so far
	cursor  string // of the next page
	started bool
	empty   int // pages without rows, one after the other
	seed    maphash.Seed
	seen    map[uint64]bool // addresses and cursors
	content map[uint64]bool // pages
}

// maxEmpty is how many pages without rows may follow each other where the app says that there are more.
const maxEmpty = 50

func newPages(p *Paging, first *url.URL) *pages {
	return &pages{paging: p, first: first, seed: maphash.MakeSeed(), seen: map[uint64]bool{}, content: map[uint64]bool{}}
}

// begin is the address of the first page, and what to add to its body.
func (p *pages) begin() (*url.URL, map[string]any) {
	return p.at(p.first)
}

// at sets the parameters of the page that is next.
func (p *pages) at(u *url.URL) (*url.URL, map[string]any) {
	u = &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	q := u.Query()
	set := q.Set
	var body map[string]any
	switch p.paging.Type {
	case "cursor":
		if !p.started {
			break
		}
		if p.paging.Body {
			body = map[string]any{p.paging.Param: p.cursor}
			break
		}
		set(p.paging.Param, p.cursor)
	case "offset":
		set(p.paging.Param, strconv.Itoa(p.rows))
	case "page":
		n := 1
		if p.paging.First != nil {
			n = *p.paging.First
		}
		set(p.paging.Param, strconv.Itoa(n+p.number))
	}
	if p.paging.SizeParam != "" && p.paging.Size > 0 {
		set(p.paging.SizeParam, strconv.Itoa(p.paging.Size))
	}
	if len(q) > 0 {
		u.RawQuery = q.Encode()
	}
	return u, body
}

// after looks at a page that was read: what stands around its rows, how many there are, and a hash of them. It gives the
// address of the next page, nil after the last.
func (p *pages) after(a *answer, around any, rows int, hash uint64, vars []any) (*url.URL, map[string]any, error) {
	p.number++
	p.rows += rows
	p.started = true
	if rows > 0 {
		p.empty = 0
		if p.paging.Type != "" && p.paging.Type != "none" && p.content[hash] {
			return nil, nil, fmt.Errorf("page %d has the same rows as one before: the app repeats its pages", p.number)
		}
		p.content[hash] = true
	} else if p.empty++; p.empty > maxEmpty {
		return nil, nil, fmt.Errorf("%d pages without rows follow each other, and the app says that there are more", p.empty)
	}
	switch p.paging.Type {
	case "", "none":
		return nil, nil, nil
	case "link":
		return p.follow(a.url, nextLink(a.header), around, vars)
	case "next", "cursor":
		v, err := p.paging.Next.one(around, vars)
		if err != nil {
			return nil, nil, fmt.Errorf("paging.next: %w", err)
		}
		text, ok := "", v == nil || v == false
		if !ok {
			if text, ok = asText(v); !ok {
				return nil, nil, fmt.Errorf("paging.next is %s, want a text", describe(v))
			}
		}
		if p.paging.Type == "next" {
			return p.follow(a.url, text, around, vars)
		}
		if text == "" {
			return nil, nil, p.whole(around, vars)
		}
		if p.again(text) {
			return nil, nil, fmt.Errorf("page %d gives a cursor that was there before: the app would go round for ever", p.number)
		}
		p.cursor = text
	default: // offset, page
		more, err := p.more(around, rows, vars)
		if err != nil || !more {
			return nil, nil, err
		}
	}
	u, body := p.at(p.first)
	return u, body, nil
}

// more reports whether there is a page after one that was read by offset or number.
func (p *pages) more(around any, rows int, vars []any) (bool, error) {
	if p.paging.More.IsSet() {
		more, err := p.paging.More.truth(around, vars)
		if err != nil {
			return false, fmt.Errorf("paging.more: %w", err)
		}
		if more {
			return true, nil
		}
		return false, p.whole(around, vars)
	}
	if rows == 0 {
		return false, p.whole(around, vars)
	}
	return true, nil // a total may be of before the read began: only a page without rows proves the end
}

func (p *pages) total(around any, vars []any) (int, bool, error) {
	if !p.paging.Total.IsSet() {
		return 0, false, nil
	}
	v, err := p.paging.Total.one(around, vars)
	if err != nil {
		return 0, false, fmt.Errorf("paging.total: %w", err)
	}
	if v == nil {
		return 0, false, nil
	}
	n, err := whole(v)
	if err != nil {
		return 0, false, fmt.Errorf("paging.total: %w", err)
	}
	return int(n), true, nil
}

// whole makes sure, on the last page, that there were as many rows as the app says.
func (p *pages) whole(around any, vars []any) error {
	total, ok, err := p.total(around, vars)
	if err != nil || !ok || p.rows >= total {
		return err
	}
	return fmt.Errorf("the app says that there are %d rows, and its pages held %d: some are lost", total, p.rows)
}

func (p *pages) again(text string) bool {
	h := maphash.String(p.seed, text)
	if p.seen[h] {
		return true
	}
	p.seen[h] = true
	return false
}

// follow checks the address of the next page. It must be on the same host, at the request's own path or one that the
// recipe names: the credentials go with it.
func (p *pages) follow(from *url.URL, text string, around any, vars []any) (*url.URL, map[string]any, error) {
	if text == "" {
		return nil, nil, p.whole(around, vars)
	}
	to, err := from.Parse(text)
	if err != nil {
		return nil, nil, errors.New("the address of the next page can't be read")
	}
	switch {
	case to.Scheme != from.Scheme || !strings.EqualFold(to.Host, from.Host):
		return nil, nil, fmt.Errorf("the next page is on another host, %s: not followed, as it would be given the credentials", to.Host)
	case to.User != nil:
		return nil, nil, errors.New("the address of the next page holds credentials")
	case !p.allowed(from, to):
		return nil, nil, fmt.Errorf("the next page is at %s, which is not below %s: if it is right, name it under paging.paths", to.Path, p.first.Path)
	case p.again(to.String()):
		return nil, nil, fmt.Errorf("page %d gives an address that was there before: the app would go round for ever", p.number)
	}
	to.Fragment = ""
	return to, nil, nil
}

func (p *pages) allowed(from, to *url.URL) bool {
	if strings.Contains(to.Path, "/../") || strings.HasSuffix(to.Path, "/..") {
		return false
	}
	for _, path := range append([]string{p.first.Path, from.Path}, p.paging.Paths...) {
		if to.Path == path || strings.HasPrefix(to.Path, strings.TrimRight(path, "/")+"/") {
			return true
		}
	}
	return false
}

// nextLink is the target of rel="next" in the Link headers (RFC 8288, 3), "" where there is none.
func nextLink(h http.Header) string {
	for _, field := range h.Values("Link") {
		for rest := field; rest != ""; {
			var target string
			var params []string
			target, params, rest = linkValue(rest)
			for _, param := range params {
				name, value, _ := strings.Cut(param, "=")
				if !strings.EqualFold(strings.TrimSpace(name), "rel") {
					continue
				}
				value = strings.Trim(strings.TrimSpace(value), `"`)
				for _, rel := range strings.Fields(value) {
					if strings.EqualFold(rel, "next") {
						return target
					}
				}
				break // the first rel counts
			}
		}
	}
	return ""
}

// linkValue splits the first link off: <target>; name=value; name="quoted, value".
func linkValue(s string) (target string, params []string, rest string) {
	open := strings.IndexByte(s, '<')
	if open < 0 {
		return "", nil, ""
	}
	end := strings.IndexByte(s[open:], '>')
	if end < 0 {
		return "", nil, ""
	}
	target = strings.TrimSpace(s[open+1 : open+end])
	s = s[open+end+1:]
	quoted, from := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == ';' || c == ',':
			params = append(params, s[from:i])
			from = i + 1
			if c == ',' {
				return target, params, s[from:]
			}
		}
	}
	return target, append(params, s[from:]), ""
}
