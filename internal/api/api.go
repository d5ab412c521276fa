// Package api is the operator API: JSON under /api/v1 with bearer tokens,
// described by the OpenAPI document at /api/v1/openapi.json. Errors are
// problem details (RFC 9457). Every change goes through controller.Do or one
// of the stores' audited writes; the API decides nothing itself.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/flag"
	"serin/internal/hub"
	"serin/internal/oncall"
	"serin/internal/plan"
	"serin/internal/reporting"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
	"serin/internal/upkeep"
)

// Prefix is where the API lives.
const Prefix = "/api/v1"

// maxBody bounds a request body; plans and flags are small.
const maxBody = 1 << 20

// Store is the part of the store that the API reads.
type Store interface {
	store.Issues
	store.Audit
	store.Plans
	Events(ctx context.Context, issue string, limit int) ([]telemetry.Event, error)
	Person(ctx context.Context, name string) (store.Person, error)
	People(ctx context.Context) ([]store.Person, error)
}

// Evidence takes in what people and pipelines report by hand.
type Evidence interface {
	Accept(ctx context.Context, events []telemetry.Event) error
	Push(ctx context.Context, project, key, value string) error
	ConfirmOpen(ctx context.Context, project, source string) error
	Counters() map[string]int64
	// Trace tells what is remembered of a user of a project's flag.
	Trace(project, flagKey, user string) evidence.Trace
	// ForgetUser removes one user's data and writes a, by the user's digest.
	ForgetUser(ctx context.Context, project, user string, a store.AuditEntry) (store.Forgotten, error)
}

// Flags evaluates flags for "why does this user get this".
type Flags interface{ Current() *flag.Ruleset }

// Sessions lets a signed-in page read the stream and the charts with its cookie.
type Sessions interface {
	Principal(r *http.Request) (auth.Principal, bool)
}

// Options are what the API needs; all but Logger are required.
type Options struct {
	Controller *controller.Controller
	Store      Store
	Evidence   Evidence
	Issues     Issues
	Alerts     Alerts    // nil = not available
	OnCall     OnCall    // nil = not available
	Incidents  Incidents // nil = not available
	Standups   Standups  // nil = not available
	Panels     Panels    // nil = not available
	SourceMaps SourceMaps
	Sources    Sources    // what is asked for measurements; nil = nothing
	Forwarding Forwarding // what passes telemetry on; nil = nothing
	Flags      Flags
	Auth       *auth.Auth
	Sessions   Sessions
	Feed       *hub.Feed
	Now        func() time.Time
	Logger     *slog.Logger
	Version    string
	// Storage measures the store; nil = not available.
	Storage func(ctx context.Context) (upkeep.Report, error)
	// Scrub is what is removed from texts that people record; zero = what always is.
	Scrub telemetry.ScrubOptions
	// Beat is how often the stream says that it lives, in real time; 0 = 5 s.
	Beat time.Duration
}

type server struct {
	Options
}

// New returns the handler for everything under Prefix.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{o}
	mux := http.NewServeMux()
	config := huma.DefaultConfig("serin", o.Version)
	config.OpenAPIPath = Prefix + "/openapi"
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil
	config.Components.Schemas = schemas()
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{"bearer": {Type: "http", Scheme: "bearer"}}
	config.Info.Description = about
	api := humago.New(mux, config)
	api.UseMiddleware(s.authorize(api))
	s.rollouts(api)
	s.runbooks(api)
	s.panels(api)
	s.closingReports(api)
	s.explain(api)
	s.doctor(api)
	s.channels(api)
	s.notices(api)
	s.sources(api)
	s.forwarding(api)
	s.plans(api)
	s.simulate(api)
	s.backtests(api)
	s.baselines(api)
	s.flags(api)
	s.staleFlags(api)
	s.reports(api)
	s.issues(api)
	s.alerts(api)
	s.onCall(api)
	s.incidents(api)
	s.standups(api)
	s.sourceMaps(api)
	s.access(api)
	s.projects(api)
	s.people(api)
	s.env(api)
	s.storage(api)
	s.subjects(api)
	s.describeStream(api)
	mux.HandleFunc("GET "+Prefix+"/stream", s.stream)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, http.StatusNotFound, fmt.Sprintf("%s %s is not available: %s/openapi.json lists what is", r.Method, r.URL.Path, Prefix))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // answers hold what a token may see
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	})
}

