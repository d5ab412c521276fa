package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"serin/internal/store"
)

// The roles of a person on the server, each with the scope of a token.
// What somebody may do in a rollout is the plan's to say, see Principal.Handles.
const (
	Viewer   = "viewer"
	Operator = "operator"
	Approver = "approver"
	AdminOf  = "admin"
)

// scopesOf are the scopes of a role; nil for a role that is none.
func scopesOf(role string) []string {
	scope, ok := map[string]Scope{Viewer: Read, Operator: Operate, Approver: Approve, AdminOf: Admin}[role]
	if !ok {
		return nil
	}
	return []string{string(scope)}
}

// manages reports whether p is an admin of the whole server: people are its.
func (p Principal) manages() bool { return p.Can(Admin) && p.WholeServer() }

// personName is how a person's name is written: as a plan writes "@name".
var personName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// PutPerson creates or changes a person in the name of by, who must be an
// admin. The password and the subject of sign-in stay as they are. It works at
// once, also for open sessions. Errors are ErrForbidden, ErrInvalid or the store's.
func (a *Auth) PutPerson(ctx context.Context, by Principal, p store.Person) error {
	if !by.manages() {
		return ErrForbidden
	}
	if err := checkPerson(p); err != nil {
		return err
	}
	a.people.Lock()
	defer a.people.Unlock()
	old, err := a.store.Person(ctx, p.Name)
	verb := "change"
	switch {
	case errors.Is(err, store.ErrNotFound):
		verb, p.CreatedAt, p.Password, p.Subject = "create", a.now().UTC(), "", ""
	case err != nil:
		return fmt.Errorf("read person %s: %w", p.Name, err)
	default:
		p.CreatedAt, p.Password, p.Subject = old.CreatedAt, old.Password, old.Subject
		if err := a.keepsAnAdmin(ctx, old, p); err != nil {
			return err
		}
	}
	return a.putPerson(ctx, by, verb, p)
}

func (a *Auth) putPerson(ctx context.Context, by Principal, verb string, p store.Person) error {
	after, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode person: %w", err)
	}
	if err := a.store.PutPerson(ctx, p, a.entry(ctx, by, verb, "person "+p.Name, after)); err != nil {
		return fmt.Errorf("%s person: %w", verb, err)
	}
	return nil
}

func checkPerson(p store.Person) error {
	if !personName.MatchString(p.Name) {
		return fmt.Errorf("%w: name %q: small letters, digits, dot, dash and underscore, such as ann or team-lead", ErrInvalid, p.Name)
	}
	if scopesOf(p.Role) == nil {
		return fmt.Errorf("%w: role %q must be viewer, operator, approver or admin", ErrInvalid, p.Role)
	}
	if p.Role == AdminOf && len(p.Projects) > 0 {
		return fmt.Errorf("%w: an admin is the whole server's: leave projects out, or choose another role", ErrInvalid)
	}
	for _, h := range p.Handles {
		if !personName.MatchString(h) {
			return fmt.Errorf("%w: handle %q: write it as a plan does, without the @, such as team-lead", ErrInvalid, h)
		}
	}
	return nil
}

// keepsAnAdmin refuses to take its last admin from a server that has people.
func (a *Auth) keepsAnAdmin(ctx context.Context, old, next store.Person) error {
	if old.Role != AdminOf || old.Disabled || next.Role == AdminOf && !next.Disabled {
		return nil
	}
	all, err := a.store.People(ctx)
	if err != nil {
		return fmt.Errorf("read people: %w", err)
	}
	if !slices.ContainsFunc(all, func(o store.Person) bool { return o.Name != old.Name && o.Role == AdminOf && !o.Disabled }) {
		return fmt.Errorf("%w: %s is the last admin: make another one first", ErrInvalid, old.Name)
	}
	return nil
}

