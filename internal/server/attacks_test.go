package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"serin/internal/config"
	"serin/internal/store"
	"serin/internal/web"
)

// TestHostileTelemetry: what an event says is text on every page that shows
// it, and in the report.
func TestHostileTelemetry(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "admin")
	cookie := "Cookie"
	session := web.CookieName + "=" + s.signIn("ann")
	id := s.create(checkoutPlan)
	const evil = `"><script>alert('zz')</script><img src=x onerror=alert(1)>`
	s.report(evil, map[string]any{"message": evil, "release": evil, "environment": "production", "transaction": evil, "tags": map[string]any{"feature": evil},
		"exception": map[string]any{"values": []any{map[string]any{"type": evil, "value": evil}}}})
	s.ask(http.MethodPost, "/feedback", map[string]any{"kind": "complaint", "user": evil, "message": evil}, nil)
	s.ask(http.MethodPost, "/values", map[string]string{"note": evil}, nil)
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues", nil, &issues)
	if len(issues) == 0 {
		t.Fatal("no issue was made")
	}
	paths := []string{"/", "/welcome?user=" + url.QueryEscape(evil) + "&flag=" + url.QueryEscape(evil), "/audit", "/settings", "/plans", "/plans/checkout", "/rollouts/" + id + "/report.html"}
	for _, page := range []string{"", "/journal", "/checklist", "/plan", "/runbook", "/report", "/explain", "/emergency"} {
		paths = append(paths, "/rollouts/"+id+page)
	}
	for _, i := range issues {
		paths = append(paths, "/issues", "/issues/"+i.ID, "/issues?query="+url.QueryEscape(evil))
	}
	for _, path := range paths {
		a := s.direct(http.MethodGet, path, "", cookie, session)
		body := string(a.body)
		if a.status >= 500 || strings.Contains(body, "<script>alert") || strings.Contains(body, "<img src=x") {
			t.Errorf("%s: %d, markup of an event: %v", path, a.status, strings.Contains(body, "<script>alert"))
		}
		if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && !strings.Contains(a.header.Get("Content-Security-Policy"), "script-src 'self'") {
			t.Errorf("%s: policy %q", path, a.header.Get("Content-Security-Policy"))
		}
	}
}

// TestDeepAndHugeJSON: nesting and size cost a client its request and the
// server nothing, at every door that reads JSON.
func TestDeepAndHugeJSON(t *testing.T) {
	s := start(t, 1)
	deep := strings.Repeat(`{"a":`, 200_000) + "1" + strings.Repeat("}", 200_000)
	list := strings.Repeat("[", 400_000) + strings.Repeat("]", 400_000)
	huge := `{"a":"` + strings.Repeat("x", 24<<20) + `"}`
	admin := []string{"Authorization", "Bearer " + s.boot.AdminToken, "Content-Type", "application/json"}
	for body, text := range map[string]string{"deep": deep, "lists": list, "huge": huge} {
		for _, door := range []struct {
			method, path string
			header       []string
			wrap         string
		}{
			{http.MethodPost, "/api/v1/doctor", admin, `{"flag":"f","user":"u","with":{"x":%s}}`},
			{http.MethodPut, "/api/v1/flags/deep", admin, `{"state":"ENABLED","variants":{"on":%s},"defaultVariant":"on"}`},
			{http.MethodPut, "/api/v1/flags/deep", admin, `{"state":"ENABLED","variants":{"on":true},"defaultVariant":"on","targeting":%s}`},
			{http.MethodPost, "/api/v1/values", admin, "%s"},
			{http.MethodPost, "/ofrep/v1/evaluate/flags", []string{"X-API-Key", s.boot.FlagKey, "Content-Type", "application/json"}, `{"context":{"targetingKey":"u","x":%s}}`},
			{http.MethodPost, "/api/1/envelope/?sentry_key=" + s.boot.PublicKey, nil, "{}\n{\"type\":\"event\"}\n{\"message\":\"m\",\"extra\":{\"x\":%s}}\n"},
			{http.MethodPost, "/api/1/store/?sentry_key=" + s.boot.PublicKey, nil, `{"message":"m","contexts":{"x":%s}}`},
			{http.MethodPost, "/api/1/beacon/?sentry_key=" + s.boot.PublicKey, nil, `{"vitals":%s}`},
		} {
			begin := time.Now()
			a, err := s.send(door.method, door.path, []byte(fmt.Sprintf(door.wrap, text)), door.header...)
			if err != nil { // a server may close on a body that is too large before it has read it
				continue
			}
			if a.status >= 500 || time.Since(begin) > patience/3 {
				t.Errorf("%s at %s: %d after %v: %.200s", body, door.path, a.status, time.Since(begin), a.body)
			}
		}
	}
	if a := s.must(http.MethodGet, "/healthz", nil); a.status != http.StatusOK {
		t.Errorf("health afterwards: %d", a.status)
	}
}