// about is the head of the OpenAPI document.
const about = `Progressive delivery: flags, plans, rollouts and what their users really get.

Durations are nanoseconds, times RFC 3339 in UTC. An exposure is in thousandths of a percent (10 % = 10000) in states and
journals; fields named percent or traffic, and exposure of a rollout's view, are percent. Errors are problem details (RFC 9457).`

type principalKey struct{}

// scopeKey is the operation metadata that names the scope it needs.
const scopeKey = "scope"

// The scopes, each includes those before it.
const (
	read    = auth.Read
	operate = auth.Operate
	approve = auth.Approve
	admin   = auth.Admin
)

// op describes an operation that needs scope.
func op(method, path, id string, scope auth.Scope, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: Prefix + path, OperationID: id, Summary: summary,
		Description: "Needs the scope " + string(scope) + ".", MaxBodyBytes: maxBody,
		Metadata: map[string]any{scopeKey: scope}, Security: []map[string][]string{{"bearer": {}}}}
}

// serverKey is the operation metadata of what is open to people of any project.
const serverKey = "server"

// ofServer marks an operation that is open to people of any project.
func ofServer(o huma.Operation) huma.Operation {
	o.Metadata[serverKey] = true
	return o
}

// raw marks an operation whose body is a file that its own parser checks.
func raw(o huma.Operation) huma.Operation {
	o.SkipValidateBody = true
	return o
}

// authorize checks the bearer token, or for reads the page's session, against
// the operation's scope.
func (s *server) authorize(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		scope, _ := ctx.Operation().Metadata[scopeKey].(auth.Scope)
		if scope == "" {
			next(ctx)
			return
		}
		r, _ := humago.Unwrap(ctx)
		p, no := s.principal(r, scope)
		if no == nil {
			no = s.admit(ctx, p)
		}
		if no != nil {
			no.headers(ctx.SetHeader)
			_ = huma.WriteErr(api, ctx, no.status, no.why)
			return
		}
		ctx = huma.WithValue(ctx, viaKey{}, viaOf(r))
		ctx = huma.WithContext(ctx, auth.WithAddress(ctx.Context(), address(r)))
		next(huma.WithValue(ctx, principalKey{}, p))
	}
}

// refusal is why a request is not let in.
type refusal struct {
	status int
	why    string
	after  time.Duration // when to try again; 0 = not told
}

// headers sets what belongs to the status: the scheme of a 401 (RFC 9110,
// section 11.6.1) and when to try again.
func (r *refusal) headers(set func(name, value string)) {
	if r.status == http.StatusUnauthorized {
		set("WWW-Authenticate", "Bearer")
	}
	if r.after > 0 {
		set("Retry-After", strconv.Itoa(int((r.after+time.Second-1)/time.Second)))
	}
}

// principal finds who asks, or why the request is refused.
func (s *server) principal(r *http.Request, scope auth.Scope) (auth.Principal, *refusal) {
	bearer := auth.Bearer(r.Header.Get("Authorization"))
	if bearer == "" {
		return s.visitor(r, scope)
	}
	p, err := s.Auth.Token(auth.WithAddress(r.Context(), address(r)), bearer)
	var locked *auth.LockedError
	switch {
	case errors.As(err, &locked):
		return p, &refusal{status: http.StatusTooManyRequests, why: err.Error(), after: locked.After}
	case err != nil && !errors.Is(err, auth.ErrUnauthenticated):
		s.Logger.Error("check token", "err", err)
		return p, &refusal{status: http.StatusServiceUnavailable, why: "tokens cannot be checked now: serin's log says why"}
	case err != nil:
		return p, &refusal{status: http.StatusUnauthorized, why: "this token is unknown, expired or revoked: make one with: serin token create"}
	case !p.Can(scope):
		return p, &refusal{status: http.StatusForbidden, why: fmt.Sprintf("token %q may not do this: it needs scope %s", p.Name, scope)}
	}
	return p, nil
}

