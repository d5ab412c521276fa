package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getsentry/sentry-go"
	"github.com/google/go-cmp/cmp"

	"serin/internal/rollout"
	"serin/internal/server"
	"serin/internal/store"
)

// TestKillAndRestart kills the real program in the middle of telemetry and
// starts it again on the same directory.
func TestKillAndRestart(t *testing.T) {
	p := build(t)
	p.serve()
	id := "checkout-1"
	file := filepath.Join(t.TempDir(), "checkout.yaml")
	if err := os.WriteFile(file, []byte(checkoutPlan), 0o600); err != nil {
		t.Fatal(err)
	}
	p.serin("rollout", "create", file)
	p.serin("rollout", "complete", id, "sign-off")
	p.serin("rollout", "start", id)
	s := p.site()
	in, out := s.users("newCheckout")
	before := s.view(id).State

	acks := &ledger{sent: map[string][]byte{}, acked: map[string]bool{}}
	users := []string{in, out}
	var senders sync.WaitGroup
	for i := range 4 {
		client := acks.client(t, s.boot.DSN)
		senders.Go(func() {
			for n := 0; !acks.down(); n++ {
				crash(client, users[(i+n)%2], (i+n)%2 == 0)
			}
		})
	}
	eventually(t, "events are acknowledged", func() error {
		if n := acks.count(); n < 40 {
			return fmt.Errorf("%d so far", n)
		}
		return nil
	})
	p.kill() // the senders are still at it, and see their connections end
	senders.Wait()

	p.serve()
	s = p.site()
	after := s.view(id).State
	if d := cmp.Diff([]any{before.Status, before.Stage, before.Exposure, before.Attempt, before.PlanHash}, []any{after.Status, after.Stage, after.Exposure, after.Attempt, after.PlanHash}); d != "" {
		t.Errorf("state after the restart (-before +after):\n%s", d)
	}
	if on, _ := s.flagOf("newCheckout", in); !on {
		t.Errorf("%s was on the new version and is not after the restart", in)
	}
	if on, _ := s.flagOf("newCheckout", out); on {
		t.Errorf("%s was on the old version and is not after the restart", out)
	}
	if c := s.counters(); c["counted"] < int64(acks.count()) {
		t.Errorf("counted after the restart: %d, but %d were acknowledged", c["counted"], acks.count())
	}

	// What nobody was told about is sent again, and so is everything else:
	// each event counts once.
	for _, body := range acks.sent {
		if a := s.envelope(body); a.status != http.StatusOK {
			t.Fatalf("sent again: %d %s", a.status, a.body)
		}
	}
	distinct := int64(len(acks.sent))
	if c := s.counters(); c["counted"] != distinct || c["duplicate"] < int64(acks.count()) {
		t.Errorf("after sending all %d again (%d had been acknowledged): counters %v", distinct, acks.count(), c)
	}
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues?rollout="+id, nil, &issues)
	var found int64
	for _, i := range issues {
		found += i.Events
	}
	if found != distinct {
		t.Errorf("issues hold %d events, want %d", found, distinct)
	}
	t.Logf("%d events sent, %d acknowledged before the kill", distinct, acks.count())

	p.serin("rollout", "rollback", id, "--reason", "enough seen")
	if on, _ := s.flagOf("newCheckout", in); on || s.view(id).State.Status != rollout.RolledBack {
		t.Errorf("after the rollback: flag of %s is %v, status %s", in, on, s.view(id).State.Status)
	}
}

// program is the built binary with a data directory.
type program struct {
	t                  *testing.T
	path, data, listen string
	running            *exec.Cmd
	log                *bytes.Buffer
}

// build builds the binary and picks a port that it keeps over restarts.
func build(t *testing.T) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "serin")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "serin/cmd/serin").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	p := &program{t: t, path: path, data: t.TempDir(), listen: l.Addr().String()}
	t.Cleanup(func() {
		if p.running != nil {
			p.kill()
		}
	})
	return p
}

// serve starts the server and waits until it is ready.
func (p *program) serve() {
	p.t.Helper()
	p.log = &bytes.Buffer{}
	p.running = exec.Command(p.path, "serve", "--data", p.data, "--listen", p.listen)
	p.running.Stdout, p.running.Stderr = p.log, p.log
	if err := p.running.Start(); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the server is ready", func() error {
		resp, err := http.Get("http://" + p.listen + "/readyz")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	})
}

// kill is SIGKILL: the program gets no chance to put anything in order.
func (p *program) kill() {
	p.t.Helper()
	if err := p.running.Process.Kill(); err != nil {
		p.t.Errorf("kill: %v; it said %s", err, p.log)
	}
	_ = p.running.Wait() // killed, which is no news
	p.running = nil
}

// serin runs a command line against the server.
func (p *program) serin(args ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), p.path, append([]string{"--data", p.data}, args...)...)
	cmd.Env = []string{"HOME=" + p.data}
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("serin %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// site is the server as its API shows it.
func (p *program) site() *site {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.data, server.BootstrapFile))
	if err != nil {
		p.t.Fatal(err)
	}
	s := &site{t: p.t, url: "http://" + p.listen}
	if err := json.Unmarshal(data, &s.boot); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// ledger is what a client knows of its events: each envelope sent, and those
// that were answered with 200.
type ledger struct {
	mu    sync.Mutex // guards the fields below
	sent  map[string][]byte
	acked map[string]bool
	gone  bool // the server does not answer any more
}

// client is Sentry's SDK with the ledger between it and the network.
func (l *ledger) client(t *testing.T, dsn string) *sentry.Client {
	t.Helper()
	c, err := sentry.NewClient(sentry.ClientOptions{Dsn: dsn, Environment: "production", Release: "shop@1", Transport: sentry.NewHTTPSyncTransport(), HTTPTransport: l})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RoundTrip notes what is sent and what is acknowledged.
func (l *ledger) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	plain := body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		if plain, err = io.ReadAll(z); err != nil {
			return nil, err
		}
	}
	var head struct {
		ID string `json:"event_id"`
	}
	if err := json.NewDecoder(bytes.NewReader(plain)).Decode(&head); err != nil || head.ID == "" {
		return nil, fmt.Errorf("envelope without an id: %w", err)
	}
	l.mu.Lock()
	l.sent[head.ID] = plain
	l.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := http.DefaultTransport.RoundTrip(r)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.gone = true
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		l.acked[head.ID] = true
	}
	return resp, nil
}

func (l *ledger) count() int { l.mu.Lock(); defer l.mu.Unlock(); return len(l.acked) }
func (l *ledger) reopen()    { l.mu.Lock(); defer l.mu.Unlock(); l.gone = false }
func (l *ledger) down() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.gone }

// crash reports an error of a user, as an application does.
func crash(client *sentry.Client, user string, on bool) {
	scope := sentry.NewScope()
	scope.SetUser(sentry.User{ID: user, Data: map[string]string{"role": "admin"}})
	scope.SetContext("flags", map[string]any{"values": []map[string]any{{"flag": "newCheckout", "result": on}}})
	client.CaptureException(errors.New("pool exhausted"), nil, scope)
}
