package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/store"
)

// tokenRow is a key or token as people see it, without what is secret.
type tokenRow struct {
	ID, Name, Kind, May, Key, Note string
	Ended                          bool
	Created, Expires, Used         stamp
	URL                            string
}

// kindMay says what a kind of key is for.
var kindMay = map[string]string{
	auth.KindIngest: "sends telemetry", auth.KindFlags: "publishable: reads flags marked for clients",
	auth.KindHook:        "tells of another system's alerts",
	auth.KindFlagsServer: "reads all flags of its project", auth.KindSignIn: "signs in once",
}

func (s *server) tokenRowOf(t store.Token) tokenRow {
	now := s.Now()
	row := tokenRow{ID: t.ID, Name: t.Name, Kind: t.Kind, May: kindMay[t.Kind], Key: t.Public, Created: at(t.CreatedAt, now), Expires: at(t.ExpiresAt, now), Used: at(t.LastUsed, now),
		URL: "/settings/tokens/" + url.PathEscape(t.ID), Ended: !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)}
	if t.Kind == auth.KindOperator {
		row.May = strings.Join(t.Scopes, ", ")
		if t.Role != "" {
			row.May += ", as " + t.Role
		}
	}
	if t.Kind == auth.KindIngest && t.Public != "" {
		row.May = "publishable: sends telemetry"
	}
	for _, part := range []struct{ word, value string }{{"for ", t.Person}, {"project ", t.Project}, {"projects ", strings.Join(t.Projects, ", ")}, {"", t.Environment}, {"pages of ", strings.Join(t.Origins, ", ")}, {"tells ", strings.Join(t.Notify, ", ")}} {
		if part.value == "" {
			continue
		}
		if row.Note != "" {
			row.Note += ", "
		}
		row.Note += part.word + part.value
	}
	return row
}

// tokenForm is what was typed into the form for a key or token.
type tokenForm struct {
	Name, Kind, Scope, Role, Project, Environment, Origins, Notify, Days string

	client string // secret of Sentry's integration; it is not shown again

	In []store.Project // to choose from
}

// Projects lists what a key or token can be for; nothing where there is one
// project only. "" is every project for tokens and the first for keys.
func (f tokenForm) Projects() []option {
	if len(f.In) < 2 {
		return nil
	}
	ids, names := []string{""}, map[string]string{"": "All of yours; a key: project 1"}
	for _, p := range f.In {
		ids, names[p.ID] = append(ids, p.ID), p.Name+", "+p.ID
	}
	return options(ids, f.Project, func(id string) string { return names[id] })
}

// The kinds, scopes and lives that the form offers; what is not offered here
// is refused.
var (
	formKinds  = []string{auth.KindFlags, auth.KindIngest, auth.KindFlagsServer, auth.KindHook, auth.KindOperator}
	formScopes = []string{string(auth.Read), string(auth.Operate), string(auth.Approve), string(auth.Admin)}
	formDays   = []string{"30", "90", "365", "0"}
)

// Kinds lists the form's kinds with their words.
func (f tokenForm) Kinds() []option {
	words := map[string]string{auth.KindFlags: "Publishable key for flags, in pages and apps", auth.KindIngest: "Publishable key for telemetry (DSN), in pages and apps",
		auth.KindFlagsServer: "Server key for flags, secret", auth.KindHook: "Hook for alerts of Alertmanager or Sentry, secret", auth.KindOperator: "Operator token for API and command line, secret"}
	return options(formKinds, f.Kind, func(k string) string { return words[k] })
}

// Scopes lists what an operator token may do.
func (f tokenForm) Scopes() []option {
	words := map[string]string{"read": "read", "operate": "operate: create, lower, pause, complete", "approve": "approve: promote, approve, accept, revise", "admin": "admin: people, keys, everything"}
	return options(formScopes, f.Scope, func(k string) string { return words[k] })
}

// Lives lists how long it may live.
func (f tokenForm) Lives() []option {
	words := map[string]string{"30": "30 days", "90": "90 days", "365": "one year", "0": "until revoked"}
	return options(formDays, f.Days, func(k string) string { return words[k] })
}

func options(values []string, chosen string, word func(string) string) []option {
	out := make([]option, len(values))
	for i, v := range values {
		out[i] = option{v, word(v), v == chosen}
	}
	return out
}

// words splits a field at commas and blanks.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' || r == '\r' })
}

