// Package notifytest is the conformance suite of the notify port. Every
// adapter that speaks HTTP runs it against a double of its service.
package notifytest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"serin/internal/notify"
)

// Service describes an adapter and how its service answers.
type Service struct {
	// Open returns the adapter for a service at url.
	Open func(t *testing.T, url string) notify.Notifier
	// Address is one that the adapter knows.
	Address string
	// Accept answers a request the way the service accepts a message.
	Accept http.HandlerFunc
	// Secret must be in no error.
	Secret string
}

// Run checks that an adapter keeps the contract.
func Run(t *testing.T, s Service) {
	status := func(code int, after string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if after != "" {
				w.Header().Set("Retry-After", after)
			}
			w.WriteHeader(code)
		}
	}
	for _, tc := range []struct {
		name      string
		answer    http.HandlerFunc
		delivered bool
		after     time.Duration
	}{
		{"accepted", s.Accept, true, 0},
		{"too many", status(http.StatusTooManyRequests, "7"), false, 7 * time.Second},
		{"unavailable", status(http.StatusServiceUnavailable, "30"), false, 30 * time.Second},
		{"broken", status(http.StatusInternalServerError, ""), false, 0},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(tc.answer)
			defer srv.Close()
			err := s.Open(t, srv.URL).Deliver(t.Context(), s.notice())
			if tc.delivered {
				if err != nil {
					t.Errorf("Deliver = %v, want nil", err)
				}
				return
			}
			s.wantTemporary(t, err, tc.after)
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		srv := httptest.NewServer(s.Accept)
		srv.Close()
		s.wantTemporary(t, s.Open(t, srv.URL).Deliver(t.Context(), s.notice()), 0)
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { cancel(); <-release }))
		defer srv.Close()
		defer close(release)
		s.wantTemporary(t, s.Open(t, srv.URL).Deliver(ctx, s.notice()), 0)
	})
	t.Run("unknown address", func(t *testing.T) {
		n := s.notice()
		n.Address += "-nobody"
		err := s.Open(t, "http://127.0.0.1:1").Deliver(t.Context(), n)
		if _, ok := notify.Temporary(err); err == nil || ok {
			t.Errorf("Deliver = %v, want a permanent error", err)
		}
	})
}

func (s Service) notice() notify.Notice {
	return notify.Notice{ID: "demo-1/7/team", Channel: "team", Address: s.Address, Rollout: "demo-1", Type: "rolled_back",
		Title: "demo rolled back", Text: "errors rose", At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func (s Service) wantTemporary(t *testing.T, err error, want time.Duration) {
	t.Helper()
	after, ok := notify.Temporary(err)
	if !ok || after != want {
		t.Errorf("Deliver = %v (temporary %v, after %v), want temporary after %v", err, ok, after, want)
	}
	if err != nil && s.Secret != "" && strings.Contains(err.Error(), s.Secret) {
		t.Errorf("the error holds the secret: %v", err)
	}
}
