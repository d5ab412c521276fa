package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"serin/internal/api"
	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/server"
	"serin/internal/store"
	"serin/internal/web"
)

// openIn is startWith with a data directory of the test's own; stop ends the server.
func openIn(t *testing.T, dir string, c config.Config) (s *site, stop func()) {
	t.Helper()
	srv, err := server.New(t.Context(), server.Options{Data: dir, Listen: "127.0.0.1:0", Version: "test", Clock: clock.Fast(monday, 1), Config: c})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	over := false
	stop = func() {
		if over {
			return
		}
		over = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("server ended with: %v", err)
		}
	}
	t.Cleanup(stop)
	return &site{t: t, url: srv.URL(), boot: *srv.Bootstrap()}, stop
}

// onDisk names the files of a data directory that hold a text.
func onDisk(t *testing.T, dir, text string) (found []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			found = append(found, filepath.Base(f))
		}
	}
	return found
}

// report sends an error as a Sentry SDK does, with fields over those it always has.
func (s *site) report(user string, fields map[string]any) {
	s.t.Helper()
	s.sent++
	e := map[string]any{
		"event_id": fmt.Sprintf("%032x", s.sent), "platform": "javascript", "level": "error", "message": "broken for " + user,
		"user": map[string]any{"id": user, "email": "anna@shop.example"}, "tags": map[string]any{"customer": user},
		"request": map[string]any{"url": "https://shop.example/u/" + user + "?x=1"},
	}
	for k, v := range fields {
		e[k] = v
	}
	body, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	item := "{}\n{\"type\":\"event\",\"length\":" + fmt.Sprint(len(body)) + "}\n" + string(body) + "\n"
	if a := s.must(http.MethodPost, "/api/1/envelope/?sentry_key="+s.boot.PublicKey, []byte(item)); a.status != http.StatusOK {
		s.t.Fatalf("envelope: %d %s", a.status, a.body)
	}
}

// everything is what the operator API shows of telemetry.
func (s *site) everything() string {
	s.t.Helper()
	var all strings.Builder
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues", nil, &issues)
	paths := []string{"/issues", "/telemetry", "/audit?limit=1000", "/rollouts", "/flags", "/storage"}
	for _, i := range issues {
		paths = append(paths, "/issues/"+i.ID)
	}
	for _, path := range paths {
		a := s.api(http.MethodGet, path, nil)
		if a.status != http.StatusOK {
			s.t.Fatalf("%s: %d %s", path, a.status, a.body)
		}
		all.Write(a.body)
	}
	return all.String()
}

// TestForgetAUser: after the deletion neither the answers nor the files name
// the user, whether ids are hashed or not; others stay.
func TestForgetAUser(t *testing.T) {
	for _, ids := range []string{config.UserIDsPlain, config.UserIDsHash} {
		t.Run(ids, func(t *testing.T) {
			dir := t.TempDir()
			s, stop := openIn(t, dir, config.Config{Privacy: config.Privacy{UserIDs: ids}})
			id := s.create(checkoutPlan)
			const anna, ben = "anna/4711 & co", "ben-0815"
			for range 3 {
				s.report(anna, nil)
				s.report(ben, nil)
			}
			s.flagOf("newCheckout", anna)
			s.ask(http.MethodPost, "/feedback", map[string]any{"kind": "complaint", "user": anna, "message": "it is slow"}, nil)
			before := s.everything()
			if hashed := ids == config.UserIDsHash; strings.Contains(before, anna) == hashed {
				t.Errorf("hashed=%v: the API shows the id: %v", hashed, !hashed)
			}
			if ids == config.UserIDsHash {
				if found := append(onDisk(t, dir, anna), onDisk(t, dir, ben)...); len(found) > 0 {
					t.Errorf("ids are in %v", found)
				}
				var d api.DoctorAnswer
				s.ask(http.MethodPost, "/doctor", map[string]any{"flag": "newCheckout", "user": anna}, &d)
				for _, step := range d.Steps {
					if step.Step == "event" && step.State != "ok" {
						t.Errorf("the doctor does not find the user: %+v", step)
					}
				}
			}
			var out api.ForgetAnswer
			s.ask(http.MethodDelete, "/subjects/"+url.PathEscape(anna)+"?reason=asked+by+letter", nil, &out)
			if out.Samples != 3 || out.Issues == 0 || len(out.Stays) == 0 {
				t.Errorf("answer %+v, want 3 samples and some issues", out)
			}
			after := s.everything()
			if strings.Contains(after, anna) || !strings.Contains(after, "forget user") || !strings.Contains(after, "asked by letter") {
				t.Errorf("the API shows the id: %v, the deletion: %v", strings.Contains(after, anna), strings.Contains(after, "forget user"))
			}
			if strings.Count(before, "SERIN-") < 2 || strings.Count(after, `"message"`) == 0 {
				t.Error("the other user's samples are gone too")
			}
			if v := s.view(id); v.ID != id {
				t.Error("the rollout is gone")
			}
			stop()
			if found := onDisk(t, dir, anna); len(found) > 0 {
				t.Errorf("still in %v", found)
			}
		})
	}
}

