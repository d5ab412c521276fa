// Package sourcetest is the conformance suite of the source port. Every adapter
// runs it against a double of what it asks.
package sourcetest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"serin/internal/outbound"
	"serin/internal/source"
)

// Service describes an adapter and how what it asks answers.
type Service struct {
	// Open returns the adapter for a service at url, asked by client.
	Open func(t *testing.T, url string, client *outbound.Client) source.Source
	// Query is one that Good answers with a value.
	Query source.Query
	Good  http.HandlerFunc
	// DownIsValue: what cannot be reached is a bad value, not an error.
	DownIsValue bool
}

// secret must be in no error.
const secret = "s3cret-token"

// Run checks that an adapter keeps the contract of source.Source.
func Run(t *testing.T, s Service) {
	client := func(t *testing.T, o outbound.Options) *outbound.Client {
		t.Helper()
		if o.Timeout == 0 {
			o.Timeout = 5 * time.Second
		}
		c, err := outbound.NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	local := outbound.Guard{Allow: outbound.Private}
	t.Run("an answer for each query", func(t *testing.T) {
		var credentials string
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			credentials = r.Header.Get("Authorization")
			s.Good(w, r)
		}))
		defer srv.Close()
		got := s.Open(t, srv.URL, client(t, outbound.Options{Guard: local, Token: secret})).Fetch(t.Context(), []source.Query{s.Query, s.Query})
		if len(got) != 2 || got[0].Err != nil || got[1].Err != nil {
			t.Errorf("got %+v, want two values", got)
		}
		if credentials != "Bearer "+secret {
			t.Errorf("Authorization = %q", credentials)
		}
	})
	broken := map[string]http.HandlerFunc{
		"server error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"hangs up":     func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"redirect to another host": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusTemporaryRedirect)
		},
		"redirects without end": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusTemporaryRedirect)
		},
	}
	for name, handler := range broken {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(handler)
			defer srv.Close()
			got := s.Open(t, srv.URL+"/path?key="+secret, client(t, outbound.Options{Guard: local})).Fetch(t.Context(), []source.Query{s.Query})
			s.wantNone(t, got)
		})
	}
	t.Run("late", func(t *testing.T) {
		release := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer srv.Close()
		defer close(release)
		s.wantNone(t, s.Open(t, srv.URL, client(t, outbound.Options{Guard: local, Timeout: 20 * time.Millisecond})).Fetch(t.Context(), []source.Query{s.Query}))
	})
	t.Run("cancelled", func(t *testing.T) {
		srv := httptest.NewServer(s.Good)
		defer srv.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := s.Open(t, srv.URL, client(t, outbound.Options{Guard: local})).Fetch(ctx, []source.Query{s.Query}); got[0].Err == nil {
			t.Errorf("got %+v, want an error", got)
		}
	})
	t.Run("private address", func(t *testing.T) {
		called := false
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
		defer srv.Close()
		got := s.Open(t, srv.URL, client(t, outbound.Options{})).Fetch(t.Context(), []source.Query{s.Query})
		if called || got[0].Err == nil || !strings.Contains(got[0].Err.Error(), "not public") {
			t.Errorf("called %t, got %+v", called, got)
		}
	})
}

// wantNone expects that there is no good value, and no secret in the reason.
func (s Service) wantNone(t *testing.T, got []source.Answer) {
	t.Helper()
	if len(got) != 1 {
		t.Fatalf("got %d answers, want 1", len(got))
	}
	a := got[0]
	if s.DownIsValue {
		if a.Err != nil || a.Value.Number != 0 || a.Value.Text == "" {
			t.Errorf("got %+v, want a bad probe and why", a)
		}
	} else if a.Err == nil {
		t.Errorf("got %+v, want an error", a)
	}
	if a.Err != nil && strings.Contains(a.Err.Error(), secret) || strings.Contains(a.Value.Text, secret) {
		t.Errorf("a secret is in %+v", a)
	}
}
