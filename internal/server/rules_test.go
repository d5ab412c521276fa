package server_test

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// TestAlarmsNameRealMetrics: each metric of the rules shipped for Prometheus
// is on /metrics of a server to which nothing has happened yet, since an alarm
// on a series that only appears with its fault is one that nobody has tried.
// So is each label value that a rule selects.
func TestAlarmsNameRealMetrics(t *testing.T) {
	text, err := os.ReadFile("../../deploy/prometheus/serin.rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		t.Fatal(err)
	}
	s := start(t, 1)
	metrics := string(s.must(http.MethodGet, "/metrics", nil).body)
	guide, err := os.ReadFile("../../docs/guide/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	name, selector, rules := regexp.MustCompile(`serin_[a-z_]+`), regexp.MustCompile(`(serin_[a-z_]+)\{([a-z]+="[^"]+")\}`), 0
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			rules++
			for _, m := range name.FindAllString(r.Expr, -1) {
				if !regexp.MustCompile(`(?m)^` + m + `[ {]`).MatchString(metrics) {
					t.Errorf("%s: no metric %s on /metrics", r.Alert, m)
				}
			}
			for _, m := range selector.FindAllStringSubmatch(r.Expr, -1) {
				if !slices.ContainsFunc(strings.Split(metrics, "\n"), func(line string) bool { return strings.HasPrefix(line, m[1]+"{") && strings.Contains(line, m[2]) }) {
					t.Errorf("%s: %s has no series with %s", r.Alert, m[1], m[2])
				}
			}
			if _, err := time.ParseDuration(r.For); r.For != "" && err != nil {
				t.Errorf("%s: for: %v", r.Alert, err)
			}
			if r.Alert == "" || r.Annotations["summary"] == "" || !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
				t.Errorf("rule %d, %q, has no name, summary or severity", rules, r.Alert)
			}
			if !strings.Contains(string(guide), "`"+r.Alert+"`") {
				t.Errorf("the operations guide does not tell of %s", r.Alert)
			}
		}
	}
	if rules < 8 {
		t.Errorf("the file has %d rules", rules)
	}
}
