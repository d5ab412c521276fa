package server

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"serin/internal/config"
	"serin/internal/health"
)

// running runs a server until the test ends; end may be called before.
func running(t *testing.T, o Options) (s *Server, end func()) {
	t.Helper()
	o.Data = t.TempDir()
	s, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, stop
}

// reasons asks a server's own handler for /readyz.
func reasons(t *testing.T, s *Server) (ready bool, names []string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil)
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	s.entrances[len(s.entrances)-1].http.Handler.ServeHTTP(w, r)
	var report health.Report
	if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	for _, x := range report.Reasons {
		names = append(names, string(x.Level)+" "+x.Name)
	}
	return report.Ready, names
}

// until waits until /readyz is ready or not and tells a reason.
func until(t *testing.T, s *Server, ready bool, reason string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); ; <-tick.C {
		got, names := reasons(t, s)
		if got == ready && (reason == "" || slices.Contains(names, reason)) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("ready %v, reasons %v; want %v, %q", got, names, ready, reason)
		}
	}
}

// TestReadyCertificate serves certificates that end soon, and that have ended.
func TestReadyCertificate(t *testing.T) {
	for _, tt := range []struct {
		life   time.Duration
		ready  bool
		reason string
	}{
		{30 * 24 * time.Hour, true, ""},
		{6 * 24 * time.Hour, true, "warning " + health.CertExpiring},
		{-time.Minute, false, "error " + health.CertExpired},
	} {
		t.Run(tt.life.String(), func(t *testing.T) {
			dir, ca := t.TempDir(), newAuthority(t)
			ca.life = tt.life
			cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
			ca.issue(cert, key)
			s, _ := running(t, Options{Listen: "127.0.0.1:0", Config: config.Config{TLS: config.TLS{Cert: cert, Key: key}}})
			until(t, s, tt.ready, tt.reason)
			if _, names := reasons(t, s); tt.reason == "" && len(names) > 0 {
				t.Errorf("reasons %v, want none", names)
			}
		})
	}
}

// TestReadyACME: nobody answers at the authority; names that are not the
// server's say nothing about it.
func TestReadyACME(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	directory := fmt.Sprintf("https://%s/directory", l.Addr())
	_ = l.Close()
	s, _ := running(t, Options{Listen: "127.0.0.1:0", Config: config.Config{TLS: config.TLS{ACME: config.ACME{Hosts: []string{"serin.example.com"}, Directory: directory}}}})
	shake := func(name string) {
		conn, err := tls.Dial("tcp", s.entrances[0].listener.Addr().String(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err == nil {
			_ = conn.Close()
			t.Fatalf("a certificate of %s came from nowhere", name)
		}
	}
	shake("evil.example.com")
	until(t, s, true, "")
	if _, names := reasons(t, s); len(names) > 0 {
		t.Errorf("a stranger's name is told of: %v", names)
	}
	shake("serin.example.com")
	until(t, s, true, "warning "+health.ACME)
}

// TestReadyWhileStopping: a server that waits for the end of a request says
// that it stops.
func TestReadyWhileStopping(t *testing.T) {
	s, stop := running(t, Options{Listen: "127.0.0.1:0"})
	until(t, s, true, "")
	conn, err := net.Dial("tcp", s.entrances[0].listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname="); err != nil {
		t.Fatal(err)
	}
	stop()
	until(t, s, false, "error "+health.Stopping)
	for range 20 { // what comes over open connections still gets its answer
		w := httptest.NewRecorder()
		s.entrances[0].http.Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/login", nil))
		if w.Code != http.StatusOK {
			t.Fatalf("a request while the server stops: %d %s", w.Code, w.Body)
		}
	}
	_ = conn.Close()
}

// TestReloadTakesOver: limits, retention and budget go by what was read
// again; what needs a restart stays and is named.
func TestReloadTakesOver(t *testing.T) {
	var log logged
	before := config.Config{Listen: "127.0.0.1:0", Limits: config.Limits{Flags: 3}}
	s, err := New(t.Context(), Options{Data: t.TempDir(), Config: before, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	flags, telemetry := s.limits.flags.rate.Load(), s.limits.telemetry.rate.Load()
	next := config.Config{Listen: "127.0.0.1:1", Limits: config.Limits{Flags: 7}, Retention: config.Retention{Samples: "3d"},
		Disk: config.Disk{Budget: "1GB"}, OIDC: config.OIDC{Issuer: "https://id.example", ClientID: "x"}}
	if err := s.Reload(next); err != nil {
		t.Fatal(err)
	}
	if s.limits.flags.rate.Load() == flags || s.limits.telemetry.rate.Load() != telemetry {
		t.Error("the limit of flags is not taken over, or that of telemetry forgot what it counted")
	}
	if p := s.keeper.Policy(); p.Ages.Samples != 72*time.Hour || p.Room.Budget != 1e9 || p.Ages.Evidence != config.DefaultAges.Evidence {
		t.Errorf("policy %+v", p)
	}
	for i, want := range []string{"[disk.budget limits.flags retention.samples]", "[listen oidc.client_id oidc.issuer]"} {
		if got := log.attr("configuration read again", []string{"taken over", "restart to apply"}[i]); got != want {
			t.Errorf("the log says %s, want %s", got, want)
		}
	}
	if err := s.Reload(config.Config{Disk: config.Disk{Budget: "lots"}}); err == nil || s.keeper.Policy().Room.Budget != 1e9 {
		t.Errorf("a faulty budget: %v, %+v", err, s.keeper.Policy())
	}
}
