package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"serin/internal/config"
	"serin/internal/server"
)

// TestSourcesAreListed: what the configuration names is in the answer of the
// API, and a test asks it.
func TestSourcesAreListed(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	defer site.Close()
	s := startWith(t, server.Options{Config: config.Config{Sources: map[string]config.Source{"shop": {Kind: "probe", URL: site.URL, AllowPrivate: true}}}})
	var list []struct{ Name, Kind string }
	s.ask(http.MethodGet, "/sources", nil, &list)
	if len(list) != 1 || list[0].Name != "shop" || list[0].Kind != "probe" {
		t.Errorf("sources: %+v", list)
	}
	if a := s.api(http.MethodPost, "/sources/shop/test", nil); a.status != http.StatusOK {
		t.Errorf("a test of it: %d %s", a.status, a.body)
	}
	if a := s.api(http.MethodPost, "/sources/none/test", nil); a.status != http.StatusNotFound {
		t.Errorf("a test of none: %d %s", a.status, a.body)
	}
}
