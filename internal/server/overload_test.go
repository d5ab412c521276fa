package server_test

import (
	"context"
	"database/sql"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"serin/internal/evidence"
	"serin/internal/server"
)

// TestOverload: while the disk stands still, errors are refused by category
// once the queue is full, sessions are not, and health is green. When it moves
// again everything that was not refused is stored, and errors are taken.
func TestOverload(t *testing.T) {
	dir := t.TempDir()
	s := startIn(t, dir)
	db, err := sql.Open("sqlite", filepath.Join(dir, server.DatabaseFile)+waits)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	disk, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}

	var posts sync.WaitGroup
	refused := make(chan answer, 100)
	var mu sync.Mutex
	taken := 0
	post := func(n int) {
		a := s.envelope(errorEnvelope(eventID(n), "u", "f", true))
		switch a.status {
		case http.StatusOK:
			mu.Lock()
			taken++
			mu.Unlock()
		case http.StatusTooManyRequests:
			refused <- a
		default:
			t.Errorf("errors: %d %s %s", a.status, a.body, a.header)
		}
	}
	for n := range 60 { // the queue holds 20, the commit under way 5
		posts.Go(func() { post(n) })
	}
	var a answer
	select {
	case a = <-refused:
	case <-time.After(patience):
		t.Fatal("nothing was refused")
	}
	if got := a.header.Get("X-Sentry-Rate-Limits"); !strings.Contains(got, ":error:") || a.header.Get("Retry-After") == "" {
		t.Errorf("refused with X-Sentry-Rate-Limits %q, Retry-After %q", got, a.header.Get("Retry-After"))
	}
	if a := s.must(http.MethodGet, "/healthz", nil); a.status != http.StatusOK {
		t.Errorf("health: %d %s", a.status, a.body)
	}
	// What is dearest is refused first, by name; a limit without a name would
	// silence a client altogether.
	if a := s.envelope(vitalEnvelope(1)); a.status != http.StatusTooManyRequests || !strings.Contains(a.header.Get("X-Sentry-Rate-Limits"), ":span;transaction:") {
		t.Errorf("page loads: %d with X-Sentry-Rate-Limits %q", a.status, a.header.Get("X-Sentry-Rate-Limits"))
	}
	for name, item := range map[string]string{
		"feedback":      `{"type":"feedback"}` + "\n" + `{"contexts":{"feedback":{"message":"it hangs"}}}`,
		"client report": `{"type":"client_report"}` + "\n" + `{"discarded_events":[{"reason":"queue_overflow","category":"error","quantity":3}]}`,
		"check-in":      `{"type":"check_in"}` + "\n" + `{"check_in_id":"83a7c03ed0a04e1b97e2e3b18d38f244","monitor_slug":"nightly","status":"ok"}`,
	} {
		posts.Go(func() {
			if a := s.envelope([]byte("{}\n" + item + "\n")); a.status != http.StatusOK {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		})
	}
	session := []byte("{}\n{\"type\":\"session\"}\n{\"sid\":\"7c7b6585-f901-4351-bf8d-02711b721929\",\"did\":\"u\",\"init\":true,\"status\":\"ok\",\"started\":\"2026-03-02T09:00:00Z\",\"attrs\":{\"release\":\"shop@1\"}}\n")
	posts.Go(func() {
		if a := s.envelope(session); a.status != http.StatusOK {
			t.Errorf("session: %d %s", a.status, a.body)
		}
	})
	if _, err := disk.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	posts.Wait()
	post(1000)
	c := s.counters()
	if int(c["counted:error"]) != taken || taken == 0 || c["counted:session"] != 1 || c["counted:feedback"] != 1 || c["counted:loss"] != 1 || c["counted:check_in"] != 1 || c["refused"] == 0 {
		t.Errorf("200 for %d errors, counters %v", taken, c)
	}
}

// startIn runs a server on the system's clock with its data in dir.
func startIn(t *testing.T, dir string) *site {
	t.Helper()
	srv, err := server.New(t.Context(), server.Options{Data: dir, Listen: "127.0.0.1:0", Version: "test",
		Limits: evidence.Limits{Queue: 20, Group: 5}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("server ended with: %v", err)
		}
	})
	return &site{t: t, url: srv.URL(), boot: *srv.Bootstrap()}
}
