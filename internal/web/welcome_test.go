package web

import (
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
