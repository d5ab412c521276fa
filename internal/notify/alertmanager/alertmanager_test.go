package alertmanager

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/notify"
	"serin/internal/notify/notifytest"
)

// double is an Alertmanager: it checks what its schema asks for and holds
// alerts by their labels until their end.
type double struct {
	mu    sync.Mutex // guards ends
	ends  map[string]time.Time
	token string
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (d *double) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/api/v2/alerts" || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not found", http.StatusNotFound)
		return
	}
	if d.token != "" && r.Header.Get("Authorization") != "Bearer "+d.token {
		http.Error(w, "unauthorized", http.StatusUnauthorized)
		return
	}
	var list []Alert
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range list {
		for name, value := range a.Labels {
			if !labelName.MatchString(name) || value == "" {
				http.Error(w, "invalid label set", http.StatusBadRequest)
				return
			}
		}
		if len(a.Labels) == 0 || a.EndsAt.Before(a.StartsAt) {
			http.Error(w, "start time must be before end time", http.StatusBadRequest)
			return
		}
		key, _ := json.Marshal(a.Labels)
		if d.ends != nil {
			d.ends[string(key)] = a.EndsAt
		}
	}
}

// active counts what fires at now, by severity.
func (d *double) active(now time.Time) map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]int{}
	for key, end := range d.ends {
		if end.After(now) {
			var labels map[string]string
			_ = json.Unmarshal([]byte(key), &labels)
			out[labels["severity"]]++
		}
	}
	return out
}

const token = "am-secret-token"

func open(t *testing.T, url string, now func() time.Time) *Notifier {
	t.Helper()
	n, err := New(Options{Endpoints: map[string]Endpoint{"main": {URL: url, Token: token, AllowPrivate: true}}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Service{
		Open:    func(t *testing.T, url string) notify.Notifier { return open(t, url, nil) },
		Address: "alertmanager:main", Secret: token, Accept: (&double{token: token}).ServeHTTP,
	})
}

func notice(kind, severity string, at time.Time) notify.Notice {
	return notify.Notice{ID: "alert/x/9/am", Thread: "alert/x/1/am", Address: "alertmanager:main", Type: kind, Title: "X", Severity: severity, At: at}
}

// An alert lives as long as it fires, whatever becomes of its severity, and
// over a restart of serin.
func TestLife(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d := &double{ends: map[string]time.Time{}, token: token}
	srv := httptest.NewServer(d)
	defer srv.Close()
	a := open(t, srv.URL, func() time.Time { return now })
	must := func(n notify.Notice) {
		t.Helper()
		if err := a.Deliver(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, want map[string]int) {
		t.Helper()
		if diff := cmp.Diff(want, d.active(now)); diff != "" {
			t.Errorf("%s: active alerts differ (-want +got):\n%s", when, diff)
		}
	}
	firing := notice("alert.firing", "p2", now)
	must(firing)
	for range 10 {
		now = now.Add(time.Minute)
		a.repeat(t.Context())
	}
	want("after ten minutes", map[string]int{"warning": 1})
	worse := notice("alert.firing", "p1", now)
	must(worse)
	want("worse", map[string]int{"critical": 1})
	a = open(t, srv.URL, func() time.Time { return now })
	a.Resume([]notify.Notice{firing, worse})
	for range 10 {
		now = now.Add(time.Minute)
		a.repeat(t.Context())
	}
	want("after a restart", map[string]int{"critical": 1})
	must(notice("alert.resolved", "p2", now))
	now = now.Add(time.Second)
	want("resolved", map[string]int{})
	a.repeat(t.Context())
	want("resolved stays so", map[string]int{})
	must(notify.Notice{ID: "r/1/am", Address: "alertmanager:main", Type: "rolled_back", Rollout: "r", Title: "r rolled back", At: now})
	want("news", map[string]int{"warning": 1})
	now = now.Add(2 * time.Hour)
	a.repeat(t.Context())
	want("old news", map[string]int{})
}

func TestRefused(t *testing.T) {
	srv := httptest.NewServer(&double{token: "another"})
	defer srv.Close()
	err := open(t, srv.URL, nil).Deliver(t.Context(), notice("alert.firing", "p1", time.Now()))
	if _, temporary := notify.Temporary(err); err == nil || temporary {
		t.Errorf("Deliver = %v, want a permanent error", err)
	}
}

func TestSetKeepsWhatFires(t *testing.T) {
	d := &double{ends: map[string]time.Time{}, token: token}
	srv := httptest.NewServer(d)
	defer srv.Close()
	a := open(t, srv.URL, nil)
	if err := a.Deliver(t.Context(), notice("alert.firing", "p1", time.Now())); err != nil {
		t.Fatal(err)
	}
	if err := a.Set(map[string]Endpoint{"main": {URL: "no url"}}); err == nil {
		t.Error("Set took an address that is no URL")
	}
	if err := a.Set(map[string]Endpoint{"main": {URL: srv.URL, Token: token, AllowPrivate: true}}); err != nil {
		t.Fatal(err)
	}
	if n := len(a.endpoint("alertmanager:main").firing); n != 1 {
		t.Errorf("%d alerts are kept alive, want 1", n)
	}
}

// TestRealAlertmanager hands alerts to Alertmanager itself, where it is installed.
func TestRealAlertmanager(t *testing.T) {
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Skip("prometheus-alertmanager is not installed")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "am.yml")
	if err := os.WriteFile(conf, []byte("route: { receiver: none }\nreceivers: [ { name: none } ]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "--config.file="+conf, "--storage.path="+dir, "--web.listen-address="+address, "--cluster.listen-address=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	a := open(t, "http://"+address, nil)
	firing := notice("alert.firing", "p1", time.Now().Add(-time.Second))
	deadline := time.Now().Add(20 * time.Second)
	for err = a.Deliver(ctx, firing); err != nil; err = a.Deliver(ctx, firing) {
		if time.Now().After(deadline) {
			t.Fatalf("Alertmanager does not take it: %v", err)
		}
		time.Sleep(50 * time.Millisecond) // a program of its own starts
	}
	active := func() (out []Alert) {
		t.Helper()
		resp, err := http.Get("http://" + address + "/api/v2/alerts?active=true")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := active(); len(got) != 1 || got[0].Labels["severity"] != "critical" || got[0].Annotations["summary"] != "X" {
		t.Errorf("Alertmanager holds %+v", got)
	}
	if err := a.Deliver(ctx, notice("alert.resolved", "p1", time.Now())); err != nil {
		t.Fatal(err)
	}
	if got := active(); len(got) != 0 {
		t.Errorf("after the end Alertmanager still holds %+v", got)
	}
}
