package hooks_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/hooks"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func labels(pairs ...string) alert.Labels {
	var out alert.Labels
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, alert.Label{Name: pairs[i], Value: pairs[i+1]})
	}
	return out
}

func TestDecodeWebhook(t *testing.T) {
	got, err := hooks.DecodeWebhook(read(t, "alertmanager-v4.json"), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []alerting.Outside{
		{Name: "HighErrorRate", Told: alert.Told{Labels: labels("instance", "web-1", "serin_rollout", "checkout", "severity", "critical"), Severity: "p1",
			Starts: time.Date(2026, 3, 2, 8, 55, 0, 0, time.UTC), Until: now.Add(7 * 24 * time.Hour), Why: "5 % of requests fail", Link: "http://prometheus.example:9090/graph?g0.expr=x"}},
		{Name: "HighErrorRate", Told: alert.Told{Labels: labels("instance", "web-2", "severity", "warning"), Severity: "p3",
			Starts: time.Date(2026, 3, 2, 8, 50, 0, 0, time.UTC), Ended: time.Date(2026, 3, 2, 8, 58, 0, 0, time.UTC), Why: "was high"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts differ (-want +got); what serin sent itself must be left aside:\n%s", diff)
	}
}

func TestDecodeV2(t *testing.T) {
	got, err := hooks.DecodeV2([]byte(`[
		{"labels":{"alertname":"A","x":""},"startsAt":"2026-03-02T08:59:00Z","endsAt":"2026-03-02T09:04:00Z"},
		{"labels":{"severity":"page"}},
		{"labels":{"alertname":"A"},"endsAt":"2026-03-02T08:59:30Z","generatorURL":"javascript:alert(1)"},
		{"labels":{"alertname":"SerinAlert","thread":"x"}}]`), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []alerting.Outside{
		{Name: "A", Told: alert.Told{Labels: alert.Labels{}, Severity: "p2", Starts: now.Add(-time.Minute), Until: now.Add(4 * time.Minute)}},
		{Name: "unnamed alert", Told: alert.Told{Labels: labels("severity", "page"), Severity: "p1", Starts: now, Until: now.Add(5 * time.Minute)}},
		{Name: "A", Told: alert.Told{Labels: alert.Labels{}, Severity: "p2", Starts: now, Ended: now.Add(-30 * time.Second)}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alerts differ (-want +got):\n%s", diff)
	}
}

func TestDecodeRefuses(t *testing.T) {
	many := `{"labels":{` + strings.TrimSuffix(strings.Repeat(`"l%d":"v",`, 1), ",") + `}}`
	for i := range 61 {
		many = strings.Replace(many, `"l%d":"v"`, fmt.Sprintf(`"l%d":"v","l%%d":"v"`, i), 1)
	}
	for _, tt := range []struct{ form, body, says string }{
		{"webhook", `{`, "no JSON"},
		{"webhook", `{"version":"3","alerts":[]}`, `version "3"`},
		{"webhook", `{"version":"4","alerts":[{"status":"odd","labels":{"a":"b"}}]}`, `status "odd"`},
		{"webhook", `{"version":"4","alerts":[{"status":"firing","labels":{}}]}`, "alert 1: it has no labels"},
		{"v2", `{"labels":{}}`, "no JSON list"},
		{"v2", `[{"labels":{"a":"b"},"startsAt":"2026-03-02T09:00:00Z","endsAt":"2026-03-02T08:00:00Z"}]`, "before startsAt"},
		{"v2", "[" + many + "]", "labels, at most 60"},
		{"v2", `[{"labels":{"a":1}}]`, "no JSON list"},
	} {
		decode := hooks.DecodeV2
		if tt.form == "webhook" {
			decode = hooks.DecodeWebhook
		}
		if _, err := decode([]byte(tt.body), now); !errors.Is(err, hooks.ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s %.80s: %v, want %q", tt.form, tt.body, err, tt.says)
		}
	}
}

func TestDecodeSentry(t *testing.T) {
	told := func(name, severity, why, link string, until, ended time.Time, pairs ...string) []alerting.Outside {
		return []alerting.Outside{{Name: name, Told: alert.Told{Labels: append(alert.Labels{}, labels(pairs...)...), Severity: severity, Why: why, Link: link, Starts: now, Until: until, Ended: ended}}}
	}
	var none time.Time
	for _, tt := range []struct {
		name, resource, body string
		want                 []alerting.Outside
	}{
		{"issue alert", "event_alert", `{"action":"triggered","data":{"triggered_rule":"Checkout errors","event":{"issue_id":"117","title":"Error: no","level":"error",
			"web_url":"https://sentry.example/issues/117","tags":[["environment","production"],["serin_rollout","checkout-1"],["browser","Chrome"]]}}}`,
			told("Checkout errors", "p2", "Error: no", "https://sentry.example/issues/117", now.Add(time.Hour), none, "environment", "production", "issue", "117", "serin_rollout", "checkout-1")},
		{"metric alert", "metric_alert", `{"action":"critical","data":{"description_text":"1000 events in the last 10 minutes","description_title":"Critical: Too many errors","web_url":"https://sentry.example/a/1",
			"metric_alert":{"id":"7","identifier":"7","projects":["shop"],"alert_rule":{"name":"Too many errors","environment":null}}}}`,
			told("Too many errors", "p1", "1000 events in the last 10 minutes", "https://sentry.example/a/1", now.Add(7*24*time.Hour), none, "projects", "shop")},
		{"metric alert is over", "metric_alert", `{"action":"resolved","data":{"description_text":"fine","metric_alert":{"id":7,"projects":["shop"],"alert_rule":{"name":"Too many errors"}}}}`,
			told("Too many errors", "p2", "fine", "", none, now, "projects", "shop")},
		{"error", "error", `{"action":"created","data":{"error":{"issue_id":117,"title":"TypeError","level":"fatal","tags":{"odd":1}}}}`,
			told("Sentry error", "p1", "TypeError", "", now.Add(time.Hour), none, "issue", "117")},
		{"issue", "issue", `{"action":"created","data":{"issue":{"id":"117","shortId":"SHOP-1","title":"TypeError","level":"warning","permalink":"https://sentry.example/issues/117/"}}}`,
			told("Sentry issue", "p3", "TypeError", "https://sentry.example/issues/117/", now.Add(7*24*time.Hour), none, "issue", "SHOP-1")},
		{"issue is resolved", "issue", `{"action":"resolved","data":{"issue":{"id":"117","shortId":"SHOP-1","title":"TypeError","level":"warning"}}}`,
			told("Sentry issue", "p3", "TypeError", "", none, now, "issue", "SHOP-1")},
		{"issue is assigned", "issue", `{"action":"assigned","data":{"issue":{"id":"117"}}}`, nil},
		{"installation", "installation", `{"action":"created","data":{"installation":{"uuid":"x"}}}`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hooks.DecodeSentry(tt.resource, []byte(tt.body), now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("alerts differ (-want +got):\n%s", diff)
			}
		})
	}
	for _, resource := range []string{"event_alert", "metric_alert", "error", "issue"} {
		if _, err := hooks.DecodeSentry(resource, []byte(`{"action":"x","data":{}}`), now); !errors.Is(err, hooks.ErrInvalid) {
			t.Errorf("%s without its data: %v", resource, err)
		}
	}
}

// door answers with what its Hear was told.
func door(t *testing.T, hear error) (url string, said *[]alerting.Outside, from *alerting.From) {
	said, from = new([]alerting.Outside), new(alerting.From)
	srv := httptest.NewServer(hooks.New(hooks.Options{Now: func() time.Time { return now },
		Key: func(_ context.Context, key string) (hooks.Key, error) {
			switch key {
			case "good":
				return hooks.Key{Project: "2", Notify: []string{"slack:#team"}, ClientSecret: "s3cret"}, nil
			case "broken":
				return hooks.Key{}, errors.New("disk is gone")
			}
			return hooks.Key{}, hooks.ErrUnknownKey
		},
		Hear: func(_ context.Context, f alerting.From, list []alerting.Outside) error {
			*said, *from = list, f
			return hear
		}}))
	t.Cleanup(srv.Close)
	return srv.URL, said, from
}

func post(t *testing.T, url string, body []byte, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func sign(body []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

func TestDoor(t *testing.T) {
	url, said, from := door(t, nil)
	webhook := read(t, "alertmanager-v4.json")
	issue := []byte(`{"action":"created","data":{"issue":{"id":"1","title":"T"}}}`)
	for _, tt := range []struct {
		name, path string
		body       []byte
		header     []string
		code, said int
	}{
		{"webhook", "/hooks/alertmanager/good", webhook, nil, 200, 2},
		{"v2", "/hooks/alertmanager/good/api/v2/alerts", []byte(`[{"labels":{"alertname":"A"}}]`), nil, 200, 1},
		{"nothing fires", "/hooks/alertmanager/good/api/v2/alerts", []byte(`[]`), nil, 200, 0},
		{"unknown key", "/hooks/alertmanager/bad", webhook, nil, 401, 0},
		{"store is gone", "/hooks/alertmanager/broken", webhook, nil, 503, 0},
		{"no JSON", "/hooks/alertmanager/good", []byte("<x>"), nil, 400, 0},
		{"too large", "/hooks/alertmanager/good", bytes.Repeat([]byte(" "), hooks.MaxBody+1), nil, 413, 0},
		{"too many", "/hooks/alertmanager/good/api/v2/alerts", []byte("[" + strings.TrimSuffix(strings.Repeat(`{"labels":{"a":"b"}},`, hooks.MaxAlerts+1), ",") + "]"), nil, 413, 0},
		{"sentry", "/hooks/sentry/good", issue, []string{"Sentry-Hook-Resource", "issue", "Sentry-Hook-Signature", sign(issue, "s3cret")}, 200, 1},
		{"sentry, another secret", "/hooks/sentry/good", issue, []string{"Sentry-Hook-Resource", "issue", "Sentry-Hook-Signature", sign(issue, "another")}, 401, 0},
		{"sentry, changed body", "/hooks/sentry/good", append([]byte(" "), issue...), []string{"Sentry-Hook-Resource", "issue", "Sentry-Hook-Signature", sign(issue, "s3cret")}, 401, 0},
		{"sentry, not signed", "/hooks/sentry/good", issue, []string{"Sentry-Hook-Resource", "issue"}, 401, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			*said, *from = nil, alerting.From{}
			resp := post(t, url+tt.path, tt.body, tt.header...)
			if resp.StatusCode != tt.code || len(*said) != tt.said {
				t.Errorf("%d with %d alerts, want %d and %d", resp.StatusCode, len(*said), tt.code, tt.said)
			}
			if tt.code == 200 && (from.Project != "2" || len(from.Notify) != 1 || from.Notify[0].Address != "slack:#team") {
				t.Errorf("said by %+v", *from)
			}
			if tt.code == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("a 503 without Retry-After")
			}
		})
	}
	url, _, _ = door(t, alerting.ErrStore)
	if resp := post(t, url+"/hooks/alertmanager/good", webhook); resp.StatusCode != 503 {
		t.Errorf("what could not be stored is answered %d, so that it is not sent again", resp.StatusCode)
	}
}

// An empty client secret must not make everybody's signature right.
func TestSentryNeedsASecret(t *testing.T) {
	body := []byte(`{"data":{"issue":{}}}`)
	srv := httptest.NewServer(hooks.New(hooks.Options{Now: time.Now,
		Key:  func(context.Context, string) (hooks.Key, error) { return hooks.Key{Project: "1"}, nil },
		Hear: func(context.Context, alerting.From, []alerting.Outside) error { return nil }}))
	defer srv.Close()
	if resp := post(t, srv.URL+"/hooks/sentry/x", body, "Sentry-Hook-Resource", "issue", "Sentry-Hook-Signature", sign(body, "")); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a key without a client secret answers %d", resp.StatusCode)
	}
}

// Whatever comes in, what is taken over can be stored and told apart.
func FuzzDecode(f *testing.F) {
	f.Add("issue", []byte(`{"action":"created","data":{"issue":{"id":1,"tags":[["a","b"]]}}}`))
	f.Add("v2", []byte(`[{"labels":{"alertname":"A","b":"\u0000"},"endsAt":"2026-03-02T09:04:00Z"}]`))
	f.Add("webhook", []byte(`{"version":"4","alerts":[{"status":"firing","labels":{"alertname":"A"}}]}`))
	f.Add("metric_alert", []byte(`{"action":"open","data":{"metric_alert":{"projects":[1,"a"]}}}`))
	f.Fuzz(func(t *testing.T, form string, body []byte) {
		decode := func(b []byte, at time.Time) ([]alerting.Outside, error) { return hooks.DecodeSentry(form, b, at) }
		switch form {
		case "v2":
			decode = hooks.DecodeV2
		case "webhook":
			decode = hooks.DecodeWebhook
		}
		list, err := decode(body, now)
		if err != nil {
			return
		}
		for _, o := range list {
			back, ok := alert.ParseKey(o.Labels.Key())
			if o.Name == "" || len(o.Name) > 4*200 || !ok || len(back) != len(o.Labels) || o.Until.IsZero() == o.Ended.IsZero() || o.Severity == "" {
				t.Fatalf("%+v", o)
			}
		}
	})
}