// visitor is a signed-in person whose page reads; a page cannot change
// anything here.
func (s *server) visitor(r *http.Request, scope auth.Scope) (auth.Principal, *refusal) {
	none := &refusal{status: http.StatusUnauthorized, why: "send an operator token: Authorization: Bearer TOKEN (make one with: serin token create)"}
	if r.Method != http.MethodGet {
		return auth.Principal{}, none
	}
	p, ok := s.Sessions.Principal(r)
	switch {
	case !ok:
		return p, none
	case !p.Can(scope):
		return p, &refusal{status: http.StatusForbidden, why: fmt.Sprintf("%s may not see this: it needs scope %s", p.Name, scope)}
	}
	return p, nil
}

// address is the client's address without its port.
func address(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// who returns the principal of a request that authorize let through.
func who(ctx context.Context) auth.Principal {
	p, _ := ctx.Value(principalKey{}).(auth.Principal)
	return p
}

// userAgent begins the User-Agent of serin's own command line.
const userAgent = "serin/"

type viaKey struct{}

// via is the journal's word for the door: "cli" for serin's own command line,
// else "api".
func via(ctx context.Context) string {
	v, _ := ctx.Value(viaKey{}).(string)
	return v
}

func viaOf(r *http.Request) string {
	if strings.HasPrefix(r.UserAgent(), userAgent) {
		return "cli"
	}
	return "api"
}

// body wraps an answer.
type body[T any] struct{ Body T }

func ok[T any](v T) *body[T] { return &body[T]{v} }

// list wraps a list: an empty one is [], never null.
func list[T any](v []T) *body[[]T] {
	if v == nil {
		v = []T{}
	}
	return &body[[]T]{v}
}

// fail is the one place where kinds of error become HTTP statuses.
func (s *server) fail(err error) error {
	var refusal *rollout.Refusal
	var problems plan.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return huma.NewError(map[rollout.RefusalKind]int{
			rollout.Barred: http.StatusConflict, rollout.Stale: http.StatusConflict,
			rollout.Forbidden: http.StatusForbidden, rollout.Missing: http.StatusUnprocessableEntity,
		}[refusal.Kind], refusal.Why, details(err)...)
	case errors.As(err, &problems):
		return huma.NewError(http.StatusUnprocessableEntity, "the plan has errors: mend them and send it again", details(err)...)
	case errors.Is(err, store.ErrNotFound):
		return huma.NewError(http.StatusNotFound, err.Error())
	case errors.Is(err, alert.ErrNotFiring):
		return huma.NewError(http.StatusConflict, err.Error())
	case errors.Is(err, store.ErrConflict):
		return huma.NewError(http.StatusConflict, err.Error()+": read it again and repeat the change on what is there now")
	case errors.Is(err, store.ErrFull):
		return huma.NewError(http.StatusInsufficientStorage, "the disk of the data directory is full: nothing was changed; make room and try again")
	case errors.Is(err, store.ErrReadOnly):
		return huma.NewError(http.StatusInsufficientStorage, "the data directory of the server can only be read: nothing was changed; make it writable and try again")
	case errors.Is(err, store.ErrDamaged):
		return huma.NewError(http.StatusInsufficientStorage, "the database of the server is damaged: nothing was changed; restore a backup")
	case errors.Is(err, auth.ErrInvalid), errors.Is(err, evidence.ErrName), errors.Is(err, evidence.ErrStatus), errors.Is(err, symbolicate.ErrUpload), errors.Is(err, alert.ErrInvalid), errors.Is(err, oncall.ErrInvalid):
		return huma.NewError(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, auth.ErrForbidden):
		return huma.NewError(http.StatusForbidden, err.Error())
	case errors.Is(err, alerting.ErrStore), errors.Is(err, response.ErrStore), errors.Is(err, reporting.ErrStore), errors.Is(err, controller.ErrStopped), errors.Is(err, evidence.ErrUnavailable), errors.Is(err, evidence.ErrOverload):
		return huma.NewError(http.StatusServiceUnavailable, err.Error())
	}
	s.Logger.Error("operator API", "err", err)
	return huma.NewError(http.StatusInternalServerError, "serin could not do this: its log says why")
}

// details are the lines of a plan that an error is about, none for any other.
func details(err error) []error {
	var problems plan.Problems
	errors.As(err, &problems)
	out := make([]error, len(problems))
	for i, p := range problems {
		out[i] = &huma.ErrorDetail{Message: p.String(), Location: fmt.Sprintf("line %d", p.Line)}
	}
	return out
}

// problem writes a problem document outside of huma.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail}) // the client has gone
}
