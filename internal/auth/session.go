package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

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
	cookie = randomHex(secretBytes)
	now := a.now().UTC()
	v := store.Session{Hash: hashOf(cookie), Person: t.Person, Role: t.Role, Scopes: t.Scopes, CreatedAt: now, ExpiresAt: now.Add(a.ttl)}
	if err := a.store.PutSession(ctx, v); err != nil {
		return "", p, fmt.Errorf("sign in: %w", err)
	}
	p = principalOf(v)
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

func principalOf(v store.Session) Principal {
	return Principal{Name: v.Person, Kind: kindSession, Scopes: v.Scopes, Role: v.Role, Person: v.Person}
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
	return principalOf(v), nil
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
