package ofrep

import (
	"net/http/httptest"
	"strings"
	"testing"

	"serin/internal/hub"
)

// TestServed: the hub hears of the first answer with the new configuration,
// whatever the form of the request, and not of one that the client cannot see.
func TestServed(t *testing.T) {
	type request struct{ path, key string }
	for name, tt := range map[string]struct {
		await string
		ask   []request
		calls int
	}{
		"single":           {"on", []request{{"/on", "server"}}, 1},
		"single, escaped":  {"team/key", []request{{"/team%2Fkey", "server"}}, 1},
		"another flag":     {"on", []request{{"/nl", "server"}}, 0},
		"bulk":             {"nl", []request{{"", "server"}}, 1},
		"hidden from page": {"team/key", []request{{"", "page"}, {"/team%2Fkey", "page"}}, 0},
		"page":             {"on", []request{{"", "page"}}, 1},
		"unknown key":      {"on", []request{{"", "nobody"}, {"/on", "nobody"}}, 0},
		"often":            {"on", []request{{"", "server"}, {"/on", "page"}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			h, calls := hub.New(), 0
			h.Publish(compileFlags(t, 7, testFlags))
			h.Await(tt.await, 7, func() { calls++ })
			for _, r := range tt.ask {
				ask(t, h, r.path, r.key, "")
			}
			if calls != tt.calls {
				t.Errorf("called %d times, want %d", calls, tt.calls)
			}
		})
	}
}

// TestServedUnchanged: a client whose answers are those of the new
// configuration already says so with its ETag.
func TestServedUnchanged(t *testing.T) {
	h, calls := hub.New(), 0
	h.Publish(compileFlags(t, 7, testFlags))
	tag := ask(t, h, "", "server", "").Header().Get("ETag")
	h.Await("on", 7, func() { calls++ })
	if w := ask(t, h, "", "server", tag); w.Code != 304 || calls != 1 {
		t.Errorf("status %d, called %d times", w.Code, calls)
	}
}

// ask does one evaluation without a network.
func ask(t *testing.T, h *hub.Hub, path, key, tag string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", bulkPath+path, strings.NewReader(`{"context":{"targetingKey":"u"}}`))
	r.Header.Set("Authorization", "Bearer "+key)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	New(Options{Hub: h, Keys: keys{}}).ServeHTTP(w, r)
	return w
}
