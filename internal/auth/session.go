package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"serin/internal/store"
)

// csrfPurpose binds the HMAC of a CSRF token to its use.
const csrfPurpose = "serin csrf v1"

// SignIn uses up a one-time link and returns the value of the session's
// cookie. Of several calls with one link only one succeeds. A GET must not
// call it: previews fetch links. Errors are ErrUnauthenticated, *LockedError or the store's.
func (a *Auth) SignIn(ctx context.Context, link string) (cookie string, p Principal, err error) {
	t, err := a.secret(ctx, link, KindSignIn)
	if err != nil {
		return "", p, err
	}
	cookie, v, err := a.openSession(ctx, t.Person, t.Role, t.Scopes)
	if err != nil {
		return "", p, fmt.Errorf("sign in: %w", err)
	}
	if p, err = a.principalOf(ctx, v); err != nil {
		return "", Principal{}, errors.Join(err, a.store.DeleteSession(context.WithoutCancel(ctx), v.Hash))
	}
	// Deleting the link is the one step that only one caller can do.
	if err := a.store.DeleteToken(ctx, t.ID, a.entry(ctx, p, "sign in", "person "+t.Person, nil)); err != nil {
		drop := a.store.DeleteSession(context.WithoutCancel(ctx), v.Hash)
		if errors.Is(err, store.ErrNotFound) {
			err = ErrUnauthenticated
		}
		return "", Principal{}, errors.Join(fmt.Errorf("sign in: %w", err), drop)
	}
	a.hook(ctx, p)
	return cookie, p, nil
}

// openSession stores a new session and returns the cookie's value. A session
// that the browser had before is not taken over.
func (a *Auth) openSession(ctx context.Context, person, role string, scopes []string) (cookie string, v store.Session, err error) {
	cookie = randomHex(secretBytes)
	now := a.now().UTC()
	v = store.Session{Hash: hashOf(cookie), Person: person, Role: role, Scopes: scopes, CreatedAt: now, ExpiresAt: now.Add(a.ttl),
		Address: Address(ctx), Agent: agent(ctx)}
	return cookie, v, a.store.PutSession(ctx, v)
}

// principalOf is who holds a session: what the person may do now, not what
// they might when they signed in. A session by a link for somebody who has no
// account holds what the link gave.
func (a *Auth) principalOf(ctx context.Context, v store.Session) (Principal, error) {
	p := Principal{ID: sessionID(v), Name: v.Person, Kind: kindSession, Scopes: v.Scopes, Role: v.Role, Person: v.Person}
	account, err := a.store.Person(ctx, v.Person)
	switch {
	case errors.Is(err, store.ErrNotFound):
		p.Handles = []string{v.Person}
		return p, nil
	case err != nil:
		return Principal{}, fmt.Errorf("look up person: %w", err)
	case account.Disabled:
		return Principal{}, ErrUnauthenticated
	}
	p.Scopes, p.Projects = scopesOf(account.Role), account.Projects
	p.Handles = append([]string{account.Name}, account.Handles...)
	return p, nil
}

// sessionID names a session without being of use to open it.
func sessionID(v store.Session) string {
	const digits = 16 // of 64
	return v.Hash[:min(digits, len(v.Hash))]
}

// OpenSession is a session as people see it.
type OpenSession struct {
	ID        string    `json:"id"`
	Person    string    `json:"person"`
	Address   string    `json:"address,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Current   bool      `json:"current,omitempty"` // the one that asks
}

// Session returns who a session's cookie belongs to. Errors are
// ErrUnauthenticated or the store's.
func (a *Auth) Session(ctx context.Context, cookie string) (Principal, error) {
	if cookie == "" {
		return Principal{}, ErrUnauthenticated
	}
	hash := hashOf(cookie)
	v, err := a.store.SessionByHash(ctx, hash)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Principal{}, fmt.Errorf("look up session: %w", err)
	}
	if err != nil || !sameText(v.Hash, hash) || expired(v.ExpiresAt, a.now()) {
		return Principal{}, ErrUnauthenticated
	}
	return a.principalOf(ctx, v)
}

// SignOut ends a session; one that is unknown is fine.
func (a *Auth) SignOut(ctx context.Context, cookie string) error {
	p, err := a.Session(ctx, cookie)
	if errors.Is(err, ErrUnauthenticated) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := a.store.DeleteSession(ctx, hashOf(cookie)); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	if err := a.store.PutAudit(ctx, a.entry(ctx, p, "sign out", "person "+p.Person, nil)); err != nil {
		return fmt.Errorf("sign out: %w", err)
	}
	return nil
}

// CSRF returns the token that a page of the session sends with its commands:
// an HMAC under the cookie's value, which another site cannot read.
func CSRF(cookie string) string {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte(csrfPurpose))
	return hex.EncodeToString(mac.Sum(nil))
}

// CheckCSRF reports whether token is the one of the session.
func CheckCSRF(cookie, token string) bool {
	return cookie != "" && sameText(CSRF(cookie), token)
}
