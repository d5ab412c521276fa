package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"serin/internal/auth"
)

// TestSlowBodies: a client that never finishes its body is let go at every
// door; a stream that has lifted the limit lives on.
func TestSlowBodies(t *testing.T) {
	const limit = 50 * time.Millisecond
	readAll := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	ended := make(chan error, 1)
	mux := http.NewServeMux()
	mux.Handle("/", readAll)
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		out := http.NewResponseController(w)
		_ = out.SetReadDeadline(time.Time{})
		_ = out.Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(5 * limit):
		}
		ended <- r.Context().Err()
	})
	srv := httptest.NewServer(limitBody(route(mux, readAll), limit))
	t.Cleanup(srv.Close)
	for _, path := range []string{"/login", "/api/v1/plans", "/ofrep/v1/evaluate/flags", "/api/1/envelope/"} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{", path)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s: no answer to a body that does not end: %v", path, err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || !resp.Close {
			t.Errorf("%s: %s, connection kept: %v; want 400 and the end", path, resp.Status, !resp.Close)
		}
	}
	resp, err := http.Get(srv.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := <-ended; err != nil {
		t.Errorf("the stream ended by itself: %v", err)
	}
}

// TestFirstSecretsAreTheOwners: a file that is there already, open to all,
// does not get the first secrets.
func TestFirstSecretsAreTheOwners(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, BootstrapFile)
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Options{Data: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 || info.Size() < 100 {
		t.Errorf("%s has mode %v and %d bytes, want 0600 and the secrets", BootstrapFile, info.Mode(), info.Size())
	}
	if err := s.keepBootstrap(auth.Credentials{}); err != nil {
		t.Errorf("written again: %v", err)
	}
}
