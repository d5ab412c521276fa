package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/baseline"
)

// twoServers are a double of Prometheus and one of serin's API, which keeps the
// body of the last import.
func twoServers(t *testing.T, asked *[]string, body *importBody) (prometheus, serin string) {
	t.Helper()
	prom := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if strings.Contains(q.Get("query"), "broken") {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"status":"error","error":"parse error"}`)
			return
		}
		*asked = append(*asked, strings.Join([]string{r.URL.Path, q.Get("query"), q.Get("start"), q.Get("end"), q.Get("step"), r.Header.Get("Authorization")}, " "))
		_, _ = io.WriteString(w, `{"of":"`+q.Get("query")+`"}`)
	}))
	t.Cleanup(prom.Close)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/api/v1/baselines/checkout" {
			t.Errorf("asked %s %s", r.Method, r.URL.Path)
		}
		*body = importBody{}
		if err := json.NewDecoder(r.Body).Decode(body); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"plan":"checkout","skipped":2,"metrics":[{"metric":"errors","new":48,"baseline":{"want":168,"imported":48}}]}`)
	}))
	t.Cleanup(api.Close)
	return prom.URL, api.URL
}

func TestBaselineImport(t *testing.T) {
	var asked []string
	var body importBody
	prom, api := twoServers(t, &asked, &body)
	host := strings.TrimPrefix(prom, "http://")
	dir := t.TempDir()
	for _, name := range []string{"hours.csv", "events.json", "sessions.json", "answer.json", "counts.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	env := map[string]string{"SERIN_URL": api, "SERIN_TOKEN": "t", prometheusToken: "secret"}
	run := func(args ...string) (status int, out, complaint string) {
		var stdout, stderr bytes.Buffer
		status = Run(t.Context(), append([]string{"baseline", "import", "checkout"}, args...), Streams{strings.NewReader("of stdin"), &stdout, &stderr}, func(k string) string { return env[k] })
		return status, stdout.String(), stderr.String()
	}
	for _, c := range []struct {
		args []string
		want importBody
	}{
		{[]string{"--csv", at("hours.csv")}, importBody{Format: baseline.CSV, Source: "csv hours.csv", Data: "of hours.csv"}},
		{[]string{"--csv", "-", "--source", "old", "--replace", "--scale", "0.01"}, importBody{Format: baseline.CSV, Source: "old", Data: "of stdin", Scale: 0.01, Replace: true}},
		{[]string{"--sentry-events", at("events.json"), "--sentry-sessions", at("sessions.json")}, importBody{Format: baseline.SentryEvents, Source: "sentry", Data: "of events.json", Counts: "of sessions.json"}},
		{[]string{"--sentry-sessions", at("sessions.json")}, importBody{Format: baseline.SentrySessions, Source: "sentry", Data: "of sessions.json"}},
		{[]string{"--prometheus", at("answer.json"), "--counts", at("counts.json"), "--metric", "lcp"}, importBody{Format: baseline.Prometheus, Source: "prometheus answer.json", Metric: "lcp", Data: "of answer.json", Counts: "of counts.json"}},
		{[]string{"--prometheus", prom + "/prom", "--metric", "lcp", "--query", "q", "--count-query", "n", "--from", "2026-02-02T09:00:00Z", "--to", "2026-02-03T09:00:00Z"},
			importBody{Format: baseline.Prometheus, Source: "prometheus " + host, Metric: "lcp", Data: `{"of":"q"}`, Counts: `{"of":"n"}`}},
	} {
		status, out, complaint := run(c.args...)
		if status != exitOK || out != "errors, 0001-01-01 00:00Z to 0001-01-01 00:00Z: hours 48 new; baseline 2 of 7 d, 2 d of it imported\n2 values left out: no number\n" {
			t.Errorf("%v: %d %q %q", c.args, status, out, complaint)
		}
		if d := cmp.Diff(c.want, body); d != "" {
			t.Errorf("%v (-want +got)\n%s", c.args, d)
		}
	}
	want := []string{"/prom/api/v1/query_range q 1770022800 1770109200 1h Bearer secret", "/prom/api/v1/query_range n 1770022800 1770109200 1h Bearer secret"}
	if d := cmp.Diff(want, asked); d != "" {
		t.Errorf("asked of Prometheus (-want +got)\n%s", d)
	}
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitUsage, "name one source", nil},
		{exitUsage, "name one source", []string{"--csv", "a", "--sentry-sessions", "b"}},
		{exitUsage, "needs --sentry-sessions too", []string{"--sentry-events", "a"}},
		{exitUsage, "needs --metric", []string{"--prometheus", prom}},
		{exitUsage, "needs --query", []string{"--prometheus", prom, "--metric", "lcp"}},
		{exitUsage, "belong to --prometheus URL", []string{"--prometheus", "a.json", "--metric", "lcp", "--query", "q"}},
		{exitUsage, "leave --metric out", []string{"--csv", "a", "--metric", "lcp"}},
		{exitUsage, "--counts belongs to", []string{"--csv", "a", "--counts", "b"}},
		{exitUsage, "--from", []string{"--prometheus", prom, "--metric", "lcp", "--query", "q", "--from", "monday"}},
		{exitUsage, "is not before --to", []string{"--prometheus", prom, "--metric", "lcp", "--query", "q", "--from", "2026-02-03T09:00:00Z", "--to", "2026-02-02T09:00:00Z"}},
		{exitFailed, "no such file", []string{"--csv", at("nothing.csv")}},
		{exitFailed, "answers 400 Bad Request: {\"status\":\"error\",\"error\":\"parse error\"}", []string{"--prometheus", prom, "--metric", "lcp", "--query", "broken("}},
	} {
		if status, _, complaint := run(c.args...); status != c.status || !strings.Contains(complaint, c.want) {
			t.Errorf("%v: %d %q, want %d with %q", c.args, status, complaint, c.status, c.want)
		}
	}
}

// TestRangeByDefault: the seven days up to the last whole hour.
func TestRangeByDefault(t *testing.T) {
	from, to, err := (&baselineOptions{}).span(time.Date(2026, 2, 9, 9, 40, 0, 0, time.UTC))
	if want := time.Date(2026, 2, 9, 9, 0, 0, 0, time.UTC); err != nil || !to.Equal(want) || to.Sub(from) != defaultRange {
		t.Errorf("from %s to %s, %v", from, to, err)
	}
}
