package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// post sends a form as somebody who is signed in, from a page of ours.
func post(t testing.TB, s *server, path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.AddCookie(&http.Cookie{Name: CookieName, Value: goodCookie})
	w := httptest.NewRecorder()
	s.routes().ServeHTTP(w, r)
	return w
}

const one = "/rollouts/admin-workbench-1"

func TestHeaders(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet()})
	for _, p := range []string{"/", one, one + "/rollback", "/login", "/nowhere", s.static.prefix + "css/app.css"} {
		h := get(t, s, p).Header()
		if got := h.Get("Content-Security-Policy"); got != policy {
			t.Errorf("%s: policy %q", p, got)
		}
		if h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: no nosniff", p)
		}
	}
}

func TestStatus(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: append(fleet(), with("checkout-v3-10", rollout.Paused, 5))})
	broken := newWeb(t, &fakeRollouts{err: errors.New("disk is gone")})
	tests := []struct {
		name, path string
		s          *server
		code       int
		location   string
	}{
		{"list", "/", s, 200, ""},
		{"old list", "/rollouts?show=ok", s, 302, "/?show=ok"},
		{"plan to latest", "/rollouts/checkout-v3?range=1h", s, 302, "/rollouts/checkout-v3-10?range=1h"},
		{"plan to latest, confirm page", "/rollouts/checkout-v3/rollback", s, 302, "/rollouts/checkout-v3-10/rollback"},
		{"no rollout", "/rollouts/nix-1", s, 404, ""},
		{"no verb", one + "/explode", s, 404, ""},
		{"no verb of pages", one + "/revise", s, 404, ""},
		{"list fails", "/", broken, 500, ""},
		{"rollout fails", one, broken, 500, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := get(t, tt.s, tt.path)
			if w.Code != tt.code || w.Header().Get("Location") != tt.location {
				t.Errorf("got %d to %q, want %d to %q", w.Code, w.Header().Get("Location"), tt.code, tt.location)
			}
			if strings.Contains(w.Body.String(), "disk is gone") {
				t.Error("the page shows an internal error")
			}
		})
	}
}

func TestSignIn(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet()})
	r := httptest.NewRequest(http.MethodGet, one+"?range=1h", nil)
	w := httptest.NewRecorder()
	s.routes().ServeHTTP(w, r)
	if got, want := w.Header().Get("Location"), "/login?next=%2Frollouts%2Fadmin-workbench-1%3Frange%3D1h"; w.Code != 303 || got != want {
		t.Errorf("got %d to %s, want 303 to %s", w.Code, got, want)
	}
	r = httptest.NewRequest(http.MethodGet, one+"?fragment=page", nil)
	w = httptest.NewRecorder()
	s.routes().ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("fragment without session: %d, want 401", w.Code)
	}
	if w := post(t, s, "/login", url.Values{"token": {"wrong"}, "next": {one}}); w.Code != 401 || len(w.Result().Cookies()) != 0 {
		t.Errorf("wrong token: %d with %d cookies", w.Code, len(w.Result().Cookies()))
	}
	for next, want := range map[string]string{one: one, "//evil.example": "/", `/\evil.example`: "/", "https://evil.example": "/", "": "/", "/\t/evil.example": "/"} {
		w := post(t, s, "/login", url.Values{"token": {goodToken}, "next": {next}})
		if got := w.Header().Get("Location"); w.Code != 303 || got != want {
			t.Errorf("next %q: %d to %q, want %q", next, w.Code, got, want)
		}
		c := w.Result().Cookies()[0]
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie %+v is not HttpOnly, Secure and Lax", c)
		}
	}
}

// fakeProvider is an identity provider that answers as it is told.
type fakeProvider struct{ err error }

func (f fakeProvider) Name() string { return "Acme SSO" }

func (f fakeProvider) Begin(w http.ResponseWriter, r *http.Request, next string) error {
	if f.err == nil {
		http.Redirect(w, r, "https://id.example/?next="+url.QueryEscape(next), http.StatusSeeOther)
	}
	return f.err
}

