// Package auth knows who may do what: operator tokens, sessions of people,
// and the keys with which applications send telemetry and read flags. Its main
// type is Auth.
//
// Secrets are 256 random bits, handed out once and stored as their SHA-256
// only; with that much entropy a plain hash cannot be searched. Publishable
// keys, which pages carry, are no secrets and are stored as they are.
//
// The doors are apart: Token opens the operator API only to operator tokens,
// IngestKey and FlagKey open theirs only to keys of their kind. Keys are
// checked against a snapshot in memory, so that an event or an evaluation
// costs no query; every change through this package renews it.
//
// Rate bounds how often a key that anybody may have can be used from one
// address.
//
// A token's scopes are ordered: read < operate < approve < admin, and each
// contains the ones before it. Its role is the plan's role in which its bearer
// approves and decides.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"serin/internal/store"
)

// The errors a door has to tell apart; test with errors.Is.
var (
	// ErrUnauthenticated: no such token, session or sign-in link, or it has expired.
	ErrUnauthenticated = errors.New("the token or session is unknown or has expired")
	// ErrForbidden: known, but not allowed to do this.
	ErrForbidden = errors.New("this needs a higher scope")
	// ErrUnknownKey: no such key at this door, or it has expired.
	ErrUnknownKey = errors.New("the key is unknown here or has expired")
	// ErrForbiddenOrigin: the key is not for pages of this origin.
	ErrForbiddenOrigin = errors.New("the key is not allowed for pages of this origin")
	// ErrInvalid: a token cannot be created as asked.
	ErrInvalid = errors.New("invalid token")
)

// Scope is what a bearer may do.
type Scope string

// The scopes, each containing those before it.
const (
	Read    Scope = "read"
	Operate Scope = "operate"
	Approve Scope = "approve"
	Admin   Scope = "admin"
)

// ranks orders the scopes; 0 is no scope.
var ranks = map[Scope]int{Read: 1, Operate: 2, Approve: 3, Admin: 4}

// The kinds of store.Token.
const (
	KindOperator    = "operator"
	KindIngest      = "ingest"
	KindFlags       = "flags"        // publishable: flags that are meant for clients
	KindFlagsServer = "flags-server" // secret: all flags, and synchronisation
	KindHook        = "hook"         // secret: tells of another system's alerts
	KindSignIn      = "sign-in"      // one-time link; deleted by its use
)

// Store is what Auth needs of the store.
type Store interface {
	store.Access
	store.People
	store.Slack
	store.Audit
}

// Options configure an Auth.
type Options struct {
	Store Store
	// Now tells real time, for expiry, also where the server's clock runs
	// fast; nil = time.Now.
	Now    func() time.Time
	Logger *slog.Logger // nil = silent
	// SessionTTL is how long a sign-in lasts; 0 = 7 days.
	SessionTTL time.Duration
	// OnSignIn is called after each sign-in; nil = nothing. The server removes
	// the file with the first secrets by it.
	OnSignIn func(context.Context, Principal)
}

// Auth answers who a caller is. All methods may be called at the same time.
type Auth struct {
	store Store
	now   func() time.Time
	log   *slog.Logger
	ttl   time.Duration
	hook  func(context.Context, Principal)

	loading sync.Mutex // held while keys is renewed
	keys    atomic.Pointer[keyring]
	lock    lockout
	people  sync.Mutex // held while a person is changed
	hasher  hasher
	guesses lockout // of a person's password from one network
	floods  lockout // of a person's password from everywhere
	uses    uses    // of tokens and keys
}

// defaultSessionTTL is how long a person stays signed in.
const defaultSessionTTL = 7 * 24 * time.Hour

// New returns an Auth.
func New(o Options) *Auth {
	a := &Auth{store: o.Store, now: o.Now, log: o.Logger, ttl: o.SessionTTL, hook: o.OnSignIn, hasher: newHasher()}
	a.guesses.after, a.guesses.window = guessesHere, guessWindow
	a.floods.after, a.floods.window = guessesAll, guessWindow
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.ttl <= 0 {
		a.ttl = defaultSessionTTL
	}
	if a.hook == nil {
		a.hook = func(context.Context, Principal) {}
	}
	return a
}

// Principal is who a caller is. The zero value may do nothing.
type Principal struct {
	ID     string // token's or session's
	Name   string // for journals: the person, else the token's name
	Kind   string // "token" or "session"
	Scopes []string
	Role   string // plan role; "" = operator
	Person string // "" for a machine
	// Handles are the names that plans know a person by, their own included.
	Handles  []string
	Projects []string // empty = all
}

