// Package web is the dashboard: pages rendered on the server from the same
// view structs that the JSON API serves, made live by small ES modules.
//
// New returns one handler for
//
//	/                              every rollout, or the first steps when there is none
//	/welcome?user=&flag=           the first steps and which are done; one user followed from the flag to the rules
//	/rollouts/{id}?range=24h       one rollout: stages, charts, gates, actions
//	/rollouts/{id}/checklist       what must be done before traffic rises, and who did it
//	/rollouts/{id}/panels          what the plan's queries and targets say
//	/rollouts/{id}/runbook         who does what and when
//	/rollouts/{id}/emergency       what to do when serin itself is down; emergency.md is the same as a file
//	/rollouts/{id}/plan            the text of its plan, its lint and its calendar
//	/rollouts/{id}/journal         its journal and the notices that were sent
//	/rollouts/{id}/explain?at=     why a decision came out as it did; without at: now
//	/rollouts/{id}/cleanup         what is left in the code, and the point of no return
//	/rollouts/{id}/report          whether it succeeded, on which numbers, and where the time went
//	/rollouts/{id}/report.{form}   the same as a file: md, html or json
//	/rollouts/{id}/{verb}          confirm page (GET) and the action itself (POST)
//	/rollouts/{id}/series/{metric} chart data as columns
//	/plans                         every stored plan, what lint says and its rollouts
//	/plans/{plan}?version=         a version: its text with lint, calendar, defaults; POST …/rollouts makes a rollout
//	/plans/{plan}/backtest         POST runs a version over what was recorded of a rollout
//	/plans/{plan}/baseline         how much of it was measured and imported; POST imports
//	/plans/{plan}/diff?from=&to=   two versions compared, or (POST) a draft; POST /rollouts/{id}/revise puts it in force
//	/issues?q=&sort=               groups of errors, by a search in Sentry's syntax
//	/issues/{id}?event=&frames=    one issue: stack, what came before, canary against control; POST decides about it
//	/alerts                        alert rules and where they stand
//	/alerts/{id}                   one: why, groups, back-test, history; POST …/ack, silence, unsilence
//	/incidents?state=              incidents: open ones first, clocks met and missed
//	/incidents/new?rollout=        what has happened; POST /incidents opens one
//	/incidents/{id}                one: clocks, decision tree, timeline; POST …/{do} acts, GET …/decide?do= asks first
//	/standup, /standup/{day}       the daily stand-up: numbers, what is to be decided; POST /standup/{rollout} records the word
//	/rollouts/{id}/reviews         what the last hours brought
//	/audit?who=&target=&limit=     who changed what
//	/settings                      where to send data, keys and tokens, channels
//	/settings/oncall               who is on call, open pages, one's own addresses
//	/settings/people, /settings/me accounts and sessions; one's own
//	/settings/storage              what the data takes, how long it is kept, what is wrong with the server
//	/login, /logout                sign in with a token, sign out
//	/static/{hash}/…               files, immutable: the hash covers all of them
//
// Every page reads in full without JavaScript and every action is a plain
// form. No GET changes anything. With JavaScript a page listens to
// /api/v1/stream, which carries facts and never HTML; on a newer version it
// fetches "<same URL>?fragment=page" and morphs that element, whose bytes are
// those of the full page.
//
// All pages carry a Content-Security-Policy that allows this origin's files
// only; there is no inline script and no style attribute. A POST needs a
// same-origin request and the session's CSRF token. Commands that raise
// traffic carry the version the person saw and are answered 409 with what
// changed if it is not the newest; commands that lower traffic carry none.
package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/health"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/upkeep"
)

// CookieName is the name of the session cookie. The API accepts the same one.
const CookieName = "serin_session"

// StreamURL is where pages listen for facts.
const StreamURL = "/api/v1/stream"

