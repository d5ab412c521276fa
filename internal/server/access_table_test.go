package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"serin/internal/auth"
	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/server"
	"serin/internal/web"
)

// The permission table: who may do what, as data, tried through HTTP. A new
// operation or form without a row fails.

// scope is what a row needs: that of auth, or one of those below.
type scope = auth.Scope

const (
	open2all scope = "open" // no credentials
	anybody  scope = "any"  // whoever is signed in
)

// of is whose a row's thing is.
type of string

const (
	project of = ""       // a project's: where the path names a thing, there is none for people of other projects
	serverS of = "server" // the server's: people of every project alike
	whole   of = "whole"  // the whole server's: nothing for whoever is limited to projects
)

// named are the paths that name a thing of a project.
var named = regexp.MustCompile(`^(/api/v1)?/(rollouts|flags|plans|issues|alerts|incidents|baselines|standup)/\{`)

// operations are those of the OpenAPI document.
var operations = map[string]struct {
	need scope
	of   of
}{
	"get-plan-schema": {open2all, serverS},

	"list-audit": {auth.Read, project}, "list-flags": {auth.Read, project}, "get-flags-env": {auth.Read, project}, "list-stale-flags": {auth.Read, project},
	"get-flag": {auth.Read, project}, "evaluate-flag": {auth.Read, project}, "get-flag-history": {auth.Read, project}, "list-issues": {auth.Read, project},
	"get-issue": {auth.Read, project}, "triage-issue": {auth.Operate, project}, "upload-source-maps": {auth.Operate, project},
	"list-source-maps": {auth.Read, project}, "delete-source-maps": {auth.Operate, project}, "get-baseline": {auth.Read, project}, "list-plans": {auth.Read, project}, "lint-plan": {auth.Read, project}, "show-plan": {auth.Read, project},
	"simulate-plan": {auth.Read, project}, "get-plan-traffic": {auth.Read, project}, "backtest-rollout": {auth.Read, project}, "backtest-plan": {auth.Read, project}, "get-plan": {auth.Read, project}, "diff-plan": {auth.Read, project}, "diff-plan-draft": {auth.Read, project},
	"list-plan-versions": {auth.Read, project}, "list-rollouts": {auth.Read, project}, "get-rollout": {auth.Read, project}, "get-calendar": {auth.Read, project},
	"explain-rollout": {auth.Read, project}, "doctor": {auth.Read, project}, "get-journal": {auth.Read, project}, "get-notices": {auth.Read, project}, "get-rollout-plan": {auth.Read, project},
	"get-report": {auth.Read, project}, "get-runbook": {auth.Read, project}, "get-series": {auth.Read, project}, "get-panels": {auth.Read, project}, "get-timeline": {auth.Read, project},
	"get-telemetry": {auth.Read, whole}, "stream": {auth.Read, project},
	"get-emergency": {auth.Read, project}, "list-channels": {auth.Read, project}, "list-sources": {auth.Read, whole}, "list-forwarding": {auth.Read, whole}, "test-source": {auth.Operate, whole}, "test-channel": {auth.Operate, whole}, "list-notices": {auth.Read, whole}, "retry-notices": {auth.Operate, whole},

	"list-rotas": {auth.Read, project}, "get-rota": {auth.Read, whole}, "export-rota": {auth.Read, whole}, "put-rota": {auth.Operate, whole}, "delete-rota": {auth.Operate, whole},
	"override-rota": {auth.Operate, whole}, "import-rota": {auth.Operate, whole}, "list-pages": {auth.Read, whole}, "ack-page": {auth.Operate, whole},
	"get-contact": {auth.Read, serverS}, "put-contact": {auth.Read, serverS},
	"record-feedback": {auth.Operate, project}, "delete-flag": {auth.Operate, project}, "put-flag": {auth.Operate, project}, "put-plan": {auth.Operate, project},
	"report-release": {auth.Operate, project}, "create-rollout": {auth.Operate, project}, "cancel-rollout": {auth.Operate, project},
	"complete-rollout": {auth.Operate, project}, "confirm-rollout": {auth.Operate, project}, "finish-rollout": {auth.Operate, project},
	"pause-rollout": {auth.Operate, project}, "reduce-rollout": {auth.Operate, project}, "reopen-rollout": {auth.Operate, project},
	"resume-rollout": {auth.Operate, project}, "revert-rollout": {auth.Operate, project}, "rollback-rollout": {auth.Operate, project},
	"start-rollout": {auth.Operate, project}, "confirm-source": {auth.Operate, project}, "push-values": {auth.Operate, project},

	"list-alerts": {auth.Read, project}, "get-alert": {auth.Read, project}, "explain-alert": {auth.Read, project}, "backtest-alert": {auth.Read, project},
	"put-alert": {auth.Operate, project}, "delete-alert": {auth.Operate, project}, "ack-alert": {auth.Operate, project},
	"silence-alert": {auth.Operate, project}, "unsilence-alert": {auth.Operate, project},
	"list-incidents": {auth.Read, project}, "get-incident": {auth.Read, project}, "get-postmortem": {auth.Read, project},
	"open-incident": {auth.Operate, project}, "acknowledge-incident": {auth.Operate, project}, "note-incident": {auth.Operate, project},
	"decide-incident": {auth.Operate, project}, "hand-over-incident": {auth.Operate, project}, "grade-incident": {auth.Operate, project},
	"resolve-incident": {auth.Operate, project}, "reopen-incident": {auth.Operate, project}, "complete-incident-item": {auth.Operate, project},
	"close-incident": {auth.Operate, project}, "write-postmortem": {auth.Operate, project},
	"get-standup": {auth.Read, project}, "list-reviews": {auth.Read, project}, "decide-standup": {auth.Operate, project},

	"accept-rollout": {auth.Approve, project}, "approve-rollout": {auth.Approve, project}, "promote-rollout": {auth.Approve, project},
	"restart-rollout": {auth.Approve, project}, "import-baseline": {auth.Approve, project}, "revise-rollout": {auth.Approve, project},

	"list-projects": {auth.Read, project}, "create-project": {auth.Admin, whole}, "rename-project": {auth.Admin, project},
	"get-storage": {auth.Admin, whole}, "get-me": {auth.Read, serverS}, "make-slack-code": {auth.Read, serverS}, "list-slack-links": {auth.Read, serverS}, "unlink-slack": {auth.Read, serverS},
	"list-sessions": {auth.Read, serverS}, "end-session": {auth.Read, serverS},
	"list-people": {auth.Admin, whole}, "put-person": {auth.Admin, whole}, "delete-person": {auth.Admin, whole}, "set-password": {auth.Admin, whole},
	"list-tokens": {auth.Admin, serverS}, "create-token": {auth.Admin, serverS}, "revoke-token": {auth.Admin, serverS}, "forget-subject": {auth.Admin, project},
}

