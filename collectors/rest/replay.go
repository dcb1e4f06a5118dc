package rest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// Replay answers from recorded traffic, as an http.RoundTripper. A folder holds files of two kinds, read in the order of
// their names.
//
// A file *.http holds exchanges, parted by lines that begin with ###, after which anything may stand. Lines that begin
// with # before a request are comments. An exchange is a request line, an optional body to compare with, an empty line,
// and the answer as `curl -i` prints it:
//
//	### the first page
//	GET /api/v1/users?limit=200
//
//	HTTP/1.1 200 OK
//	Link: <https://acme.okta.com/api/v1/users?after=00u2&limit=200>; rel="next"
//
//	[{"id": "00u1"}]
//
// A file *.yaml or *.yml is a cassette of VCR (vcrpy, go-vcr 1 to 3): interactions of request and response.
//
// A request is answered by the exchange with its method, path and parameters in any order; a recorded parameter * stands
// for any value, and a host counts where one is recorded. Of several that fit, each answers once, in order, and the last
// from then on. A request that nobody recorded is an error. It is safe for several goroutines.
type Replay struct {
	mu        sync.Mutex
	exchanges []*exchange
	used      map[*exchange]bool
}

type exchange struct {
	method string
	url    *url.URL
	asked  http.Header // headers to compare with
	body   any         // to compare with; nil for any
	status int
	header http.Header
	answer []byte
}

// OpenReplay reads a folder of recorded traffic.
func OpenReplay(dir string) (*Replay, error) { return ReadReplay(os.DirFS(dir), dir) }

// ReadReplay reads the recorded traffic in a file system; name is how messages name it.
func ReadReplay(files fs.FS, name string) (*Replay, error) {
	r := &Replay{used: map[*exchange]bool{}}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var parse func([]byte) ([]*exchange, error)
		switch filepath.Ext(path) {
		case ".http":
			parse = parseHTTP
		case ".yaml", ".yml":
			parse = parseCassette
		default:
			return nil
		}
		data, err := fs.ReadFile(files, path)
		if err != nil {
			return err
		}
		list, err := parse(data)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		r.exchanges = append(r.exchanges, list...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(r.exchanges) == 0 {
		return nil, fmt.Errorf("%s: holds no recorded traffic: no file ends in .http, or .yaml for a VCR cassette", name)
	}
	return r, nil
}

// Host is the first host that was recorded, "" if none was.
func (r *Replay) Host() string {
	for _, e := range r.exchanges {
		if e.url.Host != "" {
			return e.url.Scheme + "://" + e.url.Host
		}
	}
	return ""
}

func parseHTTP(data []byte) ([]*exchange, error) {
	var out []*exchange
	var part []string
	from := 1
	flush := func() error {
		for len(part) > 0 && (strings.TrimSpace(part[0]) == "" || strings.HasPrefix(part[0], "#")) {
			part, from = part[1:], from+1
		}
		if len(part) == 0 {
			return nil
		}
		e, err := parseExchange(part)
		if err != nil {
			return fmt.Errorf("line %d: %w", from, err)
		}
		out = append(out, e)
		return nil
	}
	lines := strings.Split(string(data), "\n")
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\r")
		if strings.HasPrefix(line, "###") {
			if err := flush(); err != nil {
				return nil, err
			}
			part, from = nil, i+2
			continue
		}
		part = append(part, line)
	}
	return out, flush()
}

func parseExchange(lines []string) (*exchange, error) {
	method, target, ok := strings.Cut(strings.TrimSpace(lines[0]), " ")
	u, err := url.Parse(strings.TrimSpace(target))
	if !ok || err != nil || u.Path == "" {
		return nil, errors.New("want a request such as GET /api/v1/users?limit=200")
	}
	e := &exchange{method: method, url: u, header: http.Header{}}
	end := slices.Index(lines, "")
	if end < 0 {
		return nil, errors.New("want an empty line and the answer after the request")
	}
	from := 1
	for ; from < end && !strings.HasPrefix(lines[from], "{") && !strings.HasPrefix(lines[from], "["); from++ {
		name, value, ok := strings.Cut(lines[from], ":")
		if !ok {
			return nil, errors.New("want headers (Name: value) or a body in JSON between the request and the empty line")
		}
		if e.asked == nil {
			e.asked = http.Header{}
		}
		e.asked.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if body := strings.Join(lines[from:end], "\n"); strings.TrimSpace(body) != "" {
		if err := json.Unmarshal([]byte(body), &e.body); err != nil {
			return nil, fmt.Errorf("the request's body is no JSON: %w", err)
		}
	}
	for end < len(lines) && lines[end] == "" {
		end++
	}
	r := bufio.NewReader(strings.NewReader(strings.Join(lines[end:], "\n")))
	text := textproto.NewReader(r)
	status, err := text.ReadLine()
	fields := strings.Fields(status)
	if err != nil || len(fields) < 2 || !strings.HasPrefix(fields[0], "HTTP/") {
		return nil, errors.New("want an answer that begins with a line such as HTTP/1.1 200 OK")
	}
	if e.status, err = strconv.Atoi(fields[1]); err != nil {
		return nil, fmt.Errorf("%q is no status", fields[1])
	}
	header, err := text.ReadMIMEHeader()
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("the answer's headers: %w", err)
	}
	e.header = plainHeader(http.Header(header))
	e.answer, err = io.ReadAll(r)
	return e, err
}

