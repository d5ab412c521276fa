package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/store"
)

// Access is who may sign in and with what: *auth.Auth. It checks on every call
// what by may do, so that a page that forgot to ask changes nothing.
type Access interface {
	IngestKeys(ctx context.Context, by auth.Principal) ([]store.Token, error)
	// Projects lists those that by is in.
	Projects(ctx context.Context, by auth.Principal) ([]store.Project, error)
	CreateProject(ctx context.Context, by auth.Principal, name string) (store.Project, error)
	RenameProject(ctx context.Context, by auth.Principal, id, name string) (store.Project, error)
	Tokens(ctx context.Context, by auth.Principal) ([]store.Token, error)
	CreateToken(ctx context.Context, by auth.Principal, n auth.NewToken) (secret string, t store.Token, err error)
	RevokeToken(ctx context.Context, by auth.Principal, id, reason string) error
	People(ctx context.Context, by auth.Principal) ([]store.Person, error)
	Account(ctx context.Context, by auth.Principal, name string) (store.Person, error)
	PutPerson(ctx context.Context, by auth.Principal, p store.Person) error
	DeletePerson(ctx context.Context, by auth.Principal, name, reason string) error
	SetPassword(ctx context.Context, by auth.Principal, name, old, password string) error
	SignInLink(ctx context.Context, by auth.Principal, name string) (secret string, err error)
	Sessions(ctx context.Context, by auth.Principal, person string) ([]auth.OpenSession, error)
	EndSession(ctx context.Context, by auth.Principal, id string) error
	// Slack: who one is there.
	SlackCode(ctx context.Context, by auth.Principal, name string) (code string, err error)
	SlackLinks(ctx context.Context, by auth.Principal, name string) ([]store.SlackLink, error)
	UnlinkSlack(ctx context.Context, by auth.Principal, u auth.SlackUser) error
}

// Outbox is what was told to people.
type Outbox interface {
	Notices(ctx context.Context, rollout string, limit int) ([]store.Outgoing, error)
}

// settingsRoutes adds the settings pages, where there is an Access.
func (s *server) settingsRoutes(mux *http.ServeMux) {
	if s.Access == nil {
		return
	}
	form := func(next http.HandlerFunc) http.HandlerFunc { return s.signedIn(s.secretly(next)) }
	mux.HandleFunc("GET /settings", s.signedIn(s.settings))
	mux.HandleFunc("GET /settings/me", s.signedIn(s.me))
	mux.HandleFunc("GET /settings/storage", s.signedIn(s.storage))
	mux.HandleFunc("POST /settings/me/password", form(s.ownPassword))
	mux.HandleFunc("POST /settings/sessions/{id}/end", form(s.endSession))
	mux.HandleFunc("POST /settings/me/slack", form(s.slackCode))
	mux.HandleFunc("POST /settings/me/slack/unlink", form(s.slackUnlink))
	mux.HandleFunc("POST /settings/tokens", form(s.createToken))
	mux.HandleFunc("POST /settings/projects", form(s.createProject))
	mux.HandleFunc("POST /settings/projects/{project}", form(s.renameProject))
	mux.HandleFunc("GET /settings/tokens/{id}", s.signedIn(s.revokePage))
	mux.HandleFunc("POST /settings/tokens/{id}/revoke", form(s.revoke))
	if s.Options.Channels != nil {
		mux.HandleFunc("POST /settings/channels/test", form(s.testChannel))
		mux.HandleFunc("POST /settings/channels/retry", form(s.retryChannel))
	}
	if s.Forgetter != nil {
		mux.HandleFunc("GET /settings/forget", s.signedIn(s.forgetPage))
		mux.HandleFunc("POST /settings/forget", form(s.forget))
	}
	s.onCallRoutes(mux, form)
	mux.HandleFunc("GET /settings/people", s.signedIn(s.people))
	mux.HandleFunc("POST /settings/people", form(s.createPerson))
	mux.HandleFunc("GET /settings/people/{name}", s.signedIn(s.person))
	mux.HandleFunc("POST /settings/people/{name}", form(s.changePerson))
	mux.HandleFunc("POST /settings/people/{name}/password", form(s.setPassword))
	mux.HandleFunc("POST /settings/people/{name}/link", form(s.signInLink))
	mux.HandleFunc("POST /settings/people/{name}/remove", form(s.removePerson))
}

// secretly checks a form's CSRF token; answers to these forms may hold a
// secret and are kept by nobody.
func (s *server) secretly(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if s.checkCSRF(w, r) {
			next(w, r)
		}
	}
}

