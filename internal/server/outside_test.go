package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/config"
	"serin/internal/rollout"
	"serin/internal/server"
)

// hookKey makes a key for another system's alerts.
func (s *site) hookKey(notify ...string) string {
	s.t.Helper()
	var out struct{ Secret string }
	s.ask(http.MethodPost, "/tokens", map[string]any{"name": "alertmanager", "kind": "hook", "notify": notify}, &out)
	return out.Secret
}

// tell posts to a hook and returns the status.
func tell(t *testing.T, url, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestOutsideAlertRollsBack: an alert of Prometheus is a rollback rule of a plan.
func TestOutsideAlertRollsBack(t *testing.T) {
	t.Parallel()
	s := start(t, 60)
	id := s.create(strings.Replace(checkoutPlan, "rollback: [p1 > 50 over 6h]", "metrics: { slow: { gauge: HighLatency, source: alertmanager } }\nrollback: [p1 > 50 over 6h, slow > 0 for 1m]", 1))
	s.do(id, rollout.Complete, "item", "sign-off")
	hooks := s.url + "/hooks/alertmanager/"
	if code := tell(t, hooks+"wrong", "[]"); code != http.StatusUnauthorized {
		t.Errorf("an unknown key answers %d", code)
	}
	key := s.hookKey("dashboard")
	if code := tell(t, hooks+key+"/api/v2/alerts", `[{"labels":{"alertname":"Watchdog"}}]`); code != http.StatusOK {
		t.Fatalf("the v2 call answers %d", code)
	}
	s.do(id, rollout.Start)
	if code := tell(t, hooks+key, `{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"HighLatency","severity":"critical","serin_rollout":"checkout"},"annotations":{"summary":"p99 is 4 s"},"startsAt":"2026-01-01T00:00:00Z"}]}`); code != http.StatusOK {
		t.Fatalf("the webhook answers %d", code)
	}
	eventually(t, "the rollout is rolled back", func() error {
		if v := s.view(id); v.State.Status != rollout.RolledBack {
			return fmt.Errorf("%s: %+v", v.State.Status, v.Rollback)
		}
		return nil
	})
	var v alerting.View
	s.ask(http.MethodGet, "/alerts/alertmanager.1.highlatency", nil, &v)
	if v.Phase != alert.Firing || len(v.Groups) != 1 || v.Groups[0].Severity != "p1" || v.Groups[0].Why != "p99 is 4 s" {
		t.Errorf("the alert: %+v", v)
	}
	s.ask(http.MethodPost, "/alerts/alertmanager.1.highlatency/ack", map[string]any{"reason": "looking"}, &v)
	if v.Groups[0].AckedBy == "" {
		t.Errorf("it is not acknowledged: %+v", v.Groups[0])
	}
}

// TestRealAlertmanager: Alertmanager itself tells of its alerts, and is told of
// serin's; what it was told by serin does not come back as an alert.
func TestRealAlertmanager(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		t.Skip("prometheus-alertmanager is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_ = l.Close()
	s := startWith(t, server.Options{Config: config.Config{Alertmanagers: map[string]config.Alertmanager{"main": {URL: "http://" + at, AllowPrivate: true}}}})
	key := s.hookKey("alertmanager:main")
	dir := t.TempDir()
	conf := filepath.Join(dir, "am.yml")
	text := fmt.Sprintf("route: { receiver: serin, group_wait: 0s, group_interval: 1s, group_by: [alertname] }\nreceivers: [ { name: serin, webhook_configs: [ { url: %q, send_resolved: true } ] } ]\n", s.url+"/hooks/alertmanager/"+key)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, "--config.file="+conf, "--storage.path="+dir, "--web.listen-address="+at, "--cluster.listen-address=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = cmd.Wait() }()
	fire := func(ends time.Time) error {
		body, _ := json.Marshal([]map[string]any{{"labels": map[string]string{"alertname": "HighLatency", "severity": "warning"}, "endsAt": ends}})
		resp, err := http.Post("http://"+at+"/api/v2/alerts", "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("alertmanager answers %s", resp.Status)
		}
		return nil
	}
	eventually(t, "Alertmanager takes an alert", func() error { return fire(time.Now().Add(time.Hour)) })
	phase := func(want alert.Phase) func() error {
		return func() error {
			var all []alerting.View
			s.ask(http.MethodGet, "/alerts", nil, &all)
			if len(all) != 1 || all[0].ID != "alertmanager.1.highlatency" || all[0].Phase != want {
				return fmt.Errorf("%+v", all)
			}
			return nil
		}
	}
	own := func(want int) func() error {
		return func() error {
			resp, err := http.Get("http://" + at + "/api/v2/alerts?active=true&filter=alertname%3DSerinAlert")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			var list []struct{ Labels map[string]string }
			if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list) != want {
				return fmt.Errorf("%+v (%v)", list, err)
			}
			return nil
		}
	}
	eventually(t, "the alert fires here", phase(alert.Firing))
	eventually(t, "serin's own alert is there", own(1))
	if err := fire(time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is over here", phase(alert.Resolved))
	eventually(t, "serin's own is over", own(0))
}
