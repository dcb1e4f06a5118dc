package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/lapse-audit/lapse/internal/collect"
)

// signer puts the credentials on a request. It is safe for several goroutines.
type signer interface {
	// sign also returns the token that it used, "" for credentials that can't be renewed.
	sign(ctx context.Context, r *http.Request) (token string, err error)
	// renew gives up a token that was refused; others that were issued in the meantime stay.
	renew(token string)
}

// choose finds the way to sign in that the source means.
func choose(r *Recipe, c Credentials) (*Auth, error) {
	if c.Type == "" {
		return &r.Auth[0], nil
	}
	var known []string
	for i := range r.Auth {
		if r.Auth[i].Type == c.Type {
			return &r.Auth[i], nil
		}
		known = append(known, r.Auth[i].Type)
	}
	return nil, fmt.Errorf("auth.type: the recipe doesn't sign in by %q%s", c.Type, near(c.Type, known))
}

// checkCredentials says what a way to sign in lacks.
func checkCredentials(a *Auth, c Credentials) error {
	var errs []error
	need := func(name string, set bool) {
		if !set {
			errs = append(errs, fmt.Errorf("auth.%s: is missing for %s%s", name, a.Type, about(a)))
		}
	}
	switch a.Type {
	case "bearer", "ssws", "api_key":
		need("token", c.Token.IsSet())
	case "basic":
		if a.Password != "" {
			need("token", c.Token.IsSet())
			break
		}
		need("username", c.Username != "")
		need("password", c.Password.IsSet())
	case "oauth2_client", "aws":
		need("client_id", c.ClientID != "")
		need("client_secret", c.ClientSecret.IsSet())
	case "jwt_bearer":
		need("client_id", c.ClientID != "")
		need("subject", c.Subject != "")
		need("key", c.Key.IsSet())
	case "google":
		need("subject", c.Subject != "")
		need("key", c.Key.IsSet())
	}
	return errors.Join(errs...)
}

func about(a *Auth) string {
	if a.About == "" {
		return ""
	}
	return ": " + a.About
}

// identity names as whom the source is read, without secrets.
func identity(a *Auth, c Credentials) string {
	switch {
	case a.Type == "google":
		return "google service account for " + c.Subject
	case c.Subject != "":
		return fmt.Sprintf("%s %s for %s", a.Type, c.ClientID, c.Subject)
	case c.ClientID != "":
		return a.Type + " " + c.ClientID
	case c.Username != "":
		return a.Type + " " + c.Username
	}
	return a.Type + " token"
}

// newSigner resolves the secrets. Those, and the tokens that are issued for them, go into hide.
func newSigner(ctx context.Context, a *Auth, c Credentials, vars []any, resolve func(context.Context, collect.Secret) (string, error), client *http.Client, hide *secrets) (signer, error) {
	secret := func(name string, s collect.Secret) (string, error) {
		text, err := resolve(ctx, s)
		if err != nil {
			return "", fmt.Errorf("auth.%s: %w", name, err)
		}
		if text = strings.TrimSpace(text); text == "" {
			return "", fmt.Errorf("auth.%s: is empty", name)
		}
		hide.add(text)
		return text, nil
	}
	header := func(name, value string) signer { return fixed{func(r *http.Request) { r.Header.Set(name, value) }} }
	switch a.Type {
	case "bearer", "ssws", "api_key":
		token, err := secret("token", c.Token)
		switch {
		case err != nil:
			return nil, err
		case a.Type == "bearer":
			return header("Authorization", "Bearer "+token), nil
		case a.Type == "ssws":
			return header("Authorization", "SSWS "+token), nil
		case a.Header != "":
			return header(a.Header, a.Prefix+token), nil
		}
		return fixed{func(r *http.Request) {
			q := r.URL.Query()
			q.Set(a.Query, token)
			r.URL.RawQuery = q.Encode()
		}}, nil
	case "basic":
		username, password := c.Username, a.Password
		var err error
		if a.Password != "" {
			username, err = secret("token", c.Token)
		} else {
			password, err = secret("password", c.Password)
		}
		if err != nil {
			return nil, err
		}
		return fixed{func(r *http.Request) { r.SetBasicAuth(username, password) }}, nil
	case "aws":
		key, err := secret("client_secret", c.ClientSecret)
		if err != nil {
			return nil, err
		}
		keys := aws.Credentials{AccessKeyID: c.ClientID, SecretAccessKey: key}
		if c.Token.IsSet() {
			if keys.SessionToken, err = secret("token", c.Token); err != nil {
				return nil, err
			}
		}
		return &sigv4{keys: keys, signer: v4.NewSigner(), now: time.Now}, nil
	}
	text, ok, err := a.TokenURL.fill(nil, vars, hostPart)
	if err != nil {
		return nil, fmt.Errorf("auth.token_url: %w", err)
	}
	if !ok {
		return nil, errors.New("auth.token_url: a param that it needs is missing")
	}
	at, err := checkURL(text)
	if err != nil {
		return nil, fmt.Errorf("auth.token_url: %w", err)
	}
	i := &issued{host: at.Host, hide: hide}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, client)
	switch a.Type {
	case "oauth2_client":
		password, err := secret("client_secret", c.ClientSecret)
		if err != nil {
			return nil, err
		}
		conf := &clientcredentials.Config{ClientID: c.ClientID, ClientSecret: password, TokenURL: text, Scopes: a.Scopes,
			AuthStyle: oauth2.AuthStyleInHeader, EndpointParams: url.Values{}}
		if a.Style == "body" {
			conf.AuthStyle = oauth2.AuthStyleInParams
		}
		for name, t := range a.Parameters {
			value, ok, err := t.fill(nil, vars, plain)
			if err != nil {
				return nil, fmt.Errorf("auth.parameters.%s: %w", name, err)
			}
			if ok {
				conf.EndpointParams.Set(name, value)
			}
		}
		i.start = func() oauth2.TokenSource { return conf.TokenSource(ctx) }
	default:
		key, err := secret("key", c.Key)
		if err != nil {
			return nil, err
		}
		conf := &jwt.Config{Email: c.ClientID, PrivateKey: []byte(key), Subject: c.Subject, Scopes: a.Scopes, TokenURL: text}
		if a.Type == "google" {
			if err := googleKey(conf, key, hide); err != nil {
				return nil, err
			}
		}
		if audience, ok, err := a.Audience.fill(nil, vars, plain); err != nil {
			return nil, fmt.Errorf("auth.audience: %w", err)
		} else if ok {
			conf.Audience = audience
		}
		i.start = func() oauth2.TokenSource { return conf.TokenSource(ctx) }
	}
	return i, nil
}

