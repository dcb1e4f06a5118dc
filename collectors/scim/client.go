package scim

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// client asks one service. Its methods may be called from several goroutines.
type client struct {
	base     *url.URL
	http     *http.Client
	secret   func(context.Context) (authorization string, hide []string, err error)
	limit    *rate.Limiter
	maxPage  int64
	timeout  time.Duration
	retryFor time.Duration
	now      func() time.Time
	sleep    func(context.Context, time.Duration) error
	jitter   func() float64 // from 0 to 1

	mu            sync.Mutex
	authorization string
	hide          []string  // what must be in no message
	until         time.Time // when the server wants to be asked again
}

// answerError is an answer with a status that is none of success.
type answerError struct {
	status int
	detail string
}

func (e *answerError) Error() string {
	s := fmt.Sprintf("the server answers %d %s", e.status, http.StatusText(e.status))
	if e.detail != "" {
		s += ": " + e.detail
	}
	switch e.status {
	case http.StatusUnauthorized:
		s += ": has the token or password expired, or is it of another service?"
	case http.StatusForbidden:
		s += ": the credentials lack the right to read this"
	case http.StatusNotFound:
		s += ": is url: the base of the SCIM service?"
	}
	return s
}

func isStatus(err error, codes ...int) bool {
	var a *answerError
	if !errors.As(err, &a) {
		return false
	}
	for _, c := range codes {
		if a.status == c {
			return true
		}
	}
	return false
}

func (k *Collector) client() (*client, error) {
	base, err := url.Parse(k.config.URL)
	if err != nil {
		return nil, errors.New("url: is no address")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone() // its Proxy is the environment's
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.MaxIdleConnsPerHost = k.config.Concurrency
	if k.config.Proxy != "" {
		proxy, err := url.Parse(k.config.Proxy)
		if err != nil {
			return nil, errors.New("proxy: is no address")
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	if k.config.CA != "" {
		pem, err := os.ReadFile(k.path(k.config.CA))
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s: holds no certificate in PEM", k.config.CA)
		}
	}
	return &client{
		base: base, secret: k.authorization, limit: rate.NewLimiter(rate.Limit(k.config.MaxRate), 1),
		http: &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case origin(r.URL) != origin(base):
				return &redirectError{r.URL.Scheme + "://" + r.URL.Host}
			case r.Method != via[0].Method: // it would be a question, and change nothing
				return &redirectError{"a place where " + via[0].Method + " becomes " + r.Method}
			case len(via) > 5:
				return &redirectError{"one page after the other"}
			}
			return nil
		}},
		maxPage: k.config.MaxPage, timeout: time.Duration(k.config.Timeout), retryFor: time.Duration(k.config.RetryFor),
		now: k.now, sleep: k.sleep, jitter: k.jitter,
	}, nil
}

// origin is the scheme, host and port that credentials are for.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// redirectError is a redirect that is not followed: the credentials stay with the host they are for.
type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return fmt.Sprintf("redirects to %s: credentials go to the host of url: only; if that is the right one, set url: to it", e.to)
}

// authorization is the header, and what in it is secret.
func (k *Collector) authorization(ctx context.Context) (string, []string, error) {
	if k.opt.Secret == nil {
		return "", nil, errors.New("auth: nothing here resolves secrets")
	}
	a, what := k.config.Auth, "auth.bearer"
	ref := a.Bearer
	if a.User != "" {
		what, ref = "auth.password", a.Password
	}
	secret, err := k.opt.Secret(ctx, ref)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("%s: %w", what, err)
	case secret == "":
		return "", nil, fmt.Errorf("%s: is empty", what)
	case strings.ContainsAny(secret, "\r\n\x00"):
		return "", nil, fmt.Errorf("%s: has several lines: name a file or command that gives the secret alone", what)
	}
	if a.User == "" {
		return "Bearer " + secret, []string{secret}, nil
	}
	pair := base64.StdEncoding.EncodeToString([]byte(a.User + ":" + secret))
	return "Basic " + pair, []string{pair, secret}, nil
}

// brokenAttempts is how often what broke is tried again. What was put off is until retryFor has passed.
const brokenAttempts = 3