// forms are the POST routes of the pages, with an address to try: {id} is a
// rollout in preflight.
var forms = map[string]struct {
	need scope
	of   of
	path string
	form url.Values
}{
	"/login":                           {need: open2all},
	"/logout":                          {need: anybody, of: serverS, path: "/logout"},
	"/rollouts/{id}/{verb}":            {need: auth.Operate, path: "/rollouts/{id}/start"},
	"/rollouts/{id}/revise":            {need: auth.Approve, path: "/rollouts/{id}/revise"},
	"/plans/{plan}/rollouts":           {need: auth.Operate, path: "/plans/checkout/rollouts"},
	"/plans/{plan}/baseline":           {need: auth.Approve, path: "/plans/checkout/baseline"},
	"/plans/{plan}/backtest":           {need: auth.Read, path: "/plans/checkout/backtest"},
	"/plans/{plan}/simulate":           {need: auth.Read, path: "/plans/checkout/simulate"},
	"/plans/{plan}/diff":               {need: auth.Read, path: "/plans/checkout/diff?from=1&to=draft"},
	"/issues/{id}":                     {need: auth.Operate, path: "/issues/SERIN-1", form: url.Values{"do": {"review"}}},
	"/standup/{id}":                    {need: auth.Operate, path: "/standup/{id}", form: url.Values{"do": {"hold"}}},
	"/incidents":                       {need: auth.Operate, path: "/incidents", form: url.Values{"title": {"tried by a form"}}},
	"/incidents/{id}/{do}":             {need: auth.Operate, path: "/incidents/INC-1/note", form: url.Values{"text": {"looking"}}},
	"/alerts/{id}/{do}":                {need: auth.Operate, path: "/alerts/tried/unsilence"},
	"/settings/me/password":            {need: anybody, of: serverS, path: "/settings/me/password", form: url.Values{"password": {"a"}, "again": {"b"}}},
	"/settings/me/slack":               {need: anybody, of: serverS, path: "/settings/me/slack"},
	"/settings/me/slack/unlink":        {need: anybody, of: serverS, path: "/settings/me/slack/unlink", form: url.Values{"team": {"T1"}, "user": {"U1"}}},
	"/settings/sessions/{id}/end":      {need: anybody, of: serverS, path: "/settings/sessions/0123456789abcdef/end"},
	"/settings/tokens":                 {need: auth.Admin, path: "/settings/tokens"},
	"/settings/tokens/{id}/revoke":     {need: auth.Admin, path: "/settings/tokens/nothing/revoke", form: url.Values{"reason": {"a test"}}},
	"/settings/projects":               {need: auth.Admin, path: "/settings/projects"},
	"/settings/projects/{project}":     {need: auth.Admin, path: "/settings/projects/1"},
	"/settings/oncall/override":        {need: auth.Operate, of: whole, path: "/settings/oncall/override", form: url.Values{"rota": {"nobody"}}},
	"/settings/oncall/ack":             {need: auth.Operate, of: whole, path: "/settings/oncall/ack", form: url.Values{"page": {"nobody"}}},
	"/settings/oncall/contact":         {need: anybody, of: serverS, path: "/settings/oncall/contact"},
	"/settings/channels/retry":         {need: auth.Operate, of: whole, path: "/settings/channels/retry", form: url.Values{"address": {"pagerduty:nobody"}}},
	"/settings/channels/test":          {need: auth.Operate, of: whole, path: "/settings/channels/test", form: url.Values{"address": {"pagerduty:nobody"}}},
	"/settings/forget":                 {need: auth.Admin, path: "/settings/forget", form: url.Values{"user": {"nobody-known"}, "again": {"nobody-known"}, "reason": {"a test"}}},
	"/settings/people":                 {need: auth.Admin, path: "/settings/people"},
	"/settings/people/{name}":          {need: auth.Admin, path: "/settings/people/nobody"},
	"/settings/people/{name}/password": {need: auth.Admin, path: "/settings/people/nobody/password", form: url.Values{"password": {goodPassword}}},
	"/settings/people/{name}/link":     {need: auth.Admin, path: "/settings/people/nobody/link"},
	"/settings/people/{name}/remove":   {need: auth.Admin, path: "/settings/people/nobody/remove", form: url.Values{"reason": {"a test"}}},
}

