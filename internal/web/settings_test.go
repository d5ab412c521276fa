package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/notify"
	"serin/internal/store"
	"serin/internal/store/memory"
)

// told is an outbox with fixed notices.
type told []store.Outgoing

func (o told) Notices(context.Context, string, int) ([]store.Outgoing, error) { return o, nil }

// brokenOutbox cannot be read.
type brokenOutbox struct{}

func (brokenOutbox) Notices(context.Context, string, int) ([]store.Outgoing, error) {
	return nil, errors.New("disk is gone")
}

// settingsWeb is a server with the settings pages, for somebody with a scope,
// on a real Auth.
func settingsWeb(t *testing.T, who auth.Principal) (*server, *auth.Auth) {
	t.Helper()
	a := auth.New(auth.Options{Store: memory.New(), Now: func() time.Time { return fixed }})
	if _, _, err := a.Bootstrap(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s := newWebFor(t, &fakeRollouts{views: fleet()}, &fakeSessions{Person{Name: who.Name, Scopes: who.Scopes, Principal: who}})
	s.Access, s.Reach = a, func() []string { return []string{"slack:", "webhook:deploys", "webhook:quiet"} }
	s.Outbox = told{
		{Notice: notify.Notice{Address: "slack:#ops", Title: "Advanced", At: fixed}, Delivered: fixed},
		{Notice: notify.Notice{Address: "webhook:deploys", Title: "Rolled back", At: fixed}, Tries: 3, Error: "503 from the receiver"},
		{Notice: notify.Notice{Address: "slack:#old", Title: "Started", At: fixed}, Tries: 9, Dead: true, Error: "channel_not_found"},
		{Notice: notify.Notice{Address: "slack:#ops", Title: "Older", At: fixed}, Tries: 1, Error: "was failing before"},
	}
	return s, a
}

var root = auth.Principal{ID: "s", Name: "ada", Person: "ada", Kind: "session", Scopes: []string{"admin"}, Handles: []string{"ada"}}

// TestSettings shows every settings page, also with names that are attacks.
func TestSettings(t *testing.T) {
	s, a := settingsWeb(t, root)
	for _, p := range []store.Person{{Name: "ann", Role: auth.Approver, Email: `"><script>alert(1)</script>@x`, Handles: []string{"team-lead"}, Projects: []string{"<b>"}}, {Name: "bob", Role: auth.Viewer, Disabled: true}} {
		if err := a.PutPerson(t.Context(), root, p); err != nil {
			t.Fatal(err)
		}
	}
	_, bad, err := a.CreateToken(t.Context(), root, auth.NewToken{Name: `"><script>alert(1)</script>`, Kind: auth.KindFlags, Origins: []string{"https://shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/settings", "/settings?done=revoked", "/settings/people", "/settings/people/ann", "/settings/people/bob?done=person", "/settings/me", "/settings/tokens/" + bad.ID} {
		w := get(t, s, path)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d", path, w.Code)
		}
		for _, wrong := range []string{"ZgotmplZ", "<no value>", "<script>alert", "%!"} {
			if i := strings.Index(w.Body.String(), wrong); i >= 0 {
				t.Errorf("%s has %q near %q", path, wrong, around(w.Body.String(), i))
			}
		}
		checkMarkup(t, w.Body.String())
	}
	page := get(t, s, "/settings").Body.String()
	for _, want := range []string{"Delivered", "Failing, 3 attempts", "Given up, 9 attempts", "Not used yet", "webhook:quiet", "first-admin"} {
		if !strings.Contains(page, want) {
			t.Errorf("/settings does not say %q", want)
		}
	}
	if strings.Contains(page, "was failing before") {
		t.Error("/settings tells of an older notice to a channel")
	}
	for path, want := range map[string]int{"/settings/people/nobody": 404, "/settings/tokens/nothing": 404} {
		if got := get(t, s, path).Code; got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	s.Outbox = brokenOutbox{}
	if got := get(t, s, "/settings").Code; got != http.StatusInternalServerError {
		t.Errorf("without an outbox: %d", got)
	}
	s.Access = nil
	if body := get(t, s, "/").Body.String(); strings.Contains(body, `href="/settings"`) || get(t, s, "/settings").Code != http.StatusNotFound {
		t.Error("there are no settings pages, and a page leads to them")
	}
}

// send posts a form of the settings with the session's token.
func send(t *testing.T, s *server, path string, pairs ...string) (code int, body, location, cache string) {
	t.Helper()
	form := url.Values{"csrf": {s.Sessions.CSRF(goodCookie)}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	w := post(t, s, path, form)
	return w.Code, w.Body.String(), w.Header().Get("Location"), w.Header().Get("Cache-Control")
}

// TestSettingsKeys makes keys and tokens and revokes them.
func TestSettingsKeys(t *testing.T) {
	s, a := settingsWeb(t, root)
	for _, tc := range []struct {
		name  string
		form  []string
		code  int
		says  string
		token store.Token
	}{
		{"publishable", []string{"name", "page", "kind", "flags", "origins", "https://shop.example, https://*.shop.example", "days", "0"}, 200, "Publishable key",
			store.Token{Kind: auth.KindFlags, Project: "1", Origins: []string{"https://shop.example", "https://*.shop.example"}}},
		{"dsn", []string{"name", "page 2", "kind", "ingest", "environment", "production", "days", "0"}, 200, "@localhost:8750/1", store.Token{Kind: auth.KindIngest, Project: "1", Environment: "production"}},
		{"operator", []string{"name", "ci", "kind", "operator", "scope", "operate", "role", "ci", "origins", "https://x.example", "days", "30"}, 200, "serin_op_",
			store.Token{Kind: auth.KindOperator, Scopes: []string{"operate"}, Role: "ci", ExpiresAt: fixed.Add(30 * 24 * time.Hour)}},
		{"no name", []string{"name", " ", "kind", "flags"}, 422, "Give it a name", store.Token{}},
		{"no kind", []string{"name", "x", "kind", "sign-in"}, 422, "Choose what it is for", store.Token{}},
		{"no scope", []string{"name", "x", "kind", "operator", "scope", "root"}, 422, "Choose what the token may do", store.Token{}},
		{"odd life", []string{"name", "x", "kind", "flags", "days", "999999"}, 422, "Choose how long", store.Token{}},
		{"bad origin", []string{"name", "x", "kind", "flags", "origins", "shop.example"}, 422, "Origin", store.Token{}},
	} {
		before, _ := a.Tokens(t.Context(), root)
		code, body, _, cache := send(t, s, "/settings/tokens", tc.form...)
		if code != tc.code || !strings.Contains(body, tc.says) || cache != "no-store" {
			t.Errorf("%s: %d, cache %q, says %q: %v", tc.name, code, cache, tc.says, strings.Contains(body, tc.says))
		}
		checkMarkup(t, body)
		after, err := a.Tokens(t.Context(), root)
		if err != nil || len(after)-len(before) != map[bool]int{true: 1}[tc.code == 200] {
			t.Errorf("%s: %d tokens before, %d after, %v", tc.name, len(before), len(after), err)
			continue
		}
		if tc.code != 200 {
			continue
		}
		i := slices.IndexFunc(after, func(x store.Token) bool { return x.Name == tc.form[1] })
		made := after[i]
		if got, want := fmt.Sprint(made.Kind, made.Project, made.Scopes, made.Role, made.Environment, made.Origins, made.ExpiresAt), fmt.Sprint(tc.token.Kind, tc.token.Project, tc.token.Scopes, tc.token.Role, tc.token.Environment, tc.token.Origins, tc.token.ExpiresAt); got != want {
			t.Errorf("%s: made %s, want %s", tc.name, got, want)
		}
		if code, body, _, _ := send(t, s, "/settings/tokens/"+made.ID+"/revoke"); code != 422 || !strings.Contains(body, "Say why") {
			t.Errorf("%s: revoked without a reason: %d", tc.name, code)
		}
		if code, _, location, _ := send(t, s, "/settings/tokens/"+made.ID+"/revoke", "reason", "a test"); code != 303 || location != "/settings?done=revoked#tokens" {
			t.Errorf("%s: revoke: %d to %s", tc.name, code, location)
		}
		if code, _, _, _ := send(t, s, "/settings/tokens/"+made.ID+"/revoke", "reason", "again"); code != 404 {
			t.Errorf("%s: revoked twice: %d", tc.name, code)
		}
	}
}

// TestSettingsPeople makes, changes and removes an account by form.
func TestSettingsPeople(t *testing.T) {
	s, a := settingsWeb(t, root)
	for _, tc := range []struct {
		name, path string
		form       []string
		code       int
		want       string // where to, or what the page says
	}{
		{"make an admin", "/settings/people", []string{"name", "ann", "role", "admin", "email", "ann@x.example", "handles", "@team-lead, on-call"}, 303, "/settings/people/ann?done=person"},
		{"taken", "/settings/people", []string{"name", "ann", "role", "viewer"}, 409, "Somebody is called ann already"},
		{"bad name", "/settings/people", []string{"name", "Ann Smith", "role", "viewer"}, 422, "small letters"},
		{"bad role", "/settings/people", []string{"name", "eve", "role", "root"}, 422, "must be viewer"},
		{"last admin", "/settings/people/ann", []string{"role", "viewer"}, 422, "last admin"},
		{"admin of a project", "/settings/people/ann", []string{"role", "admin", "projects", "2"}, 422, "whole server"},
		{"nobody", "/settings/people/nobody", []string{"role", "viewer"}, 404, "not there any more"},
		{"second", "/settings/people", []string{"name", "bob", "role", "viewer", "projects", "1 2"}, 303, "/settings/people/bob?done=person"},
		{"change", "/settings/people/bob", []string{"role", "operator", "disabled", "yes"}, 303, "/settings/people/bob?done=person"},
		{"short password", "/settings/people/bob/password", []string{"password", "short"}, 422, "12 to"},
		{"password", "/settings/people/bob/password", []string{"password", "correct horse battery"}, 303, "/settings/people/bob?done=password"},
		{"link", "/settings/people/bob/link", nil, 200, "/login#token=serin_in_"},
		{"link for nobody", "/settings/people/nobody/link", nil, 404, "not there"},
		{"no reason", "/settings/people/bob/remove", nil, 422, "Say why"},
		{"remove", "/settings/people/bob/remove", []string{"reason", "has left"}, 303, "/settings/people?done=removed"},
		{"remove the last admin", "/settings/people/ann/remove", []string{"reason", "has left"}, 422, "last admin"},
		{"no such session", "/settings/sessions/0123/end", nil, 404, "not there"},
	} {
		code, body, location, _ := send(t, s, tc.path, tc.form...)
		if code != tc.code || location != tc.want && !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d to %q, want %d %q", tc.name, code, location, tc.code, tc.want)
		}
		if body != "" {
			checkMarkup(t, body)
		}
		if tc.name == "change" {
			if p, err := a.Account(t.Context(), root, "bob"); err != nil || p.Role != auth.Operator || !p.Disabled || len(p.Projects) != 0 {
				t.Errorf("bob is %+v, %v", p, err)
			}
		}
	}
	if p, err := a.Account(t.Context(), root, "ann"); err != nil || fmt.Sprint(p.Handles) != "[team-lead on-call]" {
		t.Errorf("ann is %+v, %v", p, err)
	}
}

// TestOwnPassword: one's own, with the present one, and then nobody is in.
func TestOwnPassword(t *testing.T) {
	eve := auth.Principal{ID: "s", Name: "eve", Person: "eve", Kind: "session", Scopes: []string{"read"}, Handles: []string{"eve"}}
	s, a := settingsWeb(t, eve)
	if err := a.PutPerson(t.Context(), root, store.Person{Name: "eve", Role: auth.Viewer}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetPassword(t.Context(), root, "eve", "", "the first password"); err != nil {
		t.Fatal(err)
	}
	set := func(old, password, again string) (int, string) {
		code, body, _, _ := send(t, s, "/settings/me/password", "old", old, "password", password, "again", again)
		return code, body
	}
	for _, tc := range []struct {
		old, password, again, says string
		code                       int
	}{
		{"the first password", "a second password", "a third password", "same twice", 422}, {"wrong", "a second password", "a second password", "not right", 422},
		{"the first password", "short", "short", "12 to", 422}, {"the first password", "a second password", "a second password", "", 303},
	} {
		if code, body := set(tc.old, tc.password, tc.again); code != tc.code || !strings.Contains(body, tc.says) {
			t.Errorf("%+v: %d", tc, code)
		}
	}
	if _, _, err := a.SignInPassword(t.Context(), "eve", "a second password"); err != nil {
		t.Errorf("the new password does not open: %v", err)
	}
	page := get(t, s, "/settings").Body.String()
	if strings.Contains(page, "first-admin") || strings.Contains(page, "/settings/people") || !strings.Contains(page, "Sentry DSN") {
		t.Error("a viewer sees more, or less, than where to send data")
	}
	if w := get(t, s, "/settings/me"); w.Code != 200 || !strings.Contains(w.Body.String(), "Present password") {
		t.Errorf("/settings/me: %d", w.Code)
	}
}

func TestBrowserOf(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0 Safari/537.36":            "Chrome on Linux",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605 (KHTML, like Gecko) Version/17.0 Safari/605":     "Safari on macOS",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1 Safari/537 Edg/131": "Edge on Windows", "curl/8.5": "curl/8.5", "": "",
	} {
		if got := browserOf(agent); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}
