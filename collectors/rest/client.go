package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// client sends requests: signed, within the quota, again where that may help. It is safe for several goroutines.
type client struct {
	http      *http.Client // follows no redirect and keeps no cookies
	signer    signer
	hide      *secrets
	clock     clock
	redirects []string // hosts, as in the recipe
	under     chan struct{}
	limits    *Limits
	userAgent string
	spool     *spool // nil where nothing is kept

	mu    sync.Mutex
	moved map[string]string // hosts that send to another that the recipe trusts
}

// call is one request to send.
type call struct {
	method string
	url    *url.URL
	header http.Header
	body   []byte
	pace   *pacer
	vars   []any
	rights []string
	stream bool
}

// answer is a response of status 2xx. Its body is whole, or still to be read where the call is a stream.
type answer struct {
	header http.Header
	body   []byte
	stream io.ReadCloser
	url    *url.URL // where it came from, after redirects
}

// statusError is an answer of a status other than 2xx.
type statusError struct {
	status int
	text   string // from the answer
	body   []byte
	rights []string
}

func (e *statusError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		fmt.Fprintf(&b, ": %s", e.text)
	}
	switch {
	case e.status == http.StatusUnauthorized:
		b.WriteString("; the credentials are refused: are they still valid?")
	case e.status == http.StatusForbidden && len(e.rights) > 0:
		fmt.Fprintf(&b, "; the request needs %s", strings.Join(e.rights, ", "))
	}
	return b.String()
}

// Attempts of a request, for what may pass: a broken connection, a server in trouble. Waiting for a quota is no attempt.
const (
	maxAttempts  = 5
	maxWaits     = 100
	maxPage      = 64 << 20 // bytes of an answer that is not a stream
	attemptLimit = 5 * time.Minute
)

// passing are the statuses of a server, or of what stands before it, that may be better in a moment.
var passing = []int{
	http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	520, 521, 522, 523, 524, // Cloudflare's
}

// send makes a call until it is answered or there is no hope.
func (c *client) send(ctx context.Context, k call) (*answer, error) {
	if a := c.spool.take(k); a != nil {
		return a, ctx.Err()
	}
	renewed := false
	for attempt, waits := 1, 0; ; {
		a, token, err := c.once(ctx, k)
		var status *statusError
		var limited *limitError
		switch {
		case err == nil:
			c.spool.keep(k, a)
			return a, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &limited):
			if waits++; waits > maxWaits {
				return nil, interruption{fmt.Errorf("the app still says to wait after %d times: %w", maxWaits, limited.statusError)}
			}
			wait := limited.wait
			if wait == 0 {
				wait = backoff(waits)
			}
			// Requests that were told to wait together don't come back together.
			k.pace.hold(wait + time.Duration(rand.Int64N(int64(wait)/10+1)))
			continue
		case errors.As(err, &status) && status.status == http.StatusUnauthorized && token != "" && !renewed:
			renewed = true
			c.signer.renew(token)
			continue
		case errors.As(err, &status) && !slices.Contains(passing, status.status):
			return nil, err
		case permanent(err):
			return nil, err
		}
		if attempt++; attempt > maxAttempts {
			return nil, interruption{fmt.Errorf("%w (tried %d times)", err, maxAttempts)}
		}
		if err := c.clock.sleep(ctx, backoff(attempt)); err != nil {
			return nil, err
		}
	}
}

// backoff grows from half a second to a minute, with jitter.
func backoff(attempt int) time.Duration {
	d := min(time.Minute, time.Second<<min(attempt-1, 6))
	return d/2 + time.Duration(rand.Int64N(int64(d)/2))
}

// limitError is an answer that says to wait.
type limitError struct {
	*statusError
	wait time.Duration // 0 where it doesn't say how long
}

// finalError is one that another attempt doesn't mend.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

func final(format string, args ...any) error { return finalError{fmt.Errorf(format, args...)} }

func permanent(err error) bool {
	var f finalError
	var t *tooLong
	var cert *tls.CertificateVerificationError
	return errors.As(err, &f) || errors.As(err, &t) || errors.As(err, &cert)
}

// once makes one attempt, redirects included.
func (c *client) once(ctx context.Context, k call) (a *answer, token string, err error) {
	at := c.where(k.url)
	for range 4 {
		var next *url.URL
		if a, token, next, err = c.hop(ctx, k, at); next == nil || err != nil {
			return a, token, err
		}
		at = next
	}
	return nil, token, final("redirected more than 3 times")
}