const goodPassword = "correct horse battery"

// caller is somebody who tries.
type caller struct {
	name   string
	scope  scope    // "" = none
	away   bool     // limited to another project than 1
	in     []string // projects; none = all
	bearer string
	cookie string
}

var ranks = map[scope]int{auth.Read: 1, auth.Operate: 2, auth.Approve: 3, auth.Admin: 4}

// may is the table's word on a row: 200 = let in, else the status of the
// refusal. hidden says that the row is about a thing that is not there for the
// caller. stranger is the status for whoever is not known: 401 of the API,
// which looks at the scope first, 303 of the pages, which look at the project
// first.
func (c caller) may(need scope, thing of, hidden bool, stranger int) int {
	low := ranks[c.scope] < ranks[need]
	switch {
	case need == open2all:
		return http.StatusOK
	case c.scope == "":
		return stranger
	case hidden && !(low && stranger == http.StatusUnauthorized):
		return http.StatusNotFound
	case low, thing == whole && len(c.in) > 0:
		return http.StatusForbidden
	}
	return http.StatusOK
}

// cast makes a person for each role, a token for each with all scopes, which
// the account narrows, and the three kinds of keys.
func cast(t *testing.T, s *site) []caller {
	t.Helper()
	s.second()
	out := []caller{{name: "nobody"}}
	for _, p := range []struct {
		name, role string
		scope      scope
		projects   []string
	}{
		{"vera", "viewer", auth.Read, nil}, {"otto", "operator", auth.Operate, nil}, {"ann", "approver", auth.Approve, nil}, {"ada", "admin", auth.Admin, nil},
		{"home", "approver", auth.Approve, []string{"2", "1"}}, {"away", "approver", auth.Approve, []string{"2"}}, {"far", "viewer", auth.Read, []string{"2"}},
	} {
		s.ask(http.MethodPut, "/people/"+p.name, map[string]any{"role": p.role, "projects": p.projects}, nil)
		s.ask(http.MethodPost, "/people/"+p.name+"/password", map[string]any{"password": goodPassword}, nil)
		c := caller{name: p.name, scope: p.scope, away: len(p.projects) == 1, in: p.projects, bearer: s.token(map[string]any{"name": p.name, "kind": "operator", "scopes": []string{"admin"}, "person": p.name})}
		c.cookie = s.signIn(p.name)
		out = append(out, c)
	}
	for _, id := range []string{"1", "2"} {
		out = append(out, caller{name: "admin token of project " + id, scope: auth.Admin, away: id != "1", in: []string{id},
			bearer: s.token(map[string]any{"name": "admin of " + id, "kind": "operator", "scopes": []string{"admin"}, "projects": []string{id}})})
	}
	return append(out,
		caller{name: "publishable flags key", bearer: s.token(map[string]any{"name": "page", "kind": "flags"})},
		caller{name: "server flags key", bearer: s.boot.FlagKey},
		caller{name: "ingest key", bearer: s.boot.PublicKey})
}