// get asks for a path below the base, again and again while there is hope, until retryFor has passed.
func (c *client) get(ctx context.Context, path string, query url.Values) ([]byte, error) {
	body, err := c.retry(ctx, path, query)
	if err == nil {
		return body, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	what := "/" + path
	if len(query) > 0 {
		what += "?" + query.Encode()
	}
	return nil, fmt.Errorf("GET %s: %w", what, c.hidden(err))
}

func (c *client) retry(ctx context.Context, path string, query url.Values) ([]byte, error) {
	deadline := c.now().Add(c.retryFor)
	renewed := false
	for attempt := 0; ; attempt++ {
		if err := c.wait(ctx); err != nil {
			return nil, err
		}
		used := c.authorizationNow()
		body, header, err := c.once(ctx, path, query, used)
		switch {
		case err == nil:
			return body, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case isStatus(err, http.StatusUnauthorized) && !renewed: // it may have expired in the middle
			renewed = true
			switch changed, failed := c.renew(ctx, used); {
			case failed != nil:
				return nil, failed
			case !changed:
				return nil, err
			}
			continue
		case !passing(err):
			return nil, err
		}
		if attempt >= brokenAttempts && !isStatus(err, http.StatusTooManyRequests, http.StatusServiceUnavailable) {
			return nil, fmt.Errorf("%w, also after %d more attempts", err, attempt)
		}
		pause := c.pause(header, attempt)
		if c.now().Add(pause).After(deadline) {
			if attempt == 0 {
				return nil, fmt.Errorf("%w: it wants to be asked again in %s, and retry_for is %s", err, pause.Round(time.Second), c.retryFor)
			}
			return nil, fmt.Errorf("%w, also after %d more attempts in %s (retry_for)", err, attempt, c.retryFor)
		}
		c.hold(pause)
	}
}

// hold lets no request start for a while.
func (c *client) hold(pause time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until := c.now().Add(pause); until.After(c.until) {
		c.until = until
	}
}

// wait until it is polite to ask.
func (c *client) wait(ctx context.Context) error {
	for {
		c.mu.Lock()
		pause := c.until.Sub(c.now())
		c.mu.Unlock()
		if pause <= 0 {
			return c.limit.Wait(ctx)
		}
		if err := c.sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (c *client) authorizationNow() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.authorization
}

// renew resolves the secret again, unless that was done since used was sent, and reports whether it is another one now.
func (c *client) renew(ctx context.Context, used string) (bool, error) {
	if c.authorizationNow() != used {
		return true, nil
	}
	authorization, hide, err := c.secret(ctx)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := authorization != used
	c.authorization, c.hide = authorization, append(c.hide, hide...)
	return changed, nil
}

// passing reports whether an error may be gone at the next attempt.
func passing(err error) bool {
	var redirect *redirectError
	var invalid *tls.CertificateVerificationError
	var answer *answerError
	switch {
	case errors.As(err, &answer):
		return isStatus(err, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	case errors.As(err, &redirect), errors.As(err, &invalid), errors.Is(err, errTooLong), errors.Is(err, errEncoding):
		return false
	}
	return true // of the connection
}

var (
	errTooLong  = errors.New("the answer is too long")
	errEncoding = errors.New("the answer is compressed in a way that was not asked for")
)

// once sends one question.
func (c *client) once(ctx context.Context, path string, query url.Values, authorization string) ([]byte, http.Header, error) {
	return c.exchange(ctx, outgoing{method: http.MethodGet, path: path, query: query}, authorization)
}

// outgoing is one request. Without a body it has none.
type outgoing struct {
	method, path string
	query        url.Values
	body         []byte
	match        string // If-Match
}

// exchange sends one request. The header is that of an answer which is an error.
func (c *client) exchange(ctx context.Context, out outgoing, authorization string) ([]byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := c.base.JoinPath(out.path)
	u.RawQuery = out.query.Encode()
	req, err := http.NewRequestWithContext(ctx, out.method, u.String(), bytes.NewReader(out.body))
	if err != nil {
		return nil, nil, err
	}
	if out.body != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	if out.match != "" {
		req.Header.Set("If-Match", out.match)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Accept", "application/scim+json, application/json")
	req.Header.Set("User-Agent", "lapse")
	res, err := c.http.Do(req)
	if err != nil {
		return nil, nil, c.broken(ctx, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, c.maxPage+1))
	switch {
	case res.StatusCode < 200 || res.StatusCode > 299:
		return nil, res.Header, &answerError{res.StatusCode, detail(body)}
	case err != nil:
		return nil, nil, c.broken(ctx, err)
	case int64(len(body)) > c.maxPage:
		return nil, nil, fmt.Errorf("%w: it has more than %d bytes (max_page): set page_size to less", errTooLong, c.maxPage)
	case res.Header.Get("Content-Encoding") != "":
		return nil, nil, errEncoding
	}
	return bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), nil, nil
}

// broken leaves the address out of an error of the connection: the message has it already.
func (c *client) broken(ctx context.Context, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil:
		return fmt.Errorf("no answer within %s (timeout)", c.timeout)
	case errors.As(err, &unknown):
		return fmt.Errorf("nobody that is trusted signed the server's certificate: set ca: to the authority's PEM file: %w", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the answer was cut off: %w", err)
	}
	return err
}

// detail is what the body of an error says.
func detail(body []byte) string {
	var m message
	if parse(body, &m, nil) != nil {
		return ""
	}
	m.Status = text{} // the status line has it
	return m.text()
}

// hidden is err without the secrets that a server may have put into its message.
func (c *client) hidden(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	message := err.Error()
	for _, s := range c.hide {
		message = strings.ReplaceAll(message, s, "<secret>")
	}
	if message == err.Error() {
		return err
	}
	return &hiddenError{message, err}
}

// hiddenError prints another text than the error it stands for.
type hiddenError struct {
	text string
	of   error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.of }