// Rollouts is what the pages show and change. Unknown ids answer an error
// for which errors.Is(err, store.ErrNotFound) holds.
type Rollouts interface {
	Plans
	Views(ctx context.Context) ([]controller.View, error)
	View(ctx context.Context, id string) (controller.View, error)
	// Timeline returns the newest entries, at most limit, in any order.
	Timeline(ctx context.Context, id string, limit int) ([]controller.Entry, error)
	// Series returns a metric over (from, to], at most points points a column.
	Series(ctx context.Context, id, metric string, from, to time.Time, points int) (controller.Series, error)
	// Do carries out a command; a *rollout.Refusal says why it was not done.
	Do(ctx context.Context, id string, c rollout.Command) (controller.Result, error)
	Notices(ctx context.Context, id string, limit int) ([]store.Outgoing, error)
	PlanSource(ctx context.Context, id string) ([]byte, error)
	// Runbook, Emergency and Calendar answer a *rollout.Refusal where the plan cannot be read.
	Runbook(ctx context.Context, id string) (controller.Runbook, error)
	Emergency(ctx context.Context, id string) (controller.Emergency, error)
	Calendar(ctx context.Context, id string) (controller.Calendar, error)
	// ExplainAt says why a decision came out as it did; at is a position of
	// the journal, a time in RFC 3339, or "" for now. A *rollout.Refusal says
	// that it is none of them or that the plan cannot be read.
	ExplainAt(ctx context.Context, id, at string) (controller.Explanation, error)
	// Report says what became of a rollout; it answers a *rollout.Refusal
	// where a plan that it needs cannot be read.
	Report(ctx context.Context, id string) (controller.Report, error)
	// TargetProject is the project of what an audit entry is about, such as
	// "rollout demo-1"; "" for what is the server's or is not there.
	TargetProject(ctx context.Context, target string) string
	// Audit returns entries of the audit log, newest first.
	Audit(ctx context.Context, q controller.AuditQuery) ([]store.AuditEntry, error)
}

// Sessions knows who is asking.
type Sessions interface {
	// Session returns the person behind a cookie's value; an error means
	// nobody is signed in.
	Session(ctx context.Context, cookie string) (Person, error)
	// SignIn trades a token for a session. An error for which
	// errors.Is(err, ErrBadToken) holds is the person's mistake.
	SignIn(ctx context.Context, token string) (cookie string, p Person, err error)
	// SignInPassword opens a session by name and password. Errors are
	// ErrBadToken, *SlowDownError after many wrong tries, or others.
	SignInPassword(ctx context.Context, name, password string) (cookie string, p Person, err error)
	SignOut(ctx context.Context, cookie string) error
	// CSRF returns the token that forms of this session carry.
	CSRF(cookie string) string
	CheckCSRF(cookie, token string) bool
}

// ErrBadToken is returned by Sessions.SignIn for a token that is unknown or expired.
var ErrBadToken = errors.New("this token is not known or has expired")

// SlowDownError says that wrong sign-ins have been too many.
type SlowDownError struct{ After time.Duration }

func (e *SlowDownError) Error() string { return "too many wrong tries" }

// IdentityProvider signs people in elsewhere.
type IdentityProvider interface {
	// Name is what people call it: "Acme SSO".
	Name() string
	// Begin redirects to the provider; an error means that nothing was written.
	Begin(w http.ResponseWriter, r *http.Request, next string) error
	// Finish opens a session for whom the provider sent back. A
	// *RefusedError says why somebody may not come in.
	Finish(w http.ResponseWriter, r *http.Request) (cookie string, p Person, next string, err error)
}

// RefusedError is why an identity is not let in, a sentence for the person.
type RefusedError struct{ Why string }

func (e *RefusedError) Error() string { return e.Why }

// Person is somebody who is signed in.
type Person struct {
	Name   string
	Role   string   // plan role the person acts in; "" = operator
	May    []string // what that role may do: start, approve, promote, override, …; nil = not known, Do decides
	Scopes []string // read, operate, approve, admin
	// Handles are the names that plans know the person by.
	Handles []string
	// Principal is the person as package auth knows them, for the settings pages.
	Principal auth.Principal
}

// ConnectInfo is what the first-run page tells a newcomer to type.
type ConnectInfo struct {
	URL string // of this server, "http://localhost:8750"
	// Dashboard is where people reach these pages; "" = URL.
	Dashboard string
	DSN       string // for Sentry SDKs
	FlagKey   string // for OpenFeature SDKs
	Project   string // shown in the sidebar, "" = "serin"
	Environ   string // environment's name, "" = "production"
}

