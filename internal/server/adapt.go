package server

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/auth/oidc"
	"serin/internal/backtest"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/intake"
	"serin/internal/ofrep"
	"serin/internal/rollout"
	"serin/internal/telemetry"
	"serin/internal/web"
)

// The types below are the joints between parts that must not know each other:
// each turns one part's words into another's and decides nothing.

// watcher gives the evidence engine to the controller.
type watcher struct{ *evidence.Engine }

func (w watcher) Watch(c controller.Watch) error {
	t := evidence.Target{
		Rollout: c.Rollout, Project: c.Project, Plan: c.Plan, Split: c.Split, Attempt: c.Attempt, Stage: c.Stage, Active: c.Active,
		StageAt: c.StageAt, AttemptAt: c.AttemptAt, RolloutAt: c.StartedAt,
	}
	for _, i := range c.Intervals {
		t.Intervals = append(t.Intervals, evidence.Interval(i))
	}
	return w.Engine.Watch(t)
}

func (w watcher) Series(id, metric string, from, to time.Time, points int) ([]controller.Point, error) {
	found, err := w.Engine.Series(id, metric, from, to, points)
	out := make([]controller.Point, len(found))
	for i, p := range found {
		out[i] = controller.Point(p)
	}
	return out, err
}

// sink gives the evidence engine to the telemetry door. Nothing personal
// passes it that is not needed: see telemetry.Scrub.
type sink struct {
	*evidence.Engine
	scrub telemetry.ScrubOptions
}

func (s sink) Accept(ctx context.Context, events []telemetry.Event) error {
	for i := range events {
		telemetry.Scrub(&events[i], s.scrub)
	}
	err := s.Engine.Accept(ctx, events)
	switch {
	case errors.Is(err, evidence.ErrOverload):
		return intake.ErrOverload
	case errors.Is(err, evidence.ErrUnavailable):
		return intake.ErrUnavailable
	}
	return err
}

// ingestKeys checks the keys of the telemetry door.
type ingestKeys struct {
	*auth.Auth
	limit throttle
}

func (k ingestKeys) IngestKey(ctx context.Context, key, project, origin string) (intake.Key, error) {
	found, err := k.Auth.IngestKey(ctx, key, project, origin)
	switch {
	case errors.Is(err, auth.ErrForbiddenOrigin):
		return intake.Key{}, intake.ErrForbiddenOrigin
	case errors.Is(err, auth.ErrUnknownKey):
		return intake.Key{}, intake.ErrUnknownKey
	case err == nil && found.Publishable && k.limit.wait(ctx, found.ID) > 0:
		return intake.Key{}, intake.ErrOverload
	}
	return intake.Key{ID: found.ID, Project: found.Project, Environment: found.Environment, Publishable: found.Publishable, Origins: found.Origins}, err
}

// flagKeys checks the keys of the flag door.
type flagKeys struct {
	*auth.Auth
	limit throttle
}

func (k flagKeys) FlagKey(ctx context.Context, key, origin string) (ofrep.Key, error) {
	found, err := k.Auth.FlagKey(ctx, key, origin)
	switch {
	case errors.Is(err, auth.ErrForbiddenOrigin):
		return ofrep.Key{}, ofrep.ErrForbidden
	case errors.Is(err, auth.ErrUnknownKey):
		return ofrep.Key{}, ofrep.ErrUnknownKey
	case err == nil && !found.Server:
		if wait := k.limit.wait(ctx, found.ID); wait > 0 {
			return ofrep.Key{}, &ofrep.LimitedError{RetryAfter: wait}
		}
	}
	return ofrep.Key{Server: found.Server, ID: found.ID, Place: flag.Place{Project: found.Project, Environment: found.Environment}}, err
}

// pages gives the controller to the dashboard. A person without a plan role
// who is an admin may act in any; the controller picks the role asked for.
type pages struct{ *controller.Controller }

// adminRole is how a signed-in admin without a plan role appears on pages.
const adminRole = "admin"