// settingsPage is the frame of every settings page.
func settingsPage(title, crumb string, body any) page {
	p := page{Title: title, Section: "settings", Body: body}
	if crumb != "" {
		p.Crumb = crumb
	}
	return p
}

// by is who asks, as package auth knows them.
func by(r *http.Request) auth.Principal { return visitOf(r.Context()).Person.Principal }

// settingsBody is the page about data that comes in, keys and channels.
type settingsBody struct {
	Nav      settingsNav
	DSNs     []dsnRow
	OFREP    string
	Beacon   string
	URL      string
	Channels []channelRow
	Sources  []sourceRow
	Forwards []forwardRow
	MayTest  bool
	Tested   *channelTestView // nil = no test was made
	Typed    string           // the address that was tested
	Admin    bool
	Forget   bool // a user's data can be deleted here
	Tokens   []tokenRow
	Projects []projectRow
	Project  projectForm // what was wrong with a form for a project
	Form     tokenForm
	Error    string
	Done     string
}

// settingsNav is which page of the settings this is.
type settingsNav struct {
	On    string // "send", "oncall", "people", "storage", "me"
	Admin bool
}

type dsnRow struct{ Name, Environment, Origins, DSN string }

// settings shows where to send data; to an admin also keys and tokens.
func (s *server) settings(w http.ResponseWriter, r *http.Request) {
	s.showSettings(w, r, http.StatusOK, tokenForm{Kind: auth.KindFlags}, "")
}

func (s *server) showSettings(w http.ResponseWriter, r *http.Request, status int, f tokenForm, wrong string) {
	s.showSettingsWith(w, r, status, func(b *settingsBody) { b.Form, b.Error = f, wrong })
}