// googleKey takes the account and its key from the JSON that Google's console gives. Its token_uri is not followed: a
// file is no reason to send an assertion elsewhere.
func googleKey(conf *jwt.Config, text string, hide *secrets) error {
	var key struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
		ID    string `json:"private_key_id"`
	}
	if err := json.Unmarshal([]byte(text), &key); err != nil || key.Email == "" || key.Key == "" {
		return errors.New("auth.key: is not the JSON key of a service account: it has client_email and private_key")
	}
	hide.add(key.Key)
	conf.Email, conf.PrivateKey, conf.PrivateKeyID = key.Email, []byte(key.Key), key.ID
	return nil
}

// fixed are credentials that stay as they are.
type fixed struct{ put func(*http.Request) }

func (f fixed) sign(_ context.Context, r *http.Request) (string, error) { f.put(r); return "", nil }
func (f fixed) renew(string)                                            {}

// issued are tokens that a server issues for a while.
type issued struct {
	host  string
	start func() oauth2.TokenSource
	hide  *secrets

	mu     sync.Mutex
	source oauth2.TokenSource
	used   string
}

func (i *issued) sign(_ context.Context, r *http.Request) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.source == nil {
		i.source = i.start()
	}
	t, err := i.source.Token()
	if err != nil {
		return "", i.explain(err)
	}
	if t.AccessToken == "" {
		return "", fmt.Errorf("%s issued an empty token", i.host)
	}
	if t.AccessToken != i.used {
		i.used = t.AccessToken
		i.hide.add(t.AccessToken)
	}
	r.Header.Set("Authorization", "Bearer "+t.AccessToken)
	return t.AccessToken, nil
}

func (i *issued) renew(token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if token == i.used {
		i.source = nil
	}
}

// explain leaves out the answer's body, which may repeat what was sent.
func (i *issued) explain(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return fmt.Errorf("get a token from %s: %w", i.host, unaddressed(err))
	}
	code := refused.ErrorCode
	if code == "" {
		var body struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(refused.Body, &body) == nil {
			code = body.Error
		}
	}
	if len(code) > 40 {
		code = ""
	}
	err = fmt.Errorf("get a token from %s: %s %s", i.host, refused.Response.Status, code)
	if status := refused.Response.StatusCode; status >= 500 || status == http.StatusTooManyRequests {
		return err
	}
	return finalError{err}
}

// secrets are texts that no message may hold.
type secrets struct {
	mu   sync.Mutex
	list []string
}

func (s *secrets) add(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(text) >= 4 && !slices.Contains(s.list, text) {
		s.list = append(s.list, text)
	}
}

// hide replaces the secrets in a text, also where a URL carries them.
func (s *secrets) hide(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.list {
		text = strings.ReplaceAll(text, secret, "<secret>")
		if escaped := url.QueryEscape(secret); escaped != secret {
			text = strings.ReplaceAll(text, escaped, "<secret>")
		}
	}
	return text
}