func readTokenForm(r *http.Request) tokenForm {
	f := tokenForm{}
	for name, to := range map[string]*string{"name": &f.Name, "kind": &f.Kind, "scope": &f.Scope, "role": &f.Role, "project": &f.Project, "environment": &f.Environment, "origins": &f.Origins, "notify": &f.Notify, "client": &f.client, "days": &f.Days} {
		*to = strings.TrimSpace(r.FormValue(name))
	}
	return f
}

// token is what the form asks for; why is empty if it can be made.
func (f tokenForm) token() (n auth.NewToken, why string) {
	days, err := strconv.Atoi(orElse(f.Days, "0"))
	switch {
	case !slices.Contains(formKinds, f.Kind):
		return n, "Choose what it is for."
	case f.Kind == auth.KindOperator && !slices.Contains(formScopes, f.Scope):
		return n, "Choose what the token may do."
	case err != nil || !slices.Contains(formDays, orElse(f.Days, "0")):
		return n, "Choose how long it lives."
	case f.Name == "" || len(f.Name) > 100:
		return n, "Give it a name of at most 100 characters that says what it is for."
	}
	const day = 24 * time.Hour
	n = auth.NewToken{Name: f.Name, Kind: f.Kind, TTL: time.Duration(days) * day}
	switch f.Kind {
	case auth.KindOperator:
		n.Scopes, n.Role = []string{f.Scope}, f.Role
		if f.Project != "" {
			n.Projects = []string{f.Project}
		}
	case auth.KindHook:
		n.Project, n.Notify, n.ClientSecret = f.Project, words(f.Notify), f.client
	default:
		n.Project, n.Environment, n.Origins = f.Project, f.Environment, words(f.Origins)
	}
	return n, ""
}

// secretBody is the answer page with a secret, the only one that ever shows it.
type secretBody struct {
	Nav                             settingsNav
	Head, Label, Secret, Text, Back string
	Lines                           []string
}

func (s *server) createToken(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	f := readTokenForm(r)
	n, wrong := f.token()
	if wrong != "" {
		s.showSettings(w, r, http.StatusUnprocessableEntity, f, wrong)
		return
	}
	secret, t, err := s.Access.CreateToken(r.Context(), by(r), n)
	if err != nil {
		if wrong, again := s.accessError(w, r, err); again {
			s.showSettings(w, r, http.StatusUnprocessableEntity, f, wrong)
		}
		return
	}
	b := secretBody{Nav: settingsNav{"send", true}, Head: "“" + t.Name + "” is made", Label: "Secret", Secret: secret, Back: "/settings#tokens",
		Text: "Copy it now: serin keeps only its hash, and no page shows it again."}
	if t.Public != "" {
		b.Label, b.Text = "Publishable key", "Pages may carry it; the list of keys goes on showing it."
	}
	switch t.Kind {
	case auth.KindIngest:
		b.Lines = []string{dsn(s.Connect.URL, secret, t.Project)}
	case auth.KindOperator:
		b.Lines = []string{"SERIN_TOKEN=… serin rollout list --url " + s.Connect.URL}
	}
	s.render(w, r, http.StatusOK, "secret", settingsPage("Made", "New key", b))
}

// revokeBody asks before a key is revoked.
type revokeBody struct {
	Nav   settingsNav
	Token tokenRow
	Error string
}

func (s *server) revokePage(w http.ResponseWriter, r *http.Request) {
	if s.admins(w, r) {
		s.showRevoke(w, r, http.StatusOK, "")
	}
}

func (s *server) showRevoke(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	tokens, err := s.Access.Tokens(r.Context(), by(r))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	i := slices.IndexFunc(tokens, func(t store.Token) bool { return t.ID == r.PathValue("id") })
	if i < 0 {
		s.problem(w, r, http.StatusNotFound, "There is no such key", "It was revoked already, or the address is misspelt.")
		return
	}
	s.render(w, r, status, "revoke", settingsPage("Revoke "+tokens[i].Name, "Revoke", revokeBody{settingsNav{"send", true}, s.tokenRowOf(tokens[i]), wrong}))
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	if !s.admins(w, r) {
		return
	}
	reason := strings.TrimSpace(r.FormValue("reason"))
	if reason == "" || len(reason) > maxReason {
		s.showRevoke(w, r, http.StatusUnprocessableEntity, "Say why, in at most 1,000 characters: the audit log keeps it.")
		return
	}
	if err := s.Access.RevokeToken(r.Context(), by(r), r.PathValue("id"), reason); err != nil {
		s.accessError(w, r, err)
		return
	}
	http.Redirect(w, r, "/settings?done=revoked#tokens", http.StatusSeeOther)
}

// maxReason bounds a reason for the audit log, in bytes.
const maxReason = 1000