// Options is everything New needs. Rollouts and Sessions are required.
type Options struct {
	Rollouts Rollouts
	Sessions Sessions
	Now      func() time.Time // nil = time.Now
	Logger   *slog.Logger     // nil = discard
	Version  string
	Connect  ConnectInfo
	Provider IdentityProvider // nil = local accounts and links only
	Issues   Issues           // nil = no pages about errors
	Alerts   Alerts           // nil = no pages about alerts
	// Incidents are shown and worked on; nil = no pages about incidents.
	Incidents Incidents
	Standups  Standups       // nil = no pages about stand-ups and reviews
	Panels    Panels         // nil = the panels page says that it is not available
	Access    Access         // nil = no settings pages
	Arrived   func() Arrived // what apps sent, for the first-run page; nil = not known
	// Doctor follows one user of one flag, for the first-run page; nil = it cannot.
	Doctor   func(ctx context.Context, flag, user string) (Diagnosis, error)
	Outbox   Outbox          // for the health of channels; nil = not shown
	Reach    func() []string // where notices can be delivered; nil = not shown
	Channels Channels        // nil = no test of channels
	// Slack says how buttons and /serin arrive; nil = there is no such door.
	Slack      func() SlackDoor
	OnCall     OnCall     // nil = the page about rotas says that it is not available
	Sources    Sources    // what is asked for measurements; nil = not shown
	Forwarding Forwarding // what passes telemetry on; nil = not shown
	// Forgetter deletes a user's data; nil = no form for it.
	Forgetter Forgetter
	// Storage measures the store; nil = not shown.
	Storage func(ctx context.Context) (upkeep.Report, error)
	// Health says what is wrong with the server; nil = not shown.
	Health func(ctx context.Context) health.Report
	// PlainHTTP leaves Secure off the session cookie, for servers that are
	// reached without TLS under a name other than localhost.
	PlainHTTP bool
}

// server carries the parts that handlers share. It is immutable after New.
type server struct {
	Options
	static *staticFiles
	pages  *templates
	cross  *http.CrossOriginProtection
	played played
}

// New parses the templates and returns the dashboard's handler, which may be
// used by many goroutines.
func New(o Options) (http.Handler, error) {
	if o.Rollouts == nil || o.Sessions == nil {
		return nil, errors.New("web: Options.Rollouts and Options.Sessions are required")
	}
	static, err := newStaticFiles()
	if err != nil {
		return nil, err
	}
	pages, err := newTemplates()
	if err != nil {
		return nil, err
	}
	return newServer(o, static, pages).routes(), nil
}