// token makes a token or key and returns its secret.
func (s *site) token(body map[string]any) string {
	s.t.Helper()
	var made struct{ Secret string }
	s.ask(http.MethodPost, "/tokens", body, &made)
	return made.Secret
}

// signIn signs a person in by the page and returns the session's cookie.
func (s *site) signIn(name string) string {
	s.t.Helper()
	a := s.submit("/login", "", url.Values{"name": {name}, "password": {goodPassword}})
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == web.CookieName && a.status == http.StatusSeeOther {
			return c.Value
		}
	}
	s.t.Fatalf("%s did not get in: %d", name, a.status)
	return ""
}

// submit posts a form as a page does, with the session's CSRF token.
func (s *site) submit(path, cookie string, form url.Values, header ...string) answer {
	s.t.Helper()
	if cookie != "" && !form.Has("csrf") {
		copied := url.Values{"csrf": {auth.CSRF(cookie)}}
		for k, v := range form {
			copied[k] = v
		}
		form = copied
	}
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Cookie", web.CookieName + "=" + cookie}, header...)
	return s.direct(http.MethodPost, path, form.Encode(), header...)
}

// direct is one request; redirects are not followed and streams not read.
func (s *site) direct(method, path, body string, header ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	a := answer{status: resp.StatusCode, header: resp.Header}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		if a.body, err = io.ReadAll(resp.Body); err != nil {
			s.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return a
}

// guarded runs a server that believes X-Forwarded-For of this machine.
func guarded(t *testing.T, c config.Config) *site {
	t.Helper()
	c.TrustedProxies = append(c.TrustedProxies, "127.0.0.1")
	return startWith(t, server.Options{Clock: clock.Fast(monday, 1), Config: c})
}

// got is how a status counts in the table; a 404 only if it is the project's.
func got(a answer) int {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return a.status
	case http.StatusNotFound:
		if text := string(a.body); strings.Contains(text, "in the projects of") || strings.Contains(text, "There is no such page") {
			return a.status
		}
	case http.StatusSeeOther:
		if strings.HasPrefix(a.header.Get("Location"), "/login?") {
			return a.status
		}
	case http.StatusTooManyRequests, http.StatusInternalServerError:
		return a.status // never right here
	}
	return http.StatusOK
}

