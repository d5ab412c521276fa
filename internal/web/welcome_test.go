package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWelcomeTellsWhatArrived(t *testing.T) {
	for _, tt := range []struct {
		name string
		path string
		f    *fakeRollouts
		came func() Arrived
		done int // steps
		text []string
	}{
		{"not known", "/", &fakeRollouts{}, nil, 1, []string{"has no rollout yet"}},
		{"nothing", "/", &fakeRollouts{}, func() Arrived { return Arrived{} }, 1, []string{"No telemetry has arrived yet", "No app has read a flag yet"}},
		{"a flag", "/welcome", &fakeRollouts{}, func() Arrived { return Arrived{Flag: true} }, 2, []string{"No telemetry has arrived yet", "An app has read a flag"}},
		{"all", "/welcome", &fakeRollouts{views: fleet()}, func() Arrived { return Arrived{true, true} }, 4, []string{"Telemetry has arrived", "Three steps connect an app"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newWeb(t, tt.f)
			s.Options.Arrived, s.Logger = tt.came, slog.New(slog.NewTextHandler(t.Output(), nil))
			r := httptest.NewRequest(http.MethodGet, "http://localhost"+tt.path, nil)
			r.AddCookie(&http.Cookie{Name: CookieName, Value: goodCookie})
			w := httptest.NewRecorder()
			s.routes().ServeHTTP(w, r)
			page := w.Body.String()
			if done := strings.Count(page, `<li class="done">`); w.Code != http.StatusOK || done != tt.done {
				t.Errorf("status %d, %d steps done, want %d", w.Code, done, tt.done)
			}
			for _, text := range tt.text {
				if !strings.Contains(page, text) {
					t.Errorf("the page lacks %q", text)
				}
			}
		})
	}
}

// TestWelcomeFollowsAUser: the page shows the diagnosis's steps, and whoever
// types nonsense is told what is missing.
func TestWelcomeFollowsAUser(t *testing.T) {
	steps := []DiagnosisStep{
		{"flag", "ok", `<b>u-1</b> gets new`, ""}, {"key", "not checked", "no key was given", ""},
		{"fetch", "missing", "no app asked", "open the app"}, {"clock", "wrong", "stamped in the future", "set the clock"},
	}
	s := newWeb(t, &fakeRollouts{})
	var asked []string
	var fails error
	s.Doctor = func(_ context.Context, flag, user string) (Diagnosis, error) {
		asked = append(asked, flag+" "+user)
		return Diagnosis{OK: len(steps) == 1, Steps: steps}, fails
	}
	says := func(path string, code int, texts ...string) {
		t.Helper()
		w := get(t, s, path)
		if w.Code != code {
			t.Fatalf("%s: %d, want %d", path, w.Code, code)
		}
		for _, text := range texts {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s lacks %q", path, text)
			}
		}
		if code == http.StatusOK && !strings.Contains(path, "fragment") {
			checkMarkup(t, w.Body.String())
		}
	}
	says("/welcome", 200, `action="/welcome#follow"`, "from the flag to the rules")
	says("/", 200, `action="/welcome#follow"`)
	says("/welcome?user=u-1&flag=", 200, "Type both")
	says("/welcome?user=&flag=x", 200, "Type both")
	says("/welcome?flag=x&user="+strings.Repeat("u", 201), 200, "at most 200 characters")
	if len(asked) != 0 {
		t.Fatalf("asked for %v", asked)
	}
	says("/welcome?user=+u-1&flag=newCheckout", 200, "&lt;b&gt;u-1&lt;/b&gt; gets new", "Missing", "Wrong", "Not checked", "open the app", "data-poll",
		"looked at again", "serin doctor --flag newCheckout --user u-1", `value="u-1"`)
	says("/welcome?user=u-1&flag=newCheckout&fragment=page", 200, "data-poll", "Missing")
	steps = steps[:1]
	says("/welcome?user=u-1&flag=newCheckout", 200, "all is well")
	if len(asked) != 3 || asked[0] != "newCheckout u-1" {
		t.Errorf("asked for %q", asked)
	}
	fails = errors.New("disk is gone")
	says("/welcome?user=u-1&flag=newCheckout", 500)
	s.Doctor = nil
	says("/welcome?user=u-1&flag=x", 200, "serin doctor --flag KEY")
}