func (f fakeProvider) Finish(http.ResponseWriter, *http.Request) (string, Person, string, error) {
	return goodCookie, Person{Name: "ann"}, "//evil.example", f.err
}

func TestSignInByPassword(t *testing.T) {
	s := newWeb(t, &fakeRollouts{views: fleet()})
	for _, tt := range []struct {
		name, password string
		code           int
		says           string
	}{
		{"ann", goodPassword, 303, ""},
		{"ann", "wrong", 401, "Name and password do not match"},
		{"<b>", "wrong", 401, "&lt;b&gt;"},
		{"locked", goodPassword, 429, "Too many wrong tries. Try again in "},
	} {
		w := post(t, s, "/login", url.Values{"name": {tt.name}, "password": {tt.password}, "next": {"//evil.example"}})
		if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) || len(w.Result().Cookies()) != map[bool]int{true: 1}[tt.code == 303] {
			t.Errorf("%s: %d with %d cookies, want %d and %q", tt.name, w.Code, len(w.Result().Cookies()), tt.code, tt.says)
		}
		if tt.code == 303 && w.Header().Get("Location") != "/" {
			t.Errorf("sent on to %q", w.Header().Get("Location"))
		}
		if strings.Contains(w.Body.String(), tt.password) {
			t.Errorf("%s: the page shows the password", tt.name)
		}
	}
}

func TestSignInByProvider(t *testing.T) {
	for _, tt := range []struct {
		name, path string
		provider   IdentityProvider
		code       int
		location   string
		says       string
	}{
		{"none", "/login/provider", nil, 303, "/login", ""},
		{"none back", "/login/callback", nil, 303, "/login", ""},
		{"there", "/login/provider?next=%2Faudit", fakeProvider{}, 303, "https://id.example/?next=%2Faudit", ""},
		{"there, to another site", "/login/provider?next=https%3A%2F%2Fevil.example", fakeProvider{}, 303, "https://id.example/?next=%2F", ""},
		{"back", "/login/callback", fakeProvider{}, 303, "/", ""},
		{"down", "/login/provider", fakeProvider{errors.New("dial tcp")}, 502, "", "Acme SSO does not answer"},
		{"broken", "/login/callback", fakeProvider{errors.New("bad key")}, 502, "", "Acme SSO could not say who you are"},
		{"refused", "/login/callback", fakeProvider{&RefusedError{Why: "You have no account here."}}, 403, "", "You have no account here."},
		{"offered", "/login", fakeProvider{}, 200, "", "Continue with Acme SSO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newWeb(t, &fakeRollouts{views: fleet()})
			s.Provider = tt.provider
			w := httptest.NewRecorder()
			s.routes().ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.path, nil))
			if w.Code != tt.code || w.Header().Get("Location") != tt.location || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("%d to %q, want %d to %q and %q", w.Code, w.Header().Get("Location"), tt.code, tt.location, tt.says)
			}
			if strings.Contains(w.Body.String(), "dial tcp") {
				t.Error("the page shows an internal error")
			}
		})
	}
}

// TestScopes: what a verb needs at the API it needs on pages too.
func TestScopes(t *testing.T) {
	for scope, may := range map[string][2]bool{"read": {false, false}, "operate": {true, false}, "approve": {true, true}, "admin": {true, true}} {
		p := Person{Scopes: []string{scope}}
		if got := [2]bool{p.may(rollout.Pause), p.may(rollout.Approve)}; got != may {
			t.Errorf("%s: pause, approve = %v, want %v", scope, got, may)
		}
		f := &fakeRollouts{views: fleet()}
		s := newWebFor(t, f, &fakeSessions{Person{Name: "x", Scopes: []string{scope}}})
		w := post(t, s, one+"/approve", url.Values{"csrf": {goodCSRF}, "version": {"1"}})
		if refused := w.Code == http.StatusForbidden; refused == may[1] || may[1] != (len(f.commands) == 1) {
			t.Errorf("%s approves: %d, %d commands", scope, w.Code, len(f.commands))
		}
	}
}