// DeletePerson removes a person, ends their sessions and revokes the tokens
// made for them, in the name of by, who must be an admin. What they did stays
// in journals and audit log.
func (a *Auth) DeletePerson(ctx context.Context, by Principal, name, reason string) error {
	if !by.manages() {
		return ErrForbidden
	}
	a.people.Lock()
	defer a.people.Unlock()
	old, err := a.store.Person(ctx, name)
	if err != nil {
		return fmt.Errorf("delete person: %w", err)
	}
	if err := a.keepsAnAdmin(ctx, old, store.Person{}); err != nil {
		return err
	}
	tokens, err := a.store.Tokens(ctx)
	if err != nil {
		return fmt.Errorf("delete person: %w", err)
	}
	for _, t := range tokens {
		if t.Person == name {
			if err := a.RevokeToken(ctx, by, t.ID, "person "+name+" was deleted"); err != nil && !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
	}
	e := a.entry(ctx, by, "delete", "person "+name, nil)
	e.Reason = reason
	if err := a.store.DeletePerson(ctx, name, e); err != nil {
		return fmt.Errorf("delete person: %w", err)
	}
	return nil
}

// SetPassword gives a person a new password and ends all their sessions. An
// admin may set anybody's; everybody else their own, with the old one. Errors
// are ErrForbidden, ErrInvalid, ErrUnauthenticated for a wrong old password,
// or the store's.
func (a *Auth) SetPassword(ctx context.Context, by Principal, name, old, password string) error {
	own := by.Person == name && by.Kind == kindSession
	if !by.manages() && !own {
		return ErrForbidden
	}
	phc, err := a.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	a.people.Lock()
	defer a.people.Unlock()
	p, err := a.store.Person(ctx, name)
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	if own && p.Password != "" {
		if err := a.tryPassword(ctx, p, old); err != nil {
			return err
		}
	}
	p.Password = phc
	if err := a.putPerson(ctx, by, "set password of", p); err != nil {
		return err
	}
	return a.endSessions(ctx, by, name)
}

// endSessions signs a person out everywhere.
func (a *Auth) endSessions(ctx context.Context, by Principal, name string) error {
	sessions, err := a.store.Sessions(ctx, name)
	if err != nil {
		return fmt.Errorf("end sessions of %s: %w", name, err)
	}
	for _, v := range sessions {
		if err := a.store.DeleteSession(ctx, v.Hash); err != nil {
			return fmt.Errorf("end sessions of %s: %w", name, err)
		}
	}
	if len(sessions) == 0 {
		return nil
	}
	return a.store.PutAudit(ctx, a.entry(ctx, by, "end sessions", "person "+name, nil))
}

// Sessions lists the open sessions of a person, newest first; "" is everybody's.
// An admin may see all, everybody else their own.
func (a *Auth) Sessions(ctx context.Context, by Principal, person string) ([]OpenSession, error) {
	if !by.manages() && (person == "" || person != by.Person) {
		return nil, ErrForbidden
	}
	list, err := a.store.Sessions(ctx, person)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	var out []OpenSession
	for _, v := range list {
		if !expired(v.ExpiresAt, a.now()) {
			out = append(out, OpenSession{ID: sessionID(v), Person: v.Person, Address: v.Address, Agent: v.Agent,
				CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt, Current: by.Kind == kindSession && by.ID == sessionID(v)})
		}
	}
	return out, nil
}

// EndSession revokes a session by its id: one's own, or as an admin anybody's.
// Errors are store.ErrNotFound, also for those of others, whose ids are not to
// be tried out, or the store's others.
func (a *Auth) EndSession(ctx context.Context, by Principal, id string) error {
	list, err := a.store.Sessions(ctx, "")
	if err != nil {
		return fmt.Errorf("read sessions: %w", err)
	}
	i := slices.IndexFunc(list, func(v store.Session) bool { return sessionID(v) == id })
	own := i >= 0 && by.Person != "" && list[i].Person == by.Person
	if i < 0 || !own && !by.manages() {
		return fmt.Errorf("session %s: %w", id, store.ErrNotFound)
	}
	if err := a.store.DeleteSession(ctx, list[i].Hash); err != nil {
		return fmt.Errorf("end session: %w", err)
	}
	return a.store.PutAudit(ctx, a.entry(ctx, by, "end session", "person "+list[i].Person, nil))
}
