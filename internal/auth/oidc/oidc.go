// Package oidc signs people in by an identity provider: OpenID Connect Core
// 1.0, authorization code flow with PKCE (RFC 7636, S256), state and nonce.
//
// Begin sends a browser to the provider, Finish takes it back and says who the
// provider authenticated. What is remembered in between is kept here, once and
// for ten minutes, and bound to the browser by a cookie, so that nobody can
// sign somebody else in. A Provider's methods may be called at the same time.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"serin/internal/auth"
)

// Options describe a provider. Issuer, ClientID and Redirect are required.
type Options struct {
	Issuer   string // with /.well-known/openid-configuration below it
	ClientID string
	Secret   string // of the client; "" = a public client
	Redirect string // URL of the callback on this server
	// Domains are those of e-mail addresses that may sign in; empty = any.
	Domains []string
	Client  *http.Client     // to reach the provider; nil = one with a limit of 10 s
	Now     func() time.Time // nil = time.Now
	Secure  bool             // the callback is reached by TLS: the cookie too
}

// How long a browser may take at the provider, and how many may be there.
const (
	life   = 10 * time.Minute
	most   = 1000
	reach  = 10 * time.Second
	cookie = "serin_oidc"
)

// The errors of Finish that are the person's to mend; others are the
// provider's or the network's.
var (
	// ErrStale: begun too long ago, twice used, or in another browser.
	ErrStale = errors.New("this sign-in was begun too long ago or in another browser: begin again")
	// ErrDomain: the address is of a domain that may not sign in.
	ErrDomain = errors.New("people with this e-mail address may not sign in here")
	// ErrDenied: the provider did not let the person in.
	ErrDenied = errors.New("the identity provider refused")
)

// Provider is one identity provider. It is asked for its addresses and keys
// when somebody first signs in, so that a server starts without it.
type Provider struct {
	o Options

	mu      sync.Mutex // guards the fields below
	found   *oidc.Provider
	pending map[string]attempt // by state
}

// attempt is a sign-in under way.
type attempt struct {
	browser, nonce, verifier, next string
	until                          time.Time
}

// New returns a provider; it asks nobody yet.
func New(o Options) *Provider {
	if o.Client == nil {
		o.Client = &http.Client{Timeout: reach}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Provider{o: o, pending: map[string]attempt{}}
}

// discover asks the provider for its addresses, once it answers.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	found := p.found
	p.mu.Unlock()
	if found != nil {
		return found, nil
	}
	// The provider outlives the request: it fetches keys with this context's client later.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.o.Client), p.o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("ask identity provider %s: %w", p.o.Issuer, err)
	}
	p.mu.Lock()
	p.found = found
	p.mu.Unlock()
	return found, nil
}

func (p *Provider) config(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{ClientID: p.o.ClientID, ClientSecret: p.o.Secret, Endpoint: found.Endpoint(), RedirectURL: p.o.Redirect,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"}}
}

// Begin sends the browser to the provider; next is where the person was going.
func (p *Provider) Begin(w http.ResponseWriter, r *http.Request, next string) error {
	found, err := p.discover(r.Context())
	if err != nil {
		return err
	}
	a := attempt{browser: rand.Text(), nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), next: next, until: p.o.Now().Add(life)}
	state := rand.Text()
	p.remember(state, a)
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: a.browser, Path: "/login", MaxAge: int(life.Seconds()), HttpOnly: true,
		Secure: p.o.Secure, SameSite: http.SameSiteLaxMode}) // Lax: the provider's redirect is a navigation from another site
	http.Redirect(w, r, p.config(found).AuthCodeURL(state, oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)), http.StatusSeeOther)
	return nil
}

// remember keeps an attempt; when too many are under way the oldest goes.
func (p *Provider) remember(state string, a attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest, now := "", p.o.Now()
	for s, o := range p.pending {
		if now.After(o.until) {
			delete(p.pending, s)
		} else if oldest == "" || o.until.Before(p.pending[oldest].until) {
			oldest = s
		}
	}
	if len(p.pending) >= most {
		delete(p.pending, oldest)
	}
	p.pending[state] = a
}

// take uses an attempt up.
func (p *Provider) take(r *http.Request) (attempt, error) {
	state := r.FormValue("state")
	p.mu.Lock()
	a, ok := p.pending[state]
	c, err := r.Cookie(cookie)
	mine := ok && err == nil && subtle.ConstantTimeCompare([]byte(c.Value), []byte(a.browser)) == 1
	if mine {
		delete(p.pending, state)
	}
	p.mu.Unlock()
	if !mine || p.o.Now().After(a.until) {
		return attempt{}, ErrStale
	}
	return a, nil
}

// Finish takes the browser back and says who it is and where they were going.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request) (id auth.Identity, next string, err error) {
	a, err := p.take(r)
	if err != nil {
		return id, "", err
	}
	http.SetCookie(w, &http.Cookie{Name: cookie, Path: "/login", MaxAge: -1, HttpOnly: true, Secure: p.o.Secure, SameSite: http.SameSiteLaxMode})
	if code := r.FormValue("error"); code != "" {
		return id, "", fmt.Errorf("%w: %.80q", ErrDenied, code)
	}
	found, err := p.discover(r.Context())
	if err != nil {
		return id, "", err
	}
	ctx := oidc.ClientContext(r.Context(), p.o.Client)
	token, err := p.config(found).Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		return id, "", fmt.Errorf("trade the code at %s: %w", p.o.Issuer, err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return id, "", fmt.Errorf("%s sent no id_token", p.o.Issuer)
	}
	verified, err := found.Verifier(&oidc.Config{ClientID: p.o.ClientID, Now: p.o.Now}).Verify(ctx, raw)
	if err != nil {
		return id, "", fmt.Errorf("the id_token of %s: %w", p.o.Issuer, err)
	}
	if subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(a.nonce)) != 1 {
		return id, "", fmt.Errorf("the id_token of %s has another nonce", p.o.Issuer)
	}
	id, err = p.identity(verified)
	return id, a.next, err
}

// identity reads the claims. An address counts only if the provider has
// verified it: else anybody could write a colleague's there.
func (p *Provider) identity(token *oidc.IDToken) (auth.Identity, error) {
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Name     string `json:"preferred_username"`
	}
	if err := token.Claims(&claims); err != nil {
		return auth.Identity{}, fmt.Errorf("the id_token of %s: %w", p.o.Issuer, err)
	}
	id := auth.Identity{Subject: token.Issuer + " " + token.Subject}
	if claims.Verified {
		id.Email = claims.Email
	}
	id.Name, _, _ = strings.Cut(claims.Name, "@")
	if len(p.o.Domains) == 0 {
		return id, nil
	}
	at := strings.LastIndexByte(id.Email, '@')
	if at < 0 || !slices.ContainsFunc(p.o.Domains, func(d string) bool { return strings.EqualFold(d, id.Email[at+1:]) }) {
		return auth.Identity{}, ErrDomain
	}
	return id, nil
}