func TestForgery(t *testing.T) {
	f := &fakeRollouts{views: fleet()}
	s := newWeb(t, f)
	good := url.Values{"csrf": {goodCSRF}}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"no token":     post(t, s, one+"/rollback", nil),
		"wrong token":  post(t, s, one+"/rollback", url.Values{"csrf": {"guess"}}),
		"cross site":   post(t, s, one+"/rollback", good, "Sec-Fetch-Site", "cross-site"),
		"same site":    post(t, s, one+"/rollback", good, "Sec-Fetch-Site", "same-site"),
		"other origin": post(t, s, one+"/rollback", good, "Sec-Fetch-Site", "", "Origin", "https://evil.example"),
		"log out":      post(t, s, "/logout", url.Values{"csrf": {"guess"}}),
	} {
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d, want 403", name, w.Code)
		}
	}
	for _, p := range rolloutPaths {
		get(t, s, one+p)
	}
	if len(f.commands) != 0 {
		t.Errorf("a forged POST or a GET did %v", f.commands)
	}
}

func TestCommands(t *testing.T) {
	may := onCall().person.May
	tests := []struct {
		verb string
		form url.Values
		want rollout.Command
	}{
		{"rollback", url.Values{"reason": {" errors "}}, rollout.Command{Verb: rollout.Rollback, Reason: "errors"}},
		{"pause", nil, rollout.Command{Verb: rollout.Pause}},
		{"reduce", url.Values{"percent": {"5%"}}, rollout.Command{Verb: rollout.Reduce, Percent: 5000}},
		{"reduce", url.Values{"percent": {"0.5"}}, rollout.Command{Verb: rollout.Reduce, Percent: 500}},
		{"reduce", url.Values{"percent": {"hotfix"}}, rollout.Command{Verb: rollout.Reduce, Hotfix: true}},
		{"complete", url.Values{"item": {"Review the last 24h"}, "evidence": {"https://x"}}, rollout.Command{Verb: rollout.Complete, Item: "Review the last 24h", Evidence: "https://x"}},
		{"approve", url.Values{"version": {"1480"}}, rollout.Command{Verb: rollout.Approve, Version: 1480}},
		{"restart", url.Values{"version": {"1480"}, "cause": {"a bug"}, "to": {"10%"}}, rollout.Command{Verb: rollout.Restart, Version: 1480, Cause: "a bug", To: "10%"}},
	}
	for _, tt := range tests {
		t.Run(tt.verb, func(t *testing.T) {
			f := &fakeRollouts{views: fleet()}
			form := url.Values{"csrf": {goodCSRF}}
			for k, v := range tt.form {
				form[k] = v
			}
			w := post(t, newWeb(t, f), one+"/"+tt.verb, form)
			if got := w.Header().Get("Location"); w.Code != 303 || got != one+"?done="+tt.verb {
				t.Errorf("answered %d to %q", w.Code, got)
			}
			tt.want.By, tt.want.Role, tt.want.May, tt.want.Via = "on-call", "on-call", may, "web"
			if diff := cmp.Diff([]rollout.Command{tt.want}, f.commands); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	csrf := url.Values{"csrf": {goodCSRF}}
	version := url.Values{"csrf": {goodCSRF}, "version": {"1302"}, "reason": {"kept text"}}
	tests := []struct {
		name, verb string
		form       url.Values
		refuse     error
		code       int
		want       []string
		did        bool
	}{
		{"stale", "approve", version, &rollout.Refusal{Kind: rollout.Stale, Why: "you saw version 1302, now it is 1480"}, 409,
			[]string{"You saw version 1302", "What changed since you looked", "Promoted 10% → 25%", `name="version" value="1480"`}, true},
		{"barred", "pause", csrf, &rollout.Refusal{Kind: rollout.Barred, Why: "already paused"}, 409, []string{"Already paused"}, true},
		{"forbidden", "restart", version, &rollout.Refusal{Kind: rollout.Forbidden, Why: "ask a team-lead"}, 403, []string{"Ask a team-lead"}, true},
		{"missing", "cancel", version, &rollout.Refusal{Kind: rollout.Missing, Why: "a reason is missing"}, 422, []string{"A reason is missing", `value="kept text"`}, true},
		{"raise without version", "approve", csrf, nil, 422, []string{"which version you saw"}, false},
		{"no share", "reduce", csrf, nil, 422, []string{"Choose a share"}, false},
		{"not a share", "reduce", url.Values{"csrf": {goodCSRF}, "percent": {"NaN"}}, nil, 422, []string{"Choose a share"}, false},
		{"override not typed", "promote", url.Values{"csrf": {goodCSRF}, "version": {"1480"}, "reason": {"x"}}, nil, 422, []string{"Type admin-workbench-1"}, false},
		{"broken", "rollback", csrf, errors.New("disk is gone"), 500, []string{"Something failed"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &fakeRollouts{views: fleet(), refuse: tt.refuse}
			w := post(t, newWeb(t, f), one+"/"+tt.verb, tt.form)
			if w.Code != tt.code {
				t.Errorf("status %d, want %d", w.Code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("page does not say %q", want)
				}
			}
			if did := len(f.commands) > 0; did != tt.did {
				t.Errorf("asked the controller: %v, want %v", did, tt.did)
			}
			checkMarkup(t, w.Body.String())
		})
	}
}

// TestReadOnly: a person who may only read sees every button locked and can do nothing.
func TestReadOnly(t *testing.T) {
	f := &fakeRollouts{views: fleet()}
	s := newWebFor(t, f, &fakeSessions{Person{Name: "guest", Scopes: []string{"read"}}})
	if w := post(t, s, one+"/rollback", url.Values{"csrf": {goodCSRF}}); w.Code != http.StatusForbidden || len(f.commands) != 0 {
		t.Errorf("status %d, did %v", w.Code, f.commands)
	}
	if body := get(t, s, one+"/rollback").Body.String(); !strings.Contains(body, "lack the scope “operate”") || !strings.Contains(body, "disabled") {
		t.Error("the confirm page does not say what is missing")
	}
}

// TestOverride: who may override, with nothing barred, gets the form with the typed name.
func TestOverride(t *testing.T) {
	v := full()
	v.Waiting = []rollout.Waiting{{Kind: "bake", Text: "bake 3h/24h"}, {Kind: "evidence", Text: "evidence lcp"}}
	f := &fakeRollouts{views: []controller.View{v}}
	form := url.Values{"csrf": {goodCSRF}, "version": {"1480"}, "reason": {"launch"}, "typed": {v.ID}}
	if w := post(t, newWeb(t, f), one+"/promote", form); w.Code != 303 || len(f.commands) != 1 {
		t.Errorf("status %d, did %v", w.Code, f.commands)
	}
	who := &fakeSessions{Person{Name: "dev", May: []string{"start"}, Scopes: []string{"operate"}}}
	if body := get(t, newWebFor(t, f, who), one+"/promote").Body.String(); !strings.Contains(body, "may: override") || !strings.Contains(body, "disabled") {
		t.Error("somebody without the right is not told about it")
	}
	who = &fakeSessions{Person{Name: "admin", Role: "admin", Scopes: []string{"admin"}}}
	if body := get(t, newWebFor(t, f, who), one+"/promote").Body.String(); strings.Contains(body, "disabled") {
		t.Error("where the page does not know a person's rights it locks them out, though the server decides")
	}
}

func TestStatic(t *testing.T) {
	s := newWeb(t, &fakeRollouts{})
	for name, f := range s.static.files {
		w := get(t, s, s.static.prefix+name)
		if w.Code != 200 || w.Body.Len() != len(f.body) || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %d bytes, %s", name, w.Code, w.Body.Len(), w.Header().Get("Cache-Control"))
		}
	}
	if w := get(t, s, "/static/000000000000/css/app.css"); w.Code != 200 || strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("old address: %d, %s", w.Code, w.Header().Get("Cache-Control"))
	}
	for _, p := range []string{"nix.js", "../web.go", "css/"} {
		if w := get(t, s, s.static.prefix+p); w.Code == 200 {
			t.Errorf("%s is served", p)
		}
	}
}