// TestEveryOperationIsGuarded tries each operation of the OpenAPI document as
// everybody. Bodies are empty: what is tried is who is let in; what the
// operations do is tried elsewhere.
func TestEveryOperationIsGuarded(t *testing.T) {
	s := guarded(t, config.Config{})
	callers := cast(t, s)
	var doc struct {
		Paths map[string]map[string]struct{ OperationID string }
	}
	if err := json.Unmarshal(s.must(http.MethodGet, "/api/v1/openapi.json", nil).body, &doc); err != nil {
		t.Fatal(err)
	}
	seen, n := map[string]bool{}, 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			row, known := operations[op.OperationID]
			if !known {
				t.Errorf("%s %s: operation %s has no row in the permission table: say who may do it", method, path, op.OperationID)
				continue
			}
			seen[op.OperationID] = true
			hides := named.MatchString(path) && op.OperationID != "put-flag" && op.OperationID != "put-alert" // who is limited is told the same of what there is not
			method, path := strings.ToUpper(method), regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(path, "nothing-1")
			for _, c := range callers {
				n++
				header := []string{"X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", n>>8&255, n&255)} // wrong tokens lock an address
				if c.bearer != "" {
					header = append(header, "Authorization", "Bearer "+c.bearer)
				}
				a := s.direct(method, path, "", header...)
				if want := c.may(row.need, row.of, hides && len(c.in) > 0, http.StatusUnauthorized); got(a) != want {
					t.Errorf("%s as %s: %d %s, want %d", op.OperationID, c.name, a.status, a.detail(), want)
				}
				if c.cookie == "" {
					continue
				}
				want := c.may(row.need, row.of, hides && len(c.in) > 0, http.StatusUnauthorized)
				if method != http.MethodGet && row.need != open2all {
					want = http.StatusUnauthorized // a cookie changes nothing: no page of another site can use it
				}
				if a := s.direct(method, path, "", "Cookie", web.CookieName+"="+c.cookie); got(a) != want {
					t.Errorf("%s with the session of %s: %d %s, want %d", op.OperationID, c.name, a.status, a.detail(), want)
				}
			}
		}
	}
	for id := range operations {
		if !seen[id] {
			t.Errorf("row %s is of no operation", id)
		}
	}
}

// TestEveryFormIsGuarded posts each form of the pages as everybody, and as an
// admin without the session's CSRF token and from another site.
func TestEveryFormIsGuarded(t *testing.T) {
	s := guarded(t, config.Config{})
	callers := cast(t, s)
	id := s.create(checkoutPlan)
	s.envelope(minifiedCrash(strings.Repeat("a", 32), "web@1")) // SERIN-1
	s.ask(http.MethodPut, "/alerts/tried?project=1", map[string]any{"limit": 5}, nil)
	s.ask(http.MethodPost, "/incidents", map[string]any{"title": "tried"}, nil) // INC-1
	for _, route := range postRoutes(t) {
		row, known := forms[route]
		if !known {
			t.Errorf("POST %s has no row in the permission table: say who may do it", route)
			continue
		}
		if row.need == open2all {
			continue
		}
		path := strings.ReplaceAll(row.path, "{id}", id)
		for i, c := range callers {
			if c.cookie == "" && c.bearer != "" {
				continue // keys open no page
			}
			if c.cookie != "" {
				for name, a := range map[string]answer{
					"without a CSRF token": s.submit(path, c.cookie, url.Values{"csrf": {""}}),
					"with another's token": s.submit(path, c.cookie, url.Values{"csrf": {auth.CSRF("other")}}),
					"from another site":    s.submit(path, c.cookie, row.form, "Sec-Fetch-Site", "cross-site"),
				} {
					if a.status != http.StatusForbidden && !(c.away && a.status == http.StatusNotFound) {
						t.Errorf("POST %s as %s %s: %d, want a refusal", route, c.name, name, a.status)
					}
				}
			}
			a := s.submit(path, c.cookie, row.form)
			if want := c.may(row.need, row.of, named.MatchString(route) && c.away, http.StatusSeeOther); got(a) != want {
				t.Errorf("POST %s as %s: %d, want %d", route, c.name, got(a), want)
			}
			if route == "/logout" && c.cookie != "" {
				if a := s.direct(http.MethodGet, "/settings/me", "", "Cookie", web.CookieName+"="+c.cookie); a.status != http.StatusSeeOther {
					t.Errorf("%s is signed out and still in: %d", c.name, a.status)
				}
				callers[i].cookie = s.signIn(c.name)
			}
		}
	}
}

