package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"serin/internal/store"
)

// Limits of guessing passwords: by person and network, and by person from
// everywhere. A password is short, so that a right one is refused too while
// its name is locked; sessions, links and tokens go on working.
const (
	guessesHere  = 10
	guessesAll   = 100
	guessWindow  = 15 * time.Minute
	everywhereOf = "everywhere "
)

// SignInPassword opens a session for a person by name, or e-mail address, and
// password. Errors are ErrUnauthenticated, whoever it is, *LockedError or the
// store's.
func (a *Auth) SignInPassword(ctx context.Context, name, password string) (cookie string, p Principal, err error) {
	account, err := a.account(ctx, strings.TrimSpace(name))
	if err != nil {
		return "", p, err
	}
	if err := a.tryPassword(ctx, account, password); err != nil {
		return "", p, err
	}
	return a.enter(ctx, account, "sign in")
}

// account finds a person who may sign in; an unknown one is empty, so that
// the answer takes as long and says as much.
func (a *Auth) account(ctx context.Context, name string) (store.Person, error) {
	all, err := a.store.People(ctx)
	if err != nil {
		return store.Person{}, fmt.Errorf("read people: %w", err)
	}
	unknown := store.Person{Name: name}
	for _, p := range all {
		if p.Disabled {
			continue
		}
		if p.Name == name || p.Email != "" && strings.EqualFold(p.Email, name) {
			return p, nil
		}
	}
	return unknown, nil
}

// tryPassword compares, and counts what is wrong.
func (a *Auth) tryPassword(ctx context.Context, p store.Person, password string) error {
	now := a.now()
	here, everywhere := p.Name+" "+network(Address(ctx)), everywhereOf+p.Name
	if err := errors.Join(a.guesses.check(here, now), a.floods.check(everywhere, now)); err != nil {
		return err
	}
	ok, err := a.hasher.matches(ctx, p.Password, password)
	if err != nil {
		return fmt.Errorf("check password: %w", err)
	}
	if !ok {
		a.guesses.fail(here, now)
		a.floods.fail(everywhere, now)
		return ErrUnauthenticated
	}
	return nil
}

// enter opens a session for an account whose proof was checked.
func (a *Auth) enter(ctx context.Context, account store.Person, verb string) (cookie string, p Principal, err error) {
	cookie, v, err := a.openSession(ctx, account.Name, "", nil)
	if err != nil {
		return "", p, fmt.Errorf("sign in: %w", err)
	}
	if p, err = a.principalOf(ctx, v); err == nil {
		err = a.store.PutAudit(ctx, a.entry(ctx, p, verb, "person "+account.Name, nil))
	}
	if err != nil {
		return "", Principal{}, errors.Join(fmt.Errorf("sign in: %w", err), a.store.DeleteSession(context.WithoutCancel(ctx), v.Hash))
	}
	a.hook(ctx, p)
	return cookie, p, nil
}

// SignInSubject opens a session for whoever an identity provider has
// authenticated as subject. A person with that subject is found by it; else
// one with the e-mail address, which the provider must have verified, is bound
// to it; else, where create names a role, a person is made. Errors are
// ErrUnauthenticated if nobody fits, or the store's.
func (a *Auth) SignInSubject(ctx context.Context, id Identity, create string) (cookie string, p Principal, err error) {
	a.people.Lock()
	defer a.people.Unlock()
	all, err := a.store.People(ctx)
	if err != nil {
		return "", p, fmt.Errorf("read people: %w", err)
	}
	account, found := match(all, id)
	switch {
	case found && account.Disabled:
		return "", p, ErrUnauthenticated
	case found && account.Subject == id.Subject:
		return a.enter(ctx, account, "sign in")
	case found:
		account.Subject = id.Subject
	case scopesOf(create) == nil:
		return "", p, ErrUnauthenticated
	default:
		account = store.Person{Name: freeName(all, id), Email: id.Email, Subject: id.Subject, Role: create, CreatedAt: a.now().UTC()}
	}
	by := Principal{Name: account.Name, Kind: kindSession}
	if err := a.putPerson(ctx, by, map[bool]string{true: "bind to identity provider", false: "create"}[found], account); err != nil {
		return "", p, err
	}
	return a.enter(ctx, account, "sign in")
}

// Identity is what an identity provider says of somebody.
type Identity struct {
	Subject string // issuer, space, subject: unique for ever
	Email   string // "" unless verified
	Name    string // a wish for the name
}

// match finds the person of an identity: by subject first.
func match(all []store.Person, id Identity) (store.Person, bool) {
	for _, p := range all {
		if p.Subject == id.Subject {
			return p, true
		}
	}
	for _, p := range all {
		if p.Subject == "" && id.Email != "" && strings.EqualFold(p.Email, id.Email) {
			return p, true
		}
	}
	return store.Person{}, false
}

// freeName makes a person's name of an identity that nobody has.
func freeName(all []store.Person, id Identity) string {
	local, _, _ := strings.Cut(id.Email, "@")
	wish := clean(id.Name)
	if wish == "" {
		wish = clean(local)
	}
	if wish == "" {
		wish = "person"
	}
	taken := make(map[string]bool, len(all))
	for _, p := range all {
		taken[p.Name] = true
	}
	name := wish
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", wish, n)
	}
	return name
}

// clean keeps what personName allows.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.', r == '_', r == '-':
			return r
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.ToLower(text))
	text = strings.TrimLeft(text, "._-")
	const longest = 50 // leaves room for a number
	return text[:min(len(text), longest)]
}