// plainHeader leaves out what describes the bytes that went over the wire.
func plainHeader(h http.Header) http.Header {
	for _, name := range []string{"Content-Encoding", "Content-Length", "Transfer-Encoding", "Connection"} {
		h.Del(name)
	}
	return h
}

// cassette is what VCR writes, as far as it is needed.
type cassette struct {
	Interactions []struct {
		Request struct {
			Method string `yaml:"method"`
			URI    string `yaml:"uri"`
			URL    string `yaml:"url"` // go-vcr
		} `yaml:"request"`
		Response struct {
			Status struct {
				Code int `yaml:"code"`
			} `yaml:"status"`
			Code    int             `yaml:"code"` // go-vcr, whose status is a text
			Headers map[string]many `yaml:"headers"`
			Body    vcrBody         `yaml:"body"`
		} `yaml:"response"`
	} `yaml:"interactions"`
}

// many is one text or a list of them.
type many []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *many) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(m))
	}
	*m = many{n.Value}
	return nil
}

// vcrBody is a text, or a text under the key string.
type vcrBody string

// UnmarshalYAML implements yaml.Unmarshaler.
func (b *vcrBody) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		*b = vcrBody(n.Value)
		return nil
	}
	var inner struct {
		String string `yaml:"string"`
	}
	err := n.Decode(&inner)
	*b = vcrBody(inner.String)
	return err
}

func parseCassette(data []byte) ([]*exchange, error) {
	var c cassette
	if err := yaml.Unmarshal(data, &c); err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var out []*exchange
	for i, in := range c.Interactions {
		text := in.Request.URI
		if text == "" {
			text = in.Request.URL
		}
		u, err := url.Parse(text)
		if err != nil || u.Path == "" {
			return nil, fmt.Errorf("interaction %d: the request has no address", i+1)
		}
		e := &exchange{method: in.Request.Method, url: u, status: in.Response.Status.Code, header: http.Header{}, answer: []byte(in.Response.Body)}
		if e.status == 0 {
			e.status = in.Response.Code
		}
		for name, values := range in.Response.Headers {
			for _, v := range values {
				e.header.Add(name, v)
			}
		}
		e.header = plainHeader(e.header)
		out = append(out, e)
	}
	return out, nil
}

// RoundTrip implements http.RoundTripper.
func (r *Replay) RoundTrip(req *http.Request) (*http.Response, error) {
	var body any
	if req.Body != nil {
		data, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(data, &body) != nil {
			body = nil // a form
		}
		req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	e := r.find(req, body)
	if e == nil {
		return nil, final("nothing is recorded for %s %s", req.Method, req.URL.RequestURI())
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", e.status, http.StatusText(e.status)), StatusCode: e.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: e.header.Clone(),
		Body: io.NopCloser(bytes.NewReader(e.answer)), ContentLength: int64(len(e.answer)), Request: req,
	}, nil
}

func (r *Replay) find(req *http.Request, body any) *exchange {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last *exchange
	for _, e := range r.exchanges {
		if !e.answers(req, body) {
			continue
		}
		if last = e; !r.used[e] {
			r.used[e] = true
			return e
		}
	}
	return last
}

func (e *exchange) answers(req *http.Request, body any) bool {
	if e.method != req.Method || e.url.Path != req.URL.Path || e.url.Host != "" && e.url.Host != req.URL.Host {
		return false
	}
	for name := range e.asked {
		if req.Header.Get(name) != e.asked.Get(name) {
			return false
		}
	}
	if e.body != nil && !reflect.DeepEqual(e.body, body) {
		return false
	}
	want, got := e.url.Query(), req.URL.Query()
	if len(want) != len(got) {
		return false
	}
	for name, values := range want {
		if !got.Has(name) || !slices.Equal(values, []string{"*"}) && !slices.Equal(values, got[name]) {
			return false
		}
	}
	return true
}