// TestSessionsOfOthers: one ends one's own sessions, an admin anybody's, and
// nobody learns whether another's exists.
func TestSessionsOfOthers(t *testing.T) {
	s := guarded(t, config.Config{})
	by := map[string]caller{}
	for _, c := range cast(t, s) {
		by[c.name] = c
	}
	in := func(cookie string) bool {
		return s.direct(http.MethodGet, "/settings/me", "", "Cookie", web.CookieName+"="+cookie).status == http.StatusOK
	}
	session := func(name string) string {
		var open []auth.OpenSession
		s.ask(http.MethodGet, "/sessions?person="+name, nil, &open)
		return open[0].ID
	}
	end := func(c caller, id string) int {
		return s.direct(http.MethodDelete, "/api/v1/sessions/"+id, "", "Authorization", "Bearer "+c.bearer).status
	}
	for _, id := range []string{session("ada"), "0123456789abcdef"} {
		if a := s.submit("/settings/sessions/"+id+"/end", by["ann"].cookie, nil); a.status != http.StatusNotFound {
			t.Errorf("ann ends %s by form: %d, want 404", id, a.status)
		}
		if status := end(by["ann"], id); status != http.StatusNotFound {
			t.Errorf("ann ends %s: %d, want 404", id, status)
		}
	}
	if !in(by["ada"].cookie) {
		t.Error("ada was signed out by ann")
	}
	if status := end(by["ada"], session("otto")); status != http.StatusNoContent || in(by["otto"].cookie) {
		t.Errorf("ada ends otto's session: %d, otto is in: %v", status, in(by["otto"].cookie))
	}
	if a := s.submit("/settings/sessions/"+session("vera")+"/end", by["vera"].cookie, nil); a.status != http.StatusSeeOther || in(by["vera"].cookie) {
		t.Errorf("vera ends her own session: %d, she is in: %v", a.status, in(by["vera"].cookie))
	}
	for person, want := range map[string]int{"ada": http.StatusForbidden, "ann": http.StatusOK} {
		if a := s.direct(http.MethodGet, "/api/v1/sessions?person="+person, "", "Authorization", "Bearer "+by["ann"].bearer); a.status != want {
			t.Errorf("ann lists sessions of %s: %d, want %d", person, a.status, want)
		}
	}
}

// postRoutes are the POST routes that the pages register, read from their source.
func postRoutes(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../web/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`mux\.Handle(?:Func)?\("POST ([^"]+)"`).FindAllSubmatch(source, -1) {
			out = append(out, string(m[1]))
		}
	}
	if len(out) < 10 {
		t.Fatalf("found %d POST routes: are they registered otherwise now?", len(out))
	}
	return out
}

// TestPagesOfAdmins: what is the admin's is not shown to others, and somebody
// of another project sees nothing of this one.
func TestPagesOfAdmins(t *testing.T) {
	s := guarded(t, config.Config{})
	id := s.create(checkoutPlan)
	for _, c := range cast(t, s) {
		if c.cookie == "" {
			continue
		}
		page := func(path string) answer {
			return s.direct(http.MethodGet, path, "", "Cookie", web.CookieName+"="+c.cookie)
		}
		for _, path := range []string{"/settings/people", "/settings/people/vera", "/settings/tokens/first-ingest"} {
			if a, want := page(path), c.may(auth.Admin, project, false, http.StatusSeeOther); got(a) != want {
				t.Errorf("%s as %s: %d, want %d", path, c.name, a.status, want)
			}
		}
		for _, path := range []string{"/", "/rollouts/" + id, "/plans", "/audit", "/settings", "/settings/me"} {
			a, want := page(path), c.may(auth.Read, project, c.away && strings.HasPrefix(path, "/rollouts/"), http.StatusSeeOther)
			if got(a) != want {
				t.Errorf("%s as %s: %d, want %d", path, c.name, a.status, want)
			}
			if c.away && strings.Contains(string(a.body), id) {
				t.Errorf("%s tells %s of %s", path, c.name, id)
			}
		}
		if shows := strings.Contains(string(page("/settings").body), "first-admin"); shows != (c.scope == auth.Admin) {
			t.Errorf("/settings as %s: lists tokens: %v", c.name, shows)
		}
	}
}