// TestAnswersAreNotFramedNorKept: no page can be framed by another site, and
// what holds a secret or what only its reader may see is stored by no cache.
func TestAnswersAreNotFramedNorKept(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "admin")
	session := web.CookieName + "=" + s.signIn("ann")
	for _, path := range []string{"/", "/login", "/settings", "/settings/me", "/settings/people", "/settings/forget", "/audit", "/nothing"} {
		a := s.direct(http.MethodGet, path, "", "Cookie", session)
		if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s can be framed: %q", path, policy)
		}
		if kept := a.header.Get("Cache-Control"); !strings.Contains(kept, "private") && !strings.Contains(kept, "no-store") {
			t.Errorf("%s: Cache-Control %q", path, kept)
		}
	}
	csrf := s.submit("/settings/tokens", s.signIn("ann"), url.Values{"name": {"ci"}, "kind": {"operator"}, "scope": {"read"}, "days": {"30"}})
	if csrf.status != http.StatusOK || csrf.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a page with a new secret: %d, Cache-Control %q", csrf.status, csrf.header.Get("Cache-Control"))
	}
	for _, path := range []string{"/api/v1/me", "/api/v1/tokens", "/api/v1/issues", "/api/v1/nothing"} {
		if a := s.api(http.MethodGet, strings.TrimPrefix(path, "/api/v1"), nil); a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

// TestCookieOverTLS: where people come by https the session goes nowhere else.
func TestCookieOverTLS(t *testing.T) {
	for address, secure := range map[string]bool{"https://serin.example": true, "http://serin.example": false} {
		s, _ := openIn(t, t.TempDir(), config.Config{OperatorURL: address})
		s.hire("ann", "viewer")
		a := s.submit("/login", "", url.Values{"name": {"ann"}, "password": {goodPassword}})
		cookies := (&http.Response{Header: a.header}).Cookies()
		if len(cookies) != 1 {
			t.Fatalf("%s: cookies %v", address, cookies)
		}
		if c := cookies[0]; c.Secure != secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("%s: cookie %v", address, c)
		}
	}
}

// TestLineBreaksGoNowhere: names and reasons with line breaks reach no header
// of a notice and no second line of a plain answer.
func TestLineBreaksGoNowhere(t *testing.T) {
	s := start(t, 1)
	const bad = "checkout\r\nX-Evil: 1"
	plan := strings.Replace(checkoutPlan, "plan: checkout", `plan: "checkout\r\nX-Evil: 1"`, 1)
	if a := s.api(http.MethodPost, "/rollouts", plan); a.status/100 == 2 {
		t.Errorf("a plan is called %q: %s", bad, a.body)
	}
	for _, at := range []string{`"webhook:ops\r\nX-Evil: 1"`, `"slack:#ops\r\nX-Evil: 1"`} {
		if a := s.api(http.MethodPost, "/plans/lint", checkoutPlan+"channels: { ops: "+at+" }\n"); a.status >= 500 || !strings.Contains(string(a.body), "error") {
			t.Errorf("channel %s: %d %s", at, a.status, a.body)
		}
	}
	if a := s.api(http.MethodPost, "/channels/"+url.PathEscape("webhook:x\r\nX-Evil: 1")+"/test", map[string]any{}); a.header.Get("X-Evil") != "" || a.status >= 500 {
		t.Errorf("channel test: %d %v", a.status, a.header)
	}
}
