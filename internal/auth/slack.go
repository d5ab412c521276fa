package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/store"
)

// KindSlackCode is the kind of a store.Token that links a user of Slack to a
// person, once; it is deleted by its use.
const KindSlackCode = "slack-code"

const (
	// SlackCodeLife is how long a code lives.
	SlackCodeLife = 15 * time.Minute
	// slackCodeSigns is the length of a code: 16 signs of base 32 hold 80 bits.
	slackCodeSigns = 16
	kindSlack      = "slack"
)

// The ways by which a user of Slack was linked (store.SlackLink.How).
const (
	SlackByEmail = "e-mail"
	SlackByCode  = "code"
)

// SlackUser is a user of Slack as Slack itself names them. Names are never
// compared: everybody in a workspace can choose theirs.
type SlackUser struct {
	Team string // id of the workspace
	ID   string // id of the user
}

func (u SlackUser) String() string { return u.Team + "/" + u.ID }

// SlackCode makes a one-time code by which somebody in Slack becomes the
// person called name, in the name of by: oneself, or an admin for anybody. It
// lives for SlackCodeLife. Errors are ErrForbidden, store.ErrNotFound where
// there is no account, or the store's others.
func (a *Auth) SlackCode(ctx context.Context, by Principal, name string) (code string, err error) {
	if !by.manages() && (by.Person == "" || by.Person != name) {
		return "", ErrForbidden
	}
	if _, err := a.store.Person(ctx, name); err != nil {
		return "", fmt.Errorf("make a code for Slack: %w", err)
	}
	code, _, err = a.create(ctx, by, NewToken{Name: "Slack code of " + name, Kind: KindSlackCode, Person: name, TTL: SlackCodeLife})
	return code, err
}

// LinkSlack makes u the person whom code was made for, whoever u was before.
// Of several calls with one code only one succeeds. Errors are
// ErrUnauthenticated, *LockedError after many wrong tries of u, or the store's.
func (a *Auth) LinkSlack(ctx context.Context, u SlackUser, code string) (Principal, error) {
	t, err := a.secret(WithAddress(ctx, "slack "+u.String()), strings.ToUpper(strings.TrimSpace(code)), KindSlackCode)
	if err != nil {
		return Principal{}, err
	}
	p, err := a.slackPrincipal(ctx, u, t.Person)
	if err != nil {
		return Principal{}, err
	}
	// Deleting the code is the one step that only one caller can do.
	if err := a.store.DeleteToken(ctx, t.ID, a.entry(ctx, p, "use Slack code", "person "+t.Person, nil)); err != nil {
		if errors.Is(err, store.ErrNotFound) {
			return Principal{}, ErrUnauthenticated
		}
		return Principal{}, fmt.Errorf("use a code for Slack: %w", err)
	}
	return p, a.putSlackLink(ctx, u, p, SlackByCode)
}

func (a *Auth) putSlackLink(ctx context.Context, u SlackUser, p Principal, how string) error {
	l := store.SlackLink{Team: u.Team, User: u.ID, Person: p.Person, How: how, At: a.now().UTC()}
	e := a.entry(ctx, p, "link Slack", "person "+p.Person, nil)
	e.Reason = "user " + u.String() + " by " + how
	if err := a.store.PutSlackLink(ctx, l, e); err != nil {
		return fmt.Errorf("link Slack: %w", err)
	}
	return nil
}

// Slack returns who a user of Slack is and what they may do now. email is
// asked only for somebody who is not linked yet: it returns the address that
// Slack has verified for them, "" for none, and links them where exactly one
// account has it. Errors are ErrUnauthenticated for somebody who is not known
// or whose account is disabled, email's, or the store's.
func (a *Auth) Slack(ctx context.Context, u SlackUser, email func(context.Context) (string, error)) (Principal, error) {
	l, err := a.store.SlackLink(ctx, u.Team, u.ID)
	if err == nil {
		return a.slackPrincipal(ctx, u, l.Person)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return Principal{}, fmt.Errorf("look up a user of Slack: %w", err)
	}
	if email == nil {
		return Principal{}, ErrUnauthenticated
	}
	address, err := email(ctx)
	if err != nil {
		return Principal{}, fmt.Errorf("look up the e-mail address of a user of Slack: %w", err)
	}
	people, err := a.store.People(ctx)
	if err != nil {
		return Principal{}, fmt.Errorf("read people: %w", err)
	}
	people = slices.DeleteFunc(people, func(p store.Person) bool { return address == "" || !strings.EqualFold(p.Email, address) })
	if len(people) != 1 {
		return Principal{}, ErrUnauthenticated
	}
	p, err := a.slackPrincipal(ctx, u, people[0].Name)
	if err != nil {
		return Principal{}, err
	}
	return p, a.putSlackLink(ctx, u, p, SlackByEmail)
}

// slackPrincipal is a person with what their account allows now.
func (a *Auth) slackPrincipal(ctx context.Context, u SlackUser, name string) (Principal, error) {
	account, err := a.store.Person(ctx, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Principal{}, ErrUnauthenticated
	case err != nil:
		return Principal{}, fmt.Errorf("look up person: %w", err)
	case account.Disabled:
		return Principal{}, ErrUnauthenticated
	}
	return Principal{ID: u.String(), Name: account.Name, Kind: kindSlack, Scopes: scopesOf(account.Role), Person: account.Name,
		Handles: append([]string{account.Name}, account.Handles...), Projects: account.Projects}, nil
}

// SlackLinks lists the users of Slack that a person is linked to, oldest
// first; "" is everybody's. An admin may see all, everybody else their own.
func (a *Auth) SlackLinks(ctx context.Context, by Principal, name string) ([]store.SlackLink, error) {
	if !by.manages() && (name == "" || name != by.Person) {
		return nil, ErrForbidden
	}
	list, err := a.store.SlackLinks(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read links of Slack: %w", err)
	}
	return list, nil
}

// UnlinkSlack takes a link of one's own away, or as an admin anybody's. Errors
// are store.ErrNotFound, also for those of others, or the store's others.
func (a *Auth) UnlinkSlack(ctx context.Context, by Principal, u SlackUser) error {
	l, err := a.store.SlackLink(ctx, u.Team, u.ID)
	if err == nil && !by.manages() && (by.Person == "" || l.Person != by.Person) {
		err = fmt.Errorf("user %s of Slack: %w", u, store.ErrNotFound)
	}
	if err != nil {
		return err
	}
	e := a.entry(ctx, by, "unlink Slack", "person "+l.Person, nil)
	e.Reason = "user " + u.String()
	return a.store.DeleteSlackLink(ctx, u.Team, u.ID, e)
}

// SlackWho returns how somebody is found in a workspace by a name or handle that
// plans use: the id of a linked user, else the e-mail address of their
// account; both "" where nobody or more than one person has the handle.
func (a *Auth) SlackWho(ctx context.Context, handle string) (user, email string) {
	people, err := a.store.People(ctx)
	if err != nil {
		a.log.ErrorContext(ctx, "read people", "err", err)
		return "", ""
	}
	people = slices.DeleteFunc(people, func(p store.Person) bool {
		return p.Disabled || p.Name != handle && !slices.Contains(p.Handles, handle)
	})
	if len(people) != 1 {
		return "", ""
	}
	links, err := a.store.SlackLinks(ctx, people[0].Name)
	if err != nil {
		a.log.ErrorContext(ctx, "read links of Slack", "err", err)
	}
	if len(links) > 0 {
		return links[len(links)-1].User, people[0].Email
	}
	return "", people[0].Email
}