// Can reports whether p holds scope or one that contains it.
func (p Principal) Can(scope Scope) bool {
	need, known := ranks[scope]
	return known && slices.ContainsFunc(p.Scopes, func(s string) bool { return ranks[Scope(s)] >= need })
}

// via is the audit's word for the way p came.
func (p Principal) via() string {
	switch p.Kind {
	case kindSession:
		return "web"
	case kindSlack:
		return "slack"
	}
	return "api"
}

const (
	kindToken   = "token"
	kindSession = "session"
)

type addressKey struct{}

// WithAddress returns a context that carries the caller's network address,
// for audit entries and for slowing down those who guess.
func WithAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// Address returns what WithAddress put into ctx, "" if nothing.
func Address(ctx context.Context) string {
	s, _ := ctx.Value(addressKey{}).(string)
	return s
}

type agentKey struct{}

// maxAgent bounds what is kept of a User-Agent.
const maxAgent = 200

// WithAgent returns a context that carries the caller's User-Agent, for the
// list of open sessions.
func WithAgent(ctx context.Context, agent string) context.Context {
	if len(agent) > maxAgent {
		agent = strings.ToValidUTF8(agent[:maxAgent], "")
	}
	return context.WithValue(ctx, agentKey{}, agent)
}

func agent(ctx context.Context) string {
	s, _ := ctx.Value(agentKey{}).(string)
	return s
}

// Bearer returns the token of an Authorization header (RFC 6750, section
// 2.1), "" if it holds none. The scheme's case does not matter.
func Bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// Token returns who bears an operator token. Errors are ErrUnauthenticated,
// *LockedError after many wrong tries from the context's address, or the store's.
func (a *Auth) Token(ctx context.Context, bearer string) (Principal, error) {
	t, err := a.secret(ctx, bearer, KindOperator)
	if err != nil {
		return Principal{}, err
	}
	p := Principal{ID: t.ID, Name: t.Name, Kind: kindToken, Scopes: t.Scopes, Role: t.Role, Person: t.Person, Projects: t.Projects}
	if p.Person != "" {
		p.Name = p.Person
		if p, err = a.asPerson(ctx, p); err != nil {
			return Principal{}, err
		}
	}
	a.used(ctx, t)
	return p, nil
}

// asPerson narrows a token made for somebody to what they may do now, and
// gives it the names that plans know them by. Somebody without an account is
// only a name.
func (a *Auth) asPerson(ctx context.Context, p Principal) (Principal, error) {
	account, err := a.store.Person(ctx, p.Person)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return p, nil
	case err != nil:
		return Principal{}, fmt.Errorf("look up person: %w", err)
	case account.Disabled:
		return Principal{}, ErrUnauthenticated
	}
	var some bool
	if p.Projects, some = both(p.Projects, account.Projects); !some {
		return Principal{}, errNoProject
	}
	p.Handles = append([]string{account.Name}, account.Handles...)
	if most := scopesOf(account.Role); !(Principal{Scopes: most}).Can(highest(p.Scopes)) {
		p.Scopes = most
	}
	return p, nil
}

// highest is the scope that contains the others.
func highest(scopes []string) Scope {
	var top Scope
	for _, s := range scopes {
		if ranks[Scope(s)] > ranks[top] {
			top = Scope(s)
		}
	}
	return top
}

// secret returns the token with this secret and kind. A right one is never
// locked out by wrong ones from the same address, which may be a proxy's that
// everybody comes through: nobody can keep the people on call from acting.
func (a *Auth) secret(ctx context.Context, secret, kind string) (store.Token, error) {
	hash, address := hashOf(secret), Address(ctx)
	t, err := a.store.TokenByHash(ctx, hash)
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = ErrUnauthenticated
	case err != nil:
		return store.Token{}, fmt.Errorf("look up token: %w", err)
	case !sameText(t.Hash, hash), t.Kind != kind, expired(t.ExpiresAt, a.now()):
		err = ErrUnauthenticated
	}
	if err != nil {
		if locked := a.lock.check(address, a.now()); locked != nil {
			return store.Token{}, locked
		}
		a.lock.fail(address, a.now())
		return store.Token{}, err
	}
	return t, nil
}

// hashOf returns the hex SHA-256 of a secret.
func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// sameText compares in constant time.
func sameText(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// expired reports whether something that ends at end (zero = never) is over.
func expired(end, now time.Time) bool { return !end.IsZero() && !now.Before(end) }

// randomHex returns n random bytes in hex.
func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand.Read
	return hex.EncodeToString(b)
}
