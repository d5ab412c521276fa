package server

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"serin/internal/config"
)

func TestClientAddress(t *testing.T) {
	c := config.Config{TrustedProxies: []string{"10.0.0.0/8", "2001:db8::1"}}
	trusted, err := c.Proxies()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "203.0.113.9:1", []string{"198.51.100.1"}, "203.0.113.9:1"},
		{"one proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1:0"},
		{"a client's claim before the proxy's word", "10.0.0.1:1", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1:0"},
		{"two proxies", "10.0.0.1:1", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1:0"},
		{"two headers", "10.0.0.1:1", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1:0"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3"}, "10.0.0.3:0"},
		{"with a port", "[2001:db8::1]:1", []string{"198.51.100.1:4711"}, "198.51.100.1:0"},
		{"mapped", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1:0"},
		{"nonsense", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1:1"},
		{"nothing", "10.0.0.1:1", nil, "10.0.0.1:1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var p proxies
			p.set(trusted)
			var got string
			h := p.resolve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }))
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tt.peer
			r.Header["X-Forwarded-For"] = tt.forwarded
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
