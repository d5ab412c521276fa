package probe

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"serin/internal/outbound"
	"serin/internal/source"
	"serin/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Service{
		Open: func(t *testing.T, url string, c *outbound.Client) source.Source {
			s, err := New(Options{URL: url, Client: c})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Good:        func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") },
		DownIsValue: true,
	})
}

func TestExpectations(t *testing.T) {
	for _, tt := range []struct {
		name   string
		o      Options
		answer http.HandlerFunc
		why    string // "" = good
	}{
		{"any of 200", Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, ""},
		{"other status", Options{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "it answers 404"},
		{"expected status", Options{Status: 401}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, ""},
		{"not the expected status", Options{Status: 401}, func(http.ResponseWriter, *http.Request) {}, "it answers 200, not 401"},
		{"text", Options{Body: "fine"}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all is fine") }, ""},
		{"no text", Options{Body: "fine"}, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "oh") }, "does not hold the text"},
		{"HEAD", Options{Method: "HEAD"}, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodHead {
				w.WriteHeader(http.StatusTeapot)
			}
		}, ""},
		{"redirect on the host", Options{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/login", http.StatusFound)
			}
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.answer)
			defer srv.Close()
			c, err := outbound.NewClient(outbound.Options{Guard: outbound.Guard{Allow: outbound.Private}, Timeout: 5 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			tt.o.URL, tt.o.Client = srv.URL+"/", c
			s, err := New(tt.o)
			if err != nil {
				t.Fatal(err)
			}
			a := s.Fetch(t.Context(), []source.Query{{}})[0]
			if a.Err != nil || (a.Value.Number == 1) != (tt.why == "") || !strings.Contains(a.Value.Text, tt.why) {
				t.Errorf("got %+v, want %q", a, tt.why)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	c, err := outbound.NewClient(outbound.Options{Guard: outbound.Guard{Allow: outbound.Private}, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{URL: srv.URL, Client: c})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Fetch(t.Context(), []source.Query{{}})[0]; a.Err != nil || a.Value.Number != 0 || !strings.Contains(a.Value.Text, "certificate") {
		t.Errorf("a certificate that nobody knows: %+v", a)
	}
}

func TestNew(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{URL: "https://app.example", Method: "POST"}, "write GET or HEAD"},
		{Options{URL: "https://app.example", Method: "HEAD", Body: "x"}, "write method: GET"},
		{Options{URL: "https://app.example", Status: 99}, "from 100 to 599"},
		{Options{URL: "ftp://app.example"}, "https://HOST"},
		{Options{URL: "https://u:p@app.example"}, "by their own keys"},
	} {
		if _, err := New(tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.o, err, tt.want)
		}
	}
}