// showSettingsWith shows the page with what a form of it came to.
func (s *server) showSettingsWith(w http.ResponseWriter, r *http.Request, status int, came func(*settingsBody)) {
	who := by(r)
	b := settingsBody{Nav: settingsNav{"send", who.Can(auth.Admin)}, Admin: who.Can(auth.Admin), Forget: s.Forgetter != nil && who.Can(auth.Admin), URL: s.Connect.URL, Form: tokenForm{Kind: auth.KindFlags},
		OFREP: s.Connect.URL + "/ofrep/v1", Done: settingsDone[r.URL.Query().Get("done")]}
	came(&b)
	keys, err := s.Access.IngestKeys(r.Context(), who)
	projects, perr := s.projects(r)
	if err = errors.Join(err, perr); err != nil {
		s.fail(w, r, err)
		return
	}
	b.Projects, b.Form.In = s.projectRows(projects, keys), projects
	for _, k := range keys {
		b.DSNs = append(b.DSNs, dsnRow{k.Name, k.Environment, strings.Join(k.Origins, ", "), dsn(s.Connect.URL, k.Public, k.Project)})
	}
	if len(keys) > 0 {
		b.Beacon = s.Connect.URL + "/api/" + keys[0].Project + "/beacon/?sentry_key=" + keys[0].Public
	}
	b.MayTest = s.Options.Channels != nil && mayTest(who) && who.WholeServer()
	if b.Channels, err = s.channels(r.Context()); err == nil {
		b.Channels, err = s.named(r.Context(), b.Channels, b.MayTest)
	}
	if row, any := s.slackDoor(); any && who.WholeServer() {
		b.Channels = append(b.Channels, row)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	b.Sources, b.Forwards = s.sourceRows(r), s.forwardRows(r)
	if b.Admin {
		tokens, err := s.Access.Tokens(r.Context(), who)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		for _, t := range tokens {
			b.Tokens = append(b.Tokens, s.tokenRowOf(t))
		}
	}
	s.render(w, r, status, "settings", settingsPage("Settings", "", b))
}

// settingsDone are the sentences that a page says once after a form.
var settingsDone = map[string]string{
	"revoked":  "The key or token was revoked. It works no more.",
	"person":   "Saved. It counts at once, also for open sessions.",
	"removed":  "The account was removed, with its sessions and tokens.",
	"password": "The new password is set; all sessions of the account have ended.",
	"session":  "The session was ended.",
	"slack":    "That user of Slack is nobody here any more.",
	"project":  "The project is kept.",
}

// dsn is the address that Sentry SDKs send to: scheme://key@host/project.
func dsn(base, key, project string) string {
	scheme, rest, _ := strings.Cut(base, "://")
	return scheme + "://" + key + "@" + rest + "/" + project
}

// channelRow is a way to tell people, and how it went last.
type channelRow struct {
	Address, Note, Icon string
	Health              string // how deliveries go, "" = nothing is known
	Dead                int64  // notices that were given up, where who looks may send them again
	Test                bool   // it can be tested by who looks
	Pill                pill
	At                  stamp
}

// noticesRead is how many of the newest notices tell a channel's health.
const noticesRead = 500

// channels lists where notices can go, with the outcome of the newest one to each.
func (s *server) channels(ctx context.Context) ([]channelRow, error) {
	if s.Outbox == nil || s.Reach == nil {
		return nil, nil
	}
	notices, err := s.Outbox.Notices(ctx, "", noticesRead)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	newest := map[string]store.Outgoing{}
	var used []string
	for _, n := range notices { // newest first
		if !s.seesNotice(ctx, n) {
			continue
		}
		if _, known := newest[n.Address]; !known && n.Address != "dashboard" {
			newest[n.Address] = n
			used = append(used, n.Address)
		}
	}
	slices.Sort(used)
	var out []channelRow
	for _, address := range s.Reach() {
		scheme, isScheme := strings.CutSuffix(address, ":")
		_, told := newest[address]
		if told || isScheme && slices.ContainsFunc(used, func(u string) bool { return strings.HasPrefix(u, address) }) {
			continue
		}
		out = append(out, channelRow{Address: orElse(scheme, address), Icon: "chat", Note: "connected; no notice was sent yet", Pill: pill{Class: "", Icon: "wait", Word: "Not used yet"}})
	}
	for _, address := range used {
		out = append(out, s.channelRowOf(address, newest[address]))
	}
	slices.SortStableFunc(out, func(a, b channelRow) int { return cmp.Compare(a.Address, b.Address) })
	return out, nil
}

// seesNotice reports whether who asks is in the project of a notice's rollout.
func (s *server) seesNotice(ctx context.Context, n store.Outgoing) bool {
	p := PersonOf(ctx).Principal
	return p.WholeServer() || p.InProject(s.Rollouts.TargetProject(ctx, "rollout "+n.Rollout))
}

func (s *server) channelRowOf(address string, n store.Outgoing) channelRow {
	row := channelRow{Address: address, Icon: "chat", Note: "last: " + clip(n.Title, 90)}
	now := s.Now()
	switch {
	case !n.Delivered.IsZero():
		row.Pill, row.At = pill{Class: "pass", Icon: "pass", Word: "Delivered"}, at(n.Delivered, now)
	case n.Dead:
		row.Pill, row.At = pill{Class: "fail", Icon: "fail", Word: "Given up, " + plural(int64(n.Tries), "attempt")}, at(n.At, now)
		row.Note = clip(n.Error, 160)
	case n.Tries > 0:
		row.Pill, row.At = pill{Class: "warn", Icon: "warn", Word: "Failing, " + plural(int64(n.Tries), "attempt")}, at(n.Next, now)
		row.Note = clip(n.Error, 160)
	default:
		row.Pill, row.At = pill{Class: "hold", Icon: "wait", Word: "Under way"}, at(n.At, now)
	}
	return row
}

// accessError answers an error of Access that no form can show; false means
// that it was none of them and the caller shows its form again with the text.
func (s *server) accessError(w http.ResponseWriter, r *http.Request, err error) (wrong string, again bool) {
	var locked *auth.LockedError
	switch {
	case errors.Is(err, auth.ErrForbidden):
		s.problem(w, r, http.StatusForbidden, "You may not do this", "It needs an admin. Nothing was changed.")
	case errors.Is(err, store.ErrNotFound):
		s.problem(w, r, http.StatusNotFound, "It is not there any more", "Somebody may have removed it meanwhile. Nothing was changed.")
	case errors.Is(err, auth.ErrInvalid):
		return upper(strings.TrimPrefix(err.Error(), auth.ErrInvalid.Error()+": ")) + ".", true
	case errors.Is(err, store.ErrConflict):
		return "Somebody changed it at the same moment. Look at what is there now and repeat it.", true
	case errors.As(err, &locked):
		return fmt.Sprintf("Too many wrong tries. Try again in %s.", duration(locked.After.Round(time.Second))), true
	case errors.Is(err, auth.ErrUnauthenticated):
		return "The present password is not right.", true
	default:
		s.fail(w, r, err)
	}
	return "", false
}

// admins lets only admins go on.
func (s *server) admins(w http.ResponseWriter, r *http.Request) bool {
	if by(r).Can(auth.Admin) {
		return true
	}
	s.problem(w, r, http.StatusForbidden, "This page is for admins", "Your own account and sessions are under Settings, Your account.")
	return false
}