func (p pages) Do(ctx context.Context, id string, cmd rollout.Command) (controller.Result, error) {
	actor := controller.Actor{Name: cmd.By, Role: cmd.Role, Handles: web.PersonOf(ctx).Handles}
	if cmd.Role == adminRole {
		actor.Role, actor.Admin = "", true
	}
	if err := p.Authorize(ctx, id, actor, &cmd); err != nil {
		return controller.Result{}, err
	}
	return p.Controller.Do(ctx, id, cmd)
}

// withAddress tells the audit log and the guard against guessing who asks.
func withAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			host = r.RemoteAddr
		}
		next.ServeHTTP(w, r.WithContext(auth.WithAddress(r.Context(), host)))
	})
}

// sessions gives people and their sessions to the dashboard and to the API's
// reads from pages.
type sessions struct {
	*auth.Auth
}

func (s sessions) Session(ctx context.Context, cookie string) (web.Person, error) {
	p, err := s.Auth.Session(ctx, cookie)
	return person(p), err
}

func (s sessions) SignIn(ctx context.Context, token string) (string, web.Person, error) {
	cookie, p, err := s.Auth.SignIn(ctx, token)
	var locked *auth.LockedError
	if errors.Is(err, auth.ErrUnauthenticated) || errors.As(err, &locked) { // a right token is never locked out
		return "", web.Person{}, web.ErrBadToken
	}
	return cookie, person(p), err
}

func (s sessions) SignInPassword(ctx context.Context, name, password string) (string, web.Person, error) {
	cookie, p, err := s.Auth.SignInPassword(ctx, name, password)
	var locked *auth.LockedError
	switch {
	case errors.As(err, &locked):
		return "", web.Person{}, &web.SlowDownError{After: locked.After}
	case errors.Is(err, auth.ErrUnauthenticated):
		return "", web.Person{}, web.ErrBadToken
	}
	return cookie, person(p), err
}

func (s sessions) Principal(r *http.Request) (auth.Principal, bool) {
	c, err := r.Cookie(web.CookieName)
	if err != nil {
		return auth.Principal{}, false
	}
	p, err := s.Auth.Session(r.Context(), c.Value)
	return p, err == nil
}

func (s sessions) CSRF(cookie string) string { return auth.CSRF(cookie) }

func (s sessions) CheckCSRF(cookie, token string) bool { return auth.CheckCSRF(cookie, token) }

// provider gives the identity provider to the sign-in page.
type provider struct {
	*oidc.Provider
	people *auth.Auth
	name   string
	create string // role of somebody new; "" = nobody is let in who is not known
}

func (p provider) Name() string { return p.name }

func (p provider) Finish(w http.ResponseWriter, r *http.Request) (string, web.Person, string, error) {
	id, next, err := p.Provider.Finish(w, r)
	switch {
	case errors.Is(err, oidc.ErrStale), errors.Is(err, oidc.ErrDomain), errors.Is(err, oidc.ErrDenied):
		return "", web.Person{}, "", &web.RefusedError{Why: sentence(err)}
	case err != nil:
		return "", web.Person{}, "", err
	}
	cookie, who, err := p.people.SignInSubject(auth.WithAgent(r.Context(), r.UserAgent()), id, p.create)
	if errors.Is(err, auth.ErrUnauthenticated) {
		return "", web.Person{}, "", &web.RefusedError{Why: p.name + " knows you, but you have no account here. Ask an admin for one with your e-mail address."}
	}
	return cookie, person(who), next, err
}

// sentence makes an error one.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

func person(p auth.Principal) web.Person {
	role := p.Role
	if role == "" && p.Can(auth.Admin) {
		role = adminRole
	}
	return web.Person{Name: p.Name, Role: role, Scopes: p.Scopes, Handles: p.Handles, Principal: p}
}

// Replay implements controller.Replays.
func (w watcher) Replay(ctx context.Context, c controller.Watch) (backtest.Recorded, error) {
	t := evidence.Target{Rollout: c.Rollout, Project: c.Project, Plan: c.Plan, Split: c.Split, Attempt: c.Attempt, AttemptAt: c.AttemptAt, RolloutAt: c.StartedAt}
	for _, i := range c.Intervals {
		t.Intervals = append(t.Intervals, evidence.Interval(i))
	}
	return w.Engine.Replay(ctx, t)
}
