package tickets

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lapse-audit/lapse/internal/notify"
	"github.com/lapse-audit/lapse/internal/notify/foreign"
)

// maxAnswer is for the body of an answer.
const maxAnswer = 8 << 20

// run makes the requests of an operation and gives its result, nil where it has none.
func (c *Channel) run(ctx context.Context, name string, op Operation, it ticket, id, text string) (any, error) {
	vars := scope{c.params, id, text, map[string]any{}}
	var last any
	for _, s := range op.Do {
		if s.When.set() {
			made, err := s.When.eval(ctx, it.document, vars)
			if err != nil {
				return nil, fmt.Errorf("tickets %s: %w", name, err)
			}
			if made == nil || made == false {
				continue
			}
		}
		var err error
		if last, err = c.call(ctx, name, s, it, vars); err != nil {
			return nil, err
		}
		if s.As != "" {
			vars.got[s.As] = last
		}
	}
	if !op.Result.set() {
		return nil, nil
	}
	out, err := op.Result.eval(ctx, last, vars)
	if err != nil {
		return nil, fmt.Errorf("tickets %s: %w", name, err)
	}
	return out, nil
}

// call makes one request.
func (c *Channel) call(ctx context.Context, name string, s *Step, it ticket, vars scope) (any, error) {
	req, err := c.request(ctx, s, it, vars)
	if err != nil {
		return nil, fmt.Errorf("tickets %s: %w", name, err)
	}
	if err := c.pace.Wait(ctx); err != nil {
		return nil, fmt.Errorf("tickets %s: %w", name, err)
	}
	writes := req.Method != http.MethodGet && !s.Reads
	res, err := c.client.Do(req)
	if err != nil {
		return nil, c.unanswered(name, writes, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, c.unanswered(name, writes, err)
	}
	if res.StatusCode/100 != 2 {
		return nil, c.refused(name, writes, res, body)
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	var out any
	if err := json.Unmarshal(body, &out); err != nil {
		err = fmt.Errorf("tickets %s: %s answers what is no JSON: is the address that of the API, and the credential good?", name, c.base.Host)
		if writes {
			return nil, fmt.Errorf("%w: %w", err, notify.ErrUnsure)
		}
		return nil, err
	}
	return out, nil
}

func (c *Channel) request(ctx context.Context, s *Step, it ticket, vars scope) (*http.Request, error) {
	at, err := s.Path.eval(ctx, it.document, vars)
	if err != nil {
		return nil, err
	}
	path, ok := at.(string)
	// A value that is not escaped can't lead out of the system.
	if !ok || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?#\\") || strings.Contains(path, "/..") {
		return nil, fmt.Errorf("line %d of the recipe: the path is none: want one that begins with a slash, its values escaped by @uri", s.Path.line)
	}
	target, err := url.Parse(c.base.String() + path)
	if err != nil || target.Host != c.base.Host {
		return nil, fmt.Errorf("line %d of the recipe: the path can't be read", s.Path.line)
	}
	if s.Query.set() {
		out, err := s.Query.eval(ctx, it.document, vars)
		if err != nil {
			return nil, err
		}
		fields, ok := out.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("line %d of the recipe: the query is no object", s.Query.line)
		}
		values := url.Values{}
		for k, v := range fields {
			values.Set(k, fmt.Sprint(v))
		}
		target.RawQuery = values.Encode()
	}
	method := s.Method
	var body io.Reader
	if s.Body.set() {
		out, err := s.Body.eval(ctx, it.document, vars)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, errors.New("the request can't be made")
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.config.User != "" {
		req.SetBasicAuth(c.config.User, c.secret)
	} else {
		req.Header.Set("Authorization", "Bearer "+c.secret)
	}
	return req, nil
}

// refused says what a status means for whoever sends.
func (c *Channel) refused(name string, writes bool, res *http.Response, body []byte) error {
	err := fmt.Errorf("tickets %s: %s answers %s: %s", name, c.base.Host, res.Status, c.heard(string(body)))
	switch code := res.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		after := 30 * time.Second
		if n, e := strconv.Atoi(res.Header.Get("Retry-After")); e == nil && n >= 0 {
			after = time.Duration(n) * time.Second
		}
		return &notify.RetryError{After: after, Err: err}
	case code >= 500 && writes:
		return fmt.Errorf("%w: %w", err, notify.ErrUnsure)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return fmt.Errorf("%w (notify.tickets: is the credential good, and may it do that?)", err)
	}
	return err
}

// unanswered tells what was not sent from what may have been done.
func (c *Channel) unanswered(name string, writes bool, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	op, dialed := errors.AsType[*net.OpError](err)
	if dialed && op.Op == "dial" {
		return fmt.Errorf("tickets %s: no connection to %s: %w", name, c.base.Host, err)
	}
	if writes {
		return fmt.Errorf("tickets %s: %s: %w: %w", name, c.base.Host, err, notify.ErrUnsure)
	}
	return fmt.Errorf("tickets %s: %s: %w", name, c.base.Host, err)
}

// heard is what a system says, for one line of a log, without the credential, which some repeat.
func (c *Channel) heard(text string) string {
	if c.secret != "" {
		for _, secret := range []string{c.secret, base64.StdEncoding.EncodeToString([]byte(c.config.User + ":" + c.secret))} {
			text = strings.ReplaceAll(text, secret, "<secret>")
		}
	}
	runes := []rune(foreign.Line(text))
	return string(runes[:min(len(runes), 200)])
}
