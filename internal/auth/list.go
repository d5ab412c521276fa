package auth

import (
	"context"
	"fmt"
	"slices"

	"serin/internal/store"
)

// Tokens lists the tokens and keys that an admin may manage: those of their projects. It holds no secret: only
// publishable keys are in it as they are. Errors are ErrForbidden or the store's.
func (a *Auth) Tokens(ctx context.Context, by Principal) ([]store.Token, error) {
	if !by.Can(Admin) {
		return nil, ErrForbidden
	}
	list, err := a.store.Tokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	return slices.DeleteFunc(list, func(t store.Token) bool { return !by.holds(t) }), nil
}

// IngestKeys lists the publishable ingest keys of by's projects that count
// now, for everybody who may read: pages carry them.
func (a *Auth) IngestKeys(ctx context.Context, by Principal) ([]store.Token, error) {
	list, err := a.store.Tokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	var out []store.Token
	for _, t := range list {
		if t.Kind == KindIngest && by.InProject(t.Project) && t.Public != "" && !expired(t.ExpiresAt, a.now()) {
			out = append(out, t)
		}
	}
	return out, nil
}

// People lists everybody who has an account, by name, for an admin. Errors
// are ErrForbidden or the store's.
func (a *Auth) People(ctx context.Context, by Principal) ([]store.Person, error) {
	if !by.manages() {
		return nil, ErrForbidden
	}
	list, err := a.store.People(ctx)
	if err != nil {
		return nil, fmt.Errorf("read people: %w", err)
	}
	return list, nil
}

// Account returns a person's account: one's own, for an admin anybody's.
// Errors are ErrForbidden, store.ErrNotFound or the store's others.
func (a *Auth) Account(ctx context.Context, by Principal, name string) (store.Person, error) {
	if !by.manages() && (by.Person == "" || by.Person != name) {
		return store.Person{}, ErrForbidden
	}
	p, err := a.store.Person(ctx, name)
	if err != nil {
		return store.Person{}, fmt.Errorf("read person %s: %w", name, err)
	}
	return p, nil
}

// SignInLink makes a one-time link's secret for a person who has an account,
// in the name of by, who must be an admin; it lives for LinkLife.
// Errors are ErrForbidden, store.ErrNotFound or the store's others.
func (a *Auth) SignInLink(ctx context.Context, by Principal, name string) (secret string, err error) {
	if !by.manages() {
		return "", ErrForbidden
	}
	if _, err := a.store.Person(ctx, name); err != nil {
		return "", fmt.Errorf("make sign-in link: %w", err)
	}
	// What the person may do is the account's to say, not the link's.
	secret, _, err = a.create(ctx, by, NewToken{Name: "sign-in of " + name, Kind: KindSignIn, Person: name, Scopes: []string{string(Read)}, TTL: LinkLife})
	return secret, err
}

// LinkLife is how long a link made by SignInLink is valid.
const LinkLife = rescueTTL * 24