func (c *client) hop(ctx context.Context, k call, at *url.URL) (a *answer, token string, next *url.URL, err error) {
	if err := k.pace.wait(ctx); err != nil {
		return nil, "", nil, err
	}
	var header http.Header
	defer func() { k.pace.done(header) }()
	select {
	case c.under <- struct{}{}:
		defer func() { <-c.under }()
	case <-ctx.Done():
		return nil, "", nil, ctx.Err()
	}
	if !k.stream {
		whole := ctx
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, attemptLimit)
		defer cancel()
		defer func() {
			if err != nil && ctx.Err() != nil && whole.Err() == nil {
				err = fmt.Errorf("no whole answer within %s", attemptLimit)
			}
		}()
	}
	r, err := http.NewRequestWithContext(ctx, k.method, at.String(), bytes.NewReader(k.body))
	if err != nil {
		return nil, "", nil, final("%w", unaddressed(err))
	}
	r.Header = k.header.Clone()
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", c.userAgent)
	}
	if k.body != nil && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token, err = c.signer.sign(ctx, r); err != nil {
		return nil, "", nil, err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, token, nil, unaddressed(err)
	}
	header = res.Header
	if k.stream && res.StatusCode/100 == 2 {
		return &answer{header: res.Header, stream: res.Body, url: at}, token, nil, nil
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 && res.StatusCode < 400 && res.StatusCode != http.StatusNotModified {
		next, err = c.redirect(at, res, k.method)
		return nil, token, next, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage+1))
	switch {
	case err != nil:
		return nil, token, nil, fmt.Errorf("the answer broke off after %d bytes: %w", len(body), unaddressed(err))
	case len(body) > maxPage:
		return nil, token, nil, final("the answer is larger than %d MiB: ask for fewer rows a page, or set stream: true for a report", maxPage>>20)
	case res.StatusCode/100 == 2:
		return &answer{header: res.Header, body: body, url: at}, token, nil, nil
	}
	failed := &statusError{status: res.StatusCode, text: c.excerpt(res.Header, body), body: body, rights: k.rights}
	limited, err := c.limited(res, body, k.vars)
	if err != nil {
		return nil, token, nil, finalError{err}
	}
	if limited {
		now := c.clock.now()
		wait := retryAfter(res.Header, now)
		if wait == 0 {
			l := c.limits
			if left, ok := number(first(res.Header, l.Remaining, "X-RateLimit-Remaining", "X-Rate-Limit-Remaining", "RateLimit-Remaining")); ok && left == 0 {
				if at, ok := parseReset(first(res.Header, l.Reset, "X-RateLimit-Reset", "X-Rate-Limit-Reset", "RateLimit-Reset"), now); ok {
					wait = max(0, at.Sub(now))
				}
			}
		}
		if wait == 0 && res.StatusCode == http.StatusServiceUnavailable {
			return nil, token, nil, failed // in trouble, not busy
		}
		return nil, token, nil, &limitError{failed, wait}
	}
	return nil, token, nil, failed
}

// limited reports whether an answer means to wait.
func (c *client) limited(res *http.Response, body []byte, vars []any) (bool, error) {
	status := c.limits.Status
	if len(status) == 0 {
		status = []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}
	}
	if slices.Contains(status, res.StatusCode) {
		return true, nil
	}
	if !c.limits.When.IsSet() {
		return false, nil
	}
	headers := map[string]any{}
	for name, values := range res.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		doc = nil // not JSON: the headers have to tell
	}
	yes, err := c.limits.When.truth(map[string]any{"status": res.StatusCode, "headers": headers, "body": doc}, vars)
	if err != nil {
		return false, fmt.Errorf("limits.when: %w", err)
	}
	return yes, nil
}

// redirect decides whether a redirect is followed: on the same host, or to one that the recipe trusts.
func (c *client) redirect(from *url.URL, res *http.Response, method string) (*url.URL, error) {
	to, err := from.Parse(res.Header.Get("Location"))
	if err != nil || res.Header.Get("Location") == "" {
		return nil, final("%d without an address that can be read", res.StatusCode)
	}
	trusted := slices.ContainsFunc(c.redirects, func(pattern string) bool {
		if parent, ok := strings.CutPrefix(pattern, "*."); ok {
			return strings.HasSuffix(to.Hostname(), "."+parent)
		}
		return to.Hostname() == pattern
	})
	switch {
	case to.Scheme != from.Scheme && to.Scheme != "https":
		return nil, final("redirected to %s, which is not encrypted: not followed", to.Host)
	case !strings.EqualFold(to.Host, from.Host) && !trusted:
		return nil, final("redirected to another host, %s: not followed, as it would be given the credentials; if it is right, set url to it", to.Host)
	case method != http.MethodGet && res.StatusCode != http.StatusTemporaryRedirect && res.StatusCode != http.StatusPermanentRedirect:
		return nil, final("a %s was redirected by %d", method, res.StatusCode)
	}
	to.User, to.Fragment = nil, ""
	if to.Host != from.Host {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.moved == nil {
			c.moved = map[string]string{}
		}
		c.moved[from.Host] = to.Host
	}
	return to, nil
}

// where is an address on the host to which its own sent before, so that not every request takes the detour.
func (c *client) where(at *url.URL) *url.URL {
	c.mu.Lock()
	defer c.mu.Unlock()
	host, ok := c.moved[at.Host]
	if !ok {
		return at
	}
	to := *at
	to.Host = host
	return &to
}

// excerpt is what an error's answer says, as far as it is worth printing.
func (c *client) excerpt(h http.Header, body []byte) string {
	if html(h, body) {
		return "an HTML page"
	}
	var doc any
	if json.Unmarshal(body, &doc) != nil {
		return ""
	}
	var texts []string
	var walk func(v any, depth int)
	walk = func(v any, depth int) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range []string{"error", "errors", "message", "errorSummary", "error_description", "error_message", "detail", "details", "code", "errorCode"} {
				if e, ok := v[key]; ok && depth < 3 {
					walk(e, depth+1)
				}
			}
		case []any:
			for _, e := range v[:min(2, len(v))] {
				walk(e, depth)
			}
		case string:
			if v != "" && len(texts) < 3 && !slices.Contains(texts, v) {
				texts = append(texts, v)
			}
		}
	}
	walk(doc, 0)
	text := []rune(c.hide.hide(strings.Join(texts, ", ")))
	if len(text) > 200 {
		text = append(text[:200], '…')
	}
	return strings.Join(strings.Fields(string(text)), " ")
}

// html tells a page for people from an answer.
func html(h http.Header, body []byte) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/html") || bytes.HasPrefix(bytes.TrimSpace(body[:min(512, len(body))]), []byte("<"))
}

// unaddressed takes the address off an error of net/http: its parameters may hold a key.
func unaddressed(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
