package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"serin/internal/flag"
	"serin/internal/store"
)

// IngestKey is a key that writes telemetry of one project.
type IngestKey struct {
	ID          string
	Project     string // whose telemetry it writes
	Environment string // overrides the events' own; "" = none
	Publishable bool   // pages carry it: what it sends is only claimed
	Origins     bool   // it lists allowed origins
}

// FlagKey is a key that reads flags.
type FlagKey struct {
	ID          string
	Project     string // whose flags it reads
	Environment string // the only one that it is for; "" = all
	Server      bool   // reads all flags; else only those meant for clients
}

// keyring is an immutable snapshot of all keys by the SHA-256 of the key.
type keyring struct {
	keys map[[sha256.Size]byte]store.Token
}

// IngestKey returns the ingest key of project, or of any project if it is "". origin is the request's Origin
// header, "" if it has none. Errors are ErrUnknownKey, ErrForbiddenOrigin or the store's.
func (a *Auth) IngestKey(ctx context.Context, key, project, origin string) (IngestKey, error) {
	t, err := a.key(ctx, key, origin, KindIngest, KindIngest)
	if err != nil {
		return IngestKey{}, err
	}
	if project != "" && flag.ProjectOf(t.Project) != project {
		return IngestKey{}, ErrUnknownKey
	}
	return IngestKey{ID: t.ID, Project: flag.ProjectOf(t.Project), Environment: t.Environment, Publishable: t.Public != "", Origins: len(t.Origins) > 0}, nil
}

// FlagKey returns a key for reading flags; parameters and errors are those of IngestKey.
func (a *Auth) FlagKey(ctx context.Context, key, origin string) (FlagKey, error) {
	t, err := a.key(ctx, key, origin, KindFlags, KindFlagsServer)
	if err != nil {
		return FlagKey{}, err
	}
	return FlagKey{ID: t.ID, Project: flag.ProjectOf(t.Project), Environment: t.Environment, Server: t.Kind == KindFlagsServer}, nil
}

// key returns an unexpired key of one of two kinds that pages of origin may use.
func (a *Auth) key(ctx context.Context, key, origin, kind, orKind string) (store.Token, error) {
	ring := a.keys.Load()
	if ring == nil {
		var err error
		if ring, err = a.loadKeys(ctx); err != nil {
			return store.Token{}, err
		}
	}
	// Looked up by hash, so that the time taken tells nothing about the key.
	t, ok := ring.keys[sha256.Sum256([]byte(key))]
	if !ok || t.Kind != kind && t.Kind != orKind || expired(t.ExpiresAt, a.now()) {
		return store.Token{}, ErrUnknownKey
	}
	if !allowsOrigin(t.Origins, origin) {
		return store.Token{}, ErrForbiddenOrigin
	}
	a.used(ctx, t)
	return t, nil
}

// loadKeys renews the snapshot.
func (a *Auth) loadKeys(ctx context.Context) (*keyring, error) {
	a.loading.Lock()
	defer a.loading.Unlock()
	if ring := a.keys.Load(); ring != nil {
		return ring, nil
	}
	tokens, err := a.store.Tokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	ring := &keyring{keys: map[[sha256.Size]byte]store.Token{}}
	for _, t := range tokens {
		var sum [sha256.Size]byte
		if n, err := hex.Decode(sum[:], []byte(t.Hash)); err != nil || n != len(sum) {
			a.log.WarnContext(ctx, "token with a damaged hash left out", "token", t.ID)
			continue
		}
		switch t.Kind {
		case KindIngest, KindFlags, KindFlagsServer, KindHook:
			ring.keys[sum] = t
		}
	}
	a.keys.Store(ring)
	return ring, nil
}

// forgetKeys makes the next check load anew. It waits for a load that may
// have read what was there before the change.
func (a *Auth) forgetKeys() {
	a.loading.Lock()
	defer a.loading.Unlock()
	a.keys.Store(nil)
}

// allowsOrigin reports whether a page of origin may use a key. No list means
// every page; requests without the header do not come from another page.
// Entries are an origin, "*", or "https://*.example.org" for all below it.
func allowsOrigin(allowed []string, origin string) bool {
	if origin == "" || len(allowed) == 0 {
		return true
	}
	origin = strings.ToLower(origin)
	return slices.ContainsFunc(allowed, func(pattern string) bool {
		pattern = strings.ToLower(strings.TrimSuffix(pattern, "/"))
		if before, domain, ok := strings.Cut(pattern, "*."); ok {
			return strings.HasPrefix(origin, before) && strings.HasSuffix(origin, "."+domain) && len(origin) > len(before)+len(domain)+1
		}
		return pattern == "*" || pattern == origin
	})
}

// checkOrigin returns why an entry of a key's origins is wrong, nil if it is right.
func checkOrigin(pattern string) error {
	if pattern == "*" {
		return nil
	}
	u, err := url.Parse(strings.Replace(pattern, "*.", "", 1))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || strings.Contains(u.Host, "*") {
		return fmt.Errorf("%w: origin %q must be like https://shop.example, https://*.shop.example or *", ErrInvalid, pattern)
	}
	return nil
}
