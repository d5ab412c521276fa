package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	for _, tt := range []struct {
		name, yaml string
		env        map[string]string
		err        string
	}{
		{name: "all kinds", yaml: `sources:
  metrics: { kind: prometheus, url: "https://p.example", every: 15s, headers: { X-Scope-OrgID: a } }
  shop-metrics: { kind: prometheus, url: "https://q.example", project: shop, username: u, password: p }
  site: { kind: probe, url: "https://app.example/health", status: 200, body: ok }
  ci: { kind: report, url: "https://ci.example/r.json", values: { bundle_size: /total/bytes } }
`, env: map[string]string{"SERIN_SOURCES_METRICS_TOKEN": "x"}},
		{name: "kind", yaml: "sources: { a: { kind: graphite, url: https://a.example } }", err: "sources.a: kind \"graphite\""},
		{name: "url", yaml: "sources: { a: { kind: probe } }", err: "sources.a: url is missing"},
		{name: "scheme", yaml: "sources: { a: { kind: probe, url: \"file:///etc/passwd\" } }", err: "sources.a.url"},
		{name: "too often", yaml: "sources: { a: { kind: probe, url: https://a.example, every: 1s } }", err: "from 5s to 1h0m0s"},
		{name: "too late", yaml: "sources: { a: { kind: probe, url: https://a.example, timeout: 2m } }", err: "timeout \"2m\""},
		{name: "two ways", yaml: "sources: { a: { kind: probe, url: https://a.example, token: t, username: u } }", err: "keep one"},
		{name: "password alone", yaml: "sources: { a: { kind: probe, url: https://a.example, password: p } }", err: "username is missing"},
		{name: "probe's keys", yaml: "sources: { a: { kind: prometheus, url: https://a.example, status: 200 } }", err: "are of probes"},
		{name: "no values", yaml: "sources: { a: { kind: report, url: https://a.example } }", err: "values are missing"},
		{name: "values of a probe", yaml: "sources: { a: { kind: probe, url: https://a.example, values: { a: /b } } }", err: "are of reports"},
		{name: "two for all", yaml: "sources: { a: { kind: prometheus, url: https://a.example }, b: { kind: prometheus, url: https://b.example } }", err: "sources.b: sources.a is the Prometheus"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(tt.yaml), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(path, func(name string) string { return tt.env[name] })
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("got %v, want %q", err, tt.err)
			}
		})
	}
}
