package auth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"serin/internal/flag"
	"serin/internal/store"
)

const (
	// bootstrapSetting is set once the first secrets exist.
	bootstrapSetting = "auth.bootstrapped"
	// firstPerson is who the first sign-in link is for.
	firstPerson = "admin"
	// signInTTL is how long the first link is valid.
	signInTTL = 7 * 24 * time.Hour
)

// Credentials are the secrets of a first start, which nothing else ever shows.
type Credentials struct {
	AdminToken string // operator token with the scope admin
	Project    string // "1"
	PublicKey  string // ingest key of the project, 32 hex digits
	FlagKey    string // server key for flags
	SignIn     string // secret of the one-time sign-in link
}

// DSN returns the Sentry DSN for a server at base, such as
// http://127.0.0.1:8750: scheme://key@host/project.
func (c Credentials) DSN(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return "", fmt.Errorf("server address %q must be a URL with a host", base)
	}
	u.User = url.User(c.PublicKey)
	return u.JoinPath(c.Project).String(), nil
}

// Bootstrap creates what a new server needs: project 1 with its ingest key, a
// server key for flags, an admin token and a sign-in link. first is false,
// and the credentials empty, where that was done before. A start that was
// interrupted, or that could not keep the secrets, is repeated with new ones,
// and the old ones stop working: keep (nil = nothing) puts them where their
// owner finds them, before the start counts as done.
func (a *Auth) Bootstrap(ctx context.Context, keep func(Credentials) error) (c Credentials, first bool, err error) {
	_, err = a.store.Setting(ctx, bootstrapSetting)
	if err == nil {
		return c, false, nil
	}
	if !errors.Is(err, store.ErrNotFound) {
		return c, false, fmt.Errorf("bootstrap: %w", err)
	}
	c.Project = flag.FirstProject
	by := Principal{Name: "serin"}
	admin := []string{string(Admin)}
	for _, step := range []struct {
		secret *string
		token  NewToken
	}{
		{&c.AdminToken, NewToken{ID: "first-admin", Name: "admin", Kind: KindOperator, Scopes: admin}},
		{&c.PublicKey, NewToken{ID: "first-ingest", Name: "project 1", Kind: KindIngest, Project: flag.FirstProject}},
		{&c.FlagKey, NewToken{ID: "first-flags", Name: "server", Kind: KindFlagsServer, Project: flag.FirstProject}},
		{&c.SignIn, NewToken{ID: "first-sign-in", Name: "first sign-in", Kind: KindSignIn, Scopes: admin, Person: firstPerson, TTL: signInTTL}},
	} {
		if *step.secret, _, err = a.create(ctx, by, step.token); err != nil {
			return Credentials{}, false, fmt.Errorf("bootstrap: %w", err)
		}
	}
	if keep != nil {
		if err := keep(c); err != nil {
			return Credentials{}, false, fmt.Errorf("bootstrap: %w", err)
		}
	}
	if err := a.store.PutSetting(ctx, bootstrapSetting, a.now().UTC().Format(time.RFC3339)); err != nil {
		return Credentials{}, false, fmt.Errorf("bootstrap: %w", err)
	}
	return c, true, nil
}

// rescueTTL is how long a link made by Rescue lives.
const rescueTTL = time.Hour

// Rescue makes a one-time link that signs name in as admin, in nobody's name:
// whoever can call it holds the store. The name must be no account's, whose
// rights would count instead. Errors are ErrInvalid or the store's.
func (a *Auth) Rescue(ctx context.Context, name string) (secret string, err error) {
	if !personName.MatchString(name) {
		return "", fmt.Errorf("%w: name %q: small letters, digits, dot, dash and underscore", ErrInvalid, name)
	}
	if _, err := a.store.Person(ctx, name); !errors.Is(err, store.ErrNotFound) {
		return "", errors.Join(fmt.Errorf("%w: %s is an account: choose another name", ErrInvalid, name), err)
	}
	secret, _, err = a.create(ctx, Principal{Name: "rescue from the shell"}, NewToken{
		Name: "rescue", Kind: KindSignIn, Scopes: []string{string(Admin)}, Person: name, TTL: rescueTTL})
	return secret, err
}