func newServer(o Options, static *staticFiles, pages *templates) *server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Rollouts = ownLists{o.Rollouts, o.Alerts, o.Incidents}
	return &server{Options: o, static: static, pages: pages, cross: http.NewCrossOriginProtection()}
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", s.static)
	mux.HandleFunc("GET /login", s.loginPage)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /login/provider", s.toProvider)
	mux.HandleFunc("GET /login/callback", s.fromProvider)
	mux.HandleFunc("POST /logout", s.signedIn(s.logout))
	mux.HandleFunc("GET /{$}", s.signedIn(s.overview))
	mux.HandleFunc("GET /welcome", s.signedIn(s.welcome))
	if s.Issues != nil {
		mux.HandleFunc("GET /issues", s.signedIn(s.errors))
		mux.HandleFunc("GET /issues/{id}", s.signedIn(s.issue))
		mux.HandleFunc("POST /issues/{id}", s.signedIn(s.triage))
	}
	if s.Options.Alerts != nil {
		mux.HandleFunc("GET /alerts", s.signedIn(s.alerts))
		mux.HandleFunc("GET /alerts/{id}", s.signedIn(s.alert))
		mux.HandleFunc("POST /alerts/{id}/{do}", s.signedIn(s.actOnAlert))
	}
	if s.Options.Incidents != nil {
		mux.HandleFunc("GET /incidents", s.signedIn(s.incidents))
		mux.HandleFunc("GET /incidents/new", s.signedIn(s.openIncidentPage))
		mux.HandleFunc("POST /incidents", s.signedIn(s.openIncident))
		mux.HandleFunc("GET /incidents/{id}", s.signedIn(s.incident))
		mux.HandleFunc("GET /incidents/{id}/decide", s.signedIn(s.decidePage))
		mux.HandleFunc("POST /incidents/{id}/{do}", s.signedIn(s.actOnIncident))
	}
	if s.Standups != nil {
		mux.HandleFunc("GET /standup", s.signedIn(s.standup))
		mux.HandleFunc("GET /standup/{day}", s.signedIn(s.standup))
		mux.HandleFunc("POST /standup/{id}", s.signedIn(s.decideStandup))
		mux.HandleFunc("GET /rollouts/{id}/reviews", s.signedIn(s.reviews))
	}
	mux.HandleFunc("GET /audit", s.signedIn(s.audit))
	mux.HandleFunc("GET /rollouts", s.signedIn(s.toOverview))
	mux.HandleFunc("GET /rollouts/{id}", s.signedIn(s.rollout))
	mux.HandleFunc("GET /rollouts/{id}/plan", s.signedIn(s.planText))
	mux.HandleFunc("GET /rollouts/{id}/runbook", s.signedIn(s.runbook))
	mux.HandleFunc("GET /rollouts/{id}/panels", s.signedIn(s.panelsPage))
	mux.HandleFunc("GET /rollouts/{id}/panels/{n}", s.signedIn(s.panelSeries))
	mux.HandleFunc("GET /rollouts/{id}/emergency", s.signedIn(s.emergency))
	mux.HandleFunc("GET /rollouts/{id}/emergency.md", s.signedIn(s.emergencyFile))
	mux.HandleFunc("GET /rollouts/{id}/journal", s.signedIn(s.journal))
	mux.HandleFunc("GET /rollouts/{id}/checklist", s.signedIn(s.checklist))
	mux.HandleFunc("GET /rollouts/{id}/cleanup", s.signedIn(s.cleanup))
	mux.HandleFunc("GET /rollouts/{id}/explain", s.signedIn(s.explain))
	mux.HandleFunc("GET /rollouts/{id}/report", s.signedIn(s.report))
	for form := range reportForms {
		mux.HandleFunc("GET /rollouts/{id}/report."+form, s.signedIn(s.reportFile(form)))
	}
	mux.HandleFunc("GET /rollouts/{id}/series/{metric}", s.signedIn(s.series))
	mux.HandleFunc("GET /rollouts/{id}/{verb}", s.signedIn(s.confirm))
	mux.HandleFunc("POST /rollouts/{id}/{verb}", s.signedIn(s.act))
	mux.HandleFunc("POST /rollouts/{id}/revise", s.signedIn(s.revise))
	mux.HandleFunc("GET /plans", s.signedIn(s.plans))
	mux.HandleFunc("GET /plans/{plan}", s.signedIn(s.plan))
	mux.HandleFunc("POST /plans/{plan}/rollouts", s.signedIn(s.createRollout))
	mux.HandleFunc("POST /plans/{plan}/simulate", s.signedIn(s.simulate))
	mux.HandleFunc("POST /plans/{plan}/backtest", s.signedIn(s.backtest))
	mux.HandleFunc("GET /plans/{plan}/baseline", s.signedIn(s.baseline))
	mux.HandleFunc("POST /plans/{plan}/baseline", s.signedIn(s.importBaseline))
	mux.HandleFunc("GET /plans/{plan}/diff", s.signedIn(s.diff))
	mux.HandleFunc("POST /plans/{plan}/diff", s.signedIn(s.compareDraft))
	s.settingsRoutes(mux)
	mux.HandleFunc("/", s.signedIn(s.missing))
	return s.guard(mux)
}

// policy is the Content-Security-Policy of every answer.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; " +
	"img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxFormBytes bounds a posted form.
const maxFormBytes = 64 << 10

// guard sets the headers of every answer, refuses requests of other origins
// that are no plain reads, and turns a panic into the 500 page.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "private, no-cache")
		h.Set("X-Serin-Now", s.Now().UTC().Format(time.RFC3339Nano)) // pages count down by it
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				s.Logger.Error("page failed", "path", r.URL.Path, "panic", p)
				s.fail(w, r, errors.New("internal error"))
			}
		}()
		if err := s.cross.Check(r); err != nil {
			s.problem(w, r, http.StatusForbidden, "This form came from another site",
				"For your safety serin only accepts forms of its own pages. Open the page here and try again.")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, formLimit(r))
		next.ServeHTTP(w, r)
	})
}