// TestForgetForm: the page asks for the id twice and does not show it again.
func TestForgetForm(t *testing.T) {
	s := start(t, 1)
	s.hire("ann", "admin")
	cookie := s.signIn("ann")
	s.report("anna-4711", nil)
	for name, tt := range map[string]struct {
		form   url.Values
		status int
		says   string
	}{
		"nobody":         {url.Values{"user": {" "}}, http.StatusUnprocessableEntity, "Write the user"},
		"two ids":        {url.Values{"user": {"anna-4711"}, "again": {"anna-4712"}}, http.StatusUnprocessableEntity, "Nothing was deleted"},
		"id in a reason": {url.Values{"user": {"anna-4711"}, "again": {"anna-4711"}, "reason": {"anna-4711 asked"}}, http.StatusUnprocessableEntity, "not the user"},
	} {
		if a := s.submit("/settings/forget", cookie, tt.form); a.status != tt.status || !strings.Contains(string(a.body), tt.says) {
			t.Errorf("%s: %d, %q is not in it", name, a.status, tt.says)
		}
	}
	if !strings.Contains(s.everything(), "anna-4711") {
		t.Fatal("a form with a fault deleted something")
	}
	a := s.submit("/settings/forget", cookie, url.Values{"user": {"anna-4711"}, "again": {"anna-4711"}, "reason": {"a letter"}})
	if a.status != http.StatusOK || !strings.Contains(string(a.body), "Deleted: 1 samples") || strings.Contains(string(a.body), "anna-4711") || strings.Contains(s.everything(), "anna-4711") {
		t.Errorf("%d; shows the id: %v", a.status, strings.Contains(string(a.body), "anna-4711"))
	}
	if page := s.direct(http.MethodGet, "/settings", "", "Cookie", web.CookieName+"="+cookie); !strings.Contains(string(page.body), "/settings/forget") {
		t.Error("the settings do not lead to the page")
	}
}

// sensitive are the keys whose values are never kept, some of each spelling.
var sensitive = []string{"password", "Passwd", "client_secret", "Token", "X-Api-Key", "apiKey", "Authorization", "proxy-authorization",
	"credentials", "Set-Cookie", "SESSION_ID", "x-csrf-token", "privateKey_pem", "private_key", "pwd", "AUTH", "card", "IBAN", "ssn", "patient_no", "x-lab-7-id"}

// TestNoSensitiveValueIsStored puts a secret under every sensitive key, in
// every place of an event that can hold one, and looks for it in the files.
func TestNoSensitiveValueIsStored(t *testing.T) {
	dir := t.TempDir()
	s, stop := openIn(t, dir, config.Config{Privacy: config.Privacy{Scrub: []string{"Patient", "x-lab-*-id"}}})
	const mark = "zz-top-secret"
	n := 0
	secret := func() string { n++; return fmt.Sprintf("%s-%d", mark, n) }
	for _, key := range sensitive {
		flat := func() map[string]any { return map[string]any{key: secret()} }
		s.report("anna", map[string]any{
			"message": "GET https://shop.example/a?" + url.QueryEscape(key) + "=" + secret() + " failed",
			"request": map[string]any{"url": "https://u:" + secret() + "@shop.example/p?" + url.QueryEscape(key) + "=" + secret() + "#" + url.QueryEscape(key) + "=" + secret(),
				"headers": flat(), "cookies": flat(), "data": flat(), "query_string": url.QueryEscape(key) + "=" + secret(), "env": flat()},
			"tags": flat(), "extra": map[string]any{key: secret(), "nested": flat()}, "contexts": map[string]any{"app": flat(), key: flat()},
			"user":        map[string]any{"id": "anna", key: secret(), "data": flat()},
			"breadcrumbs": []any{map[string]any{"category": "fetch", "message": "GET /x?" + url.QueryEscape(key) + "=" + secret(), "data": flat()}},
			"exception": map[string]any{"values": []any{map[string]any{"type": "E", "value": "at /x?" + url.QueryEscape(key) + "=" + secret(),
				"stacktrace": map[string]any{"frames": []any{map[string]any{"function": "f", "vars": flat()}}}}}},
		})
	}
	if text := s.everything(); strings.Contains(text, mark) || !strings.Contains(text, "[Filtered]") {
		at := max(strings.Index(text, mark), 0)
		t.Errorf("the API shows a secret: ... %s", text[max(at-80, 0):min(at+40, len(text))])
	}
	stop()
	if found := onDisk(t, dir, mark); len(found) > 0 {
		data, _ := os.ReadFile(filepath.Join(dir, found[0]))
		at := bytes.Index(data, []byte(mark))
		t.Errorf("secrets are in %v: ... %q", found, data[max(at-80, 0):min(at+40, len(data))])
	}
	if found := onDisk(t, dir, "anna@shop.example"); len(found) > 0 {
		t.Errorf("an e-mail address is in %v", found)
	}
}

// TestKeptPersonalData: what the configuration keeps is kept.
func TestKeptPersonalData(t *testing.T) {
	dir := t.TempDir()
	s, _ := openIn(t, dir, config.Config{Privacy: config.Privacy{Keep: []string{"email"}}})
	s.report("anna", nil)
	if len(onDisk(t, dir, "anna@shop.example")) == 0 {
		t.Error("the e-mail address is gone in spite of privacy.keep")
	}
}