// TestEveryKeyHasItsDoor: keys of applications open the door they are for.
func TestEveryKeyHasItsDoor(t *testing.T) {
	s := guarded(t, config.Config{})
	s.ask(http.MethodPut, "/flags/inner", `{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on"}`, nil)
	s.ask(http.MethodPut, "/flags/outer", `{"state":"ENABLED","variants":{"on":true,"off":false},"defaultVariant":"on","metadata":{"client":true}}`, nil)
	page := s.token(map[string]any{"name": "page", "kind": "flags", "origins": []string{"https://shop.example"}})
	secret := s.token(map[string]any{"name": "api", "kind": "ingest", "secret": true})
	doors := []string{"flag for clients", "flag for servers", "list of flags", "stream of flags", "telemetry", "telemetry of another project"}
	const yes, no, none, barred = 200, 401, 404, 403
	for _, tc := range []struct {
		name, key string
		want      []int
	}{
		{"nothing", "", []int{no, no, no, no, barred, barred}},
		{"publishable flags key", page, []int{yes, none, yes, yes, barred, barred}},
		{"server flags key", s.boot.FlagKey, []int{yes, yes, yes, yes, barred, barred}},
		{"ingest key", s.boot.PublicKey, []int{no, no, no, no, yes, barred}},
		{"secret ingest key", secret, []int{no, no, no, no, yes, barred}},
		{"operator token", s.boot.AdminToken, []int{no, no, no, no, barred, barred}},
	} {
		for i, door := range doors {
			var a answer
			switch i {
			case 0, 1:
				a = s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags/"+[]string{"outer", "inner"}[i], "{}", "X-API-Key", tc.key)
			case 2:
				a = s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags", "{}", "X-API-Key", tc.key)
				if a.status == yes && strings.Contains(string(a.body), `"inner"`) != (tc.key == s.boot.FlagKey) {
					t.Errorf("%s lists %s", tc.name, a.body)
				}
			case 3:
				a = s.direct(http.MethodGet, "/ofrep/v1/stream", "", "X-API-Key", tc.key)
			case 4, 5:
				a = s.direct(http.MethodPost, "/api/"+[]string{"1", "2"}[i-4]+"/envelope/?sentry_key="+url.QueryEscape(tc.key), string(errorEnvelope(eventID(i), "u", "outer", true)))
			}
			if a.status != tc.want[i] {
				t.Errorf("%s at %s: %d %s, want %d", tc.name, door, a.status, a.detail(), tc.want[i])
			}
		}
	}
	for origin, want := range map[string]int{"https://shop.example": yes, "https://evil.example": barred} {
		if a := s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags", "{}", "X-API-Key", page, "Origin", origin); a.status != want {
			t.Errorf("page of %s: %d, want %d", origin, a.status, want)
		}
	}
}

// TestKeysAreLimited: a flood from one address with a key that pages carry is
// refused, others are not.
func TestKeysAreLimited(t *testing.T) {
	s := guarded(t, config.Config{Limits: config.Limits{Flags: 1, Telemetry: 1}})
	page := s.token(map[string]any{"name": "page", "kind": "flags"})
	ask := func(key, from string) answer {
		return s.direct(http.MethodPost, "/ofrep/v1/evaluate/flags", "{}", "X-API-Key", key, "X-Forwarded-For", from)
	}
	tell := func(from string) answer {
		return s.direct(http.MethodPost, "/api/1/envelope/?sentry_key="+s.boot.PublicKey, string(errorEnvelope(eventID(s.sent), "u", "f", true)), "X-Forwarded-For", from)
	}
	flood := func(f func() answer) (a answer) {
		for range 40 { // the burst is 10, and more than 30 s for so many would be slow
			if a = f(); a.status != http.StatusOK {
				return a
			}
		}
		return a
	}
	if a := flood(func() answer { return ask(page, "203.0.113.7") }); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("a flood of evaluations: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	if a := flood(func() answer { return tell("203.0.113.7") }); a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.header.Get("X-Sentry-Rate-Limits") == "" {
		t.Errorf("a flood of telemetry: %d, Retry-After %q, limits %q", a.status, a.header.Get("Retry-After"), a.header.Get("X-Sentry-Rate-Limits"))
	}
	for name, a := range map[string]answer{"another address": ask(page, "203.0.113.8"), "another address's telemetry": tell("203.0.113.8"),
		"a server's key": flood(func() answer { return ask(s.boot.FlagKey, "203.0.113.7") })} {
		if a.status != http.StatusOK {
			t.Errorf("%s: %d, want 200", name, a.status)
		}
	}
}
