package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"serin/internal/store"
)

// NewToken is what a token or key is to be.
type NewToken struct {
	ID          string // "" = a random one; an existing one is replaced
	Name        string
	Kind        string   // KindOperator, KindIngest, KindFlags, KindFlagsServer, KindHook or KindSignIn
	Project     string   // of a key; "" = Principal.Home of who makes it
	Projects    []string // of an operator token; empty = all of who makes it
	Scopes      []string
	Role        string
	Person      string
	TTL         time.Duration // 0 = does not expire
	Environment string
	Origins     []string
	// Secret makes an ingest key one that no page carries.
	Secret bool
	// Notify are the addresses of who is told of a hook's alerts.
	Notify []string
	// ClientSecret of a hook is what Sentry signs its calls with; "" = none.
	ClientSecret string
}

// prefixes let people and secret scanners tell what a secret is.
var prefixes = map[string]string{
	KindOperator: "serin_op_", KindFlagsServer: "serin_fs_", KindHook: "serin_hk_", KindSignIn: "serin_in_",
}

const (
	secretBytes = 32 // of a secret: 256 bits
	keyBytes    = 16 // of a publishable key: 32 hex digits, as in a DSN
)

// CreateToken creates a token or key in the name of by, who must be an admin,
// and returns it with its secret, which is not stored. Nobody makes one for
// projects that they are not in. Errors are ErrForbidden,
// ErrInvalid or the store's.
func (a *Auth) CreateToken(ctx context.Context, by Principal, n NewToken) (secret string, t store.Token, err error) {
	if !by.Can(Admin) {
		return "", store.Token{}, ErrForbidden
	}
	if err := a.narrow(ctx, by, &n); err != nil {
		return "", store.Token{}, err
	}
	return a.create(ctx, by, n)
}

func (a *Auth) create(ctx context.Context, by Principal, n NewToken) (secret string, t store.Token, err error) {
	if err := n.validate(); err != nil {
		return "", t, err
	}
	now := a.now().UTC()
	t = store.Token{ID: n.ID, Name: n.Name, Kind: n.Kind, Project: n.Project, Projects: n.Projects, Scopes: n.Scopes, Role: n.Role, Person: n.Person,
		CreatedAt: now, Environment: n.Environment, Origins: n.Origins}
	if t.ID == "" {
		t.ID = randomHex(6)
	}
	if n.TTL > 0 {
		t.ExpiresAt = now.Add(n.TTL)
	}
	switch {
	case n.Kind == KindSlackCode:
		secret = rand.Text()[:slackCodeSigns]
	case n.Kind == KindFlags, n.Kind == KindIngest:
		secret = randomHex(keyBytes)
		if !n.Secret {
			t.Public = secret
		}
	default:
		secret = prefixes[n.Kind] + randomHex(secretBytes)
	}
	t.Notify = n.Notify
	if n.Kind == KindHook && n.ClientSecret != "" {
		if err := a.store.PutSetting(ctx, clientSecretOf(t.ID), n.ClientSecret); err != nil {
			return "", t, fmt.Errorf("keep the client secret: %w", err)
		}
	}
	t.Hash = hashOf(secret)
	after, err := json.Marshal(t)
	if err != nil {
		return "", t, fmt.Errorf("encode token: %w", err)
	}
	if err := a.store.PutToken(ctx, t, a.entry(ctx, by, "create", "token "+t.ID, after)); err != nil {
		return "", t, fmt.Errorf("create token: %w", err)
	}
	a.forgetKeys()
	return secret, t, nil
}

// validate reports what is wrong with n.
func (n NewToken) validate() error {
	switch n.Kind {
	case KindOperator, KindSignIn:
		if len(n.Scopes) == 0 {
			return fmt.Errorf("%w: it needs a scope: read, operate, approve or admin", ErrInvalid)
		}
	case KindIngest:
		if n.Project == "" {
			return fmt.Errorf("%w: an ingest key needs a project", ErrInvalid)
		}
	case KindFlags, KindFlagsServer:
	case KindSlackCode:
		if n.Person == "" || n.TTL <= 0 {
			return fmt.Errorf("%w: a code for Slack is made under Your account, or by serin user slack-code", ErrInvalid)
		}
	case KindHook:
		if err := n.checkHook(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: kind %q must be operator, ingest, flags, flags-server or hook", ErrInvalid, n.Kind)
	}
	if n.Name == "" {
		return fmt.Errorf("%w: it needs a name that says what it is for", ErrInvalid)
	}
	for _, s := range n.Scopes {
		if ranks[Scope(s)] == 0 {
			return fmt.Errorf("%w: scope %q must be read, operate, approve or admin", ErrInvalid, s)
		}
	}
	for _, o := range n.Origins {
		if err := checkOrigin(o); err != nil {
			return err
		}
	}
	return nil
}

// RevokeToken deletes a token or key in the name of by, who must be an admin.
// It works at once. Errors are ErrForbidden, store.ErrNotFound or the store's others.
func (a *Auth) RevokeToken(ctx context.Context, by Principal, id, reason string) error {
	if !by.Can(Admin) {
		return ErrForbidden
	}
	if err := a.mayRevoke(ctx, by, id); err != nil {
		return err
	}
	e := a.entry(ctx, by, "revoke", "token "+id, nil)
	e.Reason = reason
	if err := a.store.DeleteToken(ctx, id, e); err != nil {
		return fmt.Errorf("revoke token: %w", err)
	}
	a.forgetKeys()
	if secret, err := a.store.Setting(ctx, clientSecretOf(id)); err == nil && secret != "" {
		if err := a.store.PutSetting(ctx, clientSecretOf(id), ""); err != nil {
			return fmt.Errorf("forget the client secret of the key that was revoked: %w", err)
		}
	}
	return nil
}

// mayRevoke answers store.ErrNotFound for a token that by may not manage.
func (a *Auth) mayRevoke(ctx context.Context, by Principal, id string) error {
	if by.WholeServer() {
		return nil
	}
	list, err := a.store.Tokens(ctx)
	if err != nil {
		return fmt.Errorf("read tokens: %w", err)
	}
	if !slices.ContainsFunc(list, func(t store.Token) bool { return t.ID == id && by.holds(t) }) {
		return fmt.Errorf("revoke token %s: %w", id, store.ErrNotFound)
	}
	return nil
}

// entry is an audit entry of by's change, made now.
func (a *Auth) entry(ctx context.Context, by Principal, verb, target string, after json.RawMessage) store.AuditEntry {
	return store.AuditEntry{At: a.now().UTC(), Who: by.Name, Via: by.via(), Address: Address(ctx), Verb: verb, Target: target, After: after}
}
