package plan

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBaselineRules: a rule on the reference needs a baseline where no control
// is left, or there never was one.
func TestBaselineRules(t *testing.T) {
	short := BaselineHours{Want: 168, Measured: 36, Text: "1.5 of 7 d", Short: true}
	facts := &ServerFacts{Baseline: map[string]BaselineHours{"errors": short, "memory": short, "p1": {Want: 168, Measured: 168, Text: "7 d"}, "lcp": {Want: 168, Text: "0 of 7 d", Short: true}}}
	for _, c := range []struct {
		name, traffic string
		want          []string // metrics of rules that rest on it
		warned        string
	}{
		{"control to the end", "50%", []string{"memory", "p1"}, "baseline of memory: 1.5 of 7 d"},
		{"no control at the end", "100%", []string{"errors", "lcp", "memory", "p1"}, "baseline of errors, memory: 1.5 of 7 d; baseline of lcp: 0 of 7 d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := parsed(t, fmt.Appendf(nil, `serin: 1
plan: small
timezone: UTC
flag: { key: small }
channels: { team: "slack:#team" }
stages:
  - { stage: all, traffic: %s, bake: 24h, proceed: [p1 = 0], checks: [] }
rollback:
  - errors > +50%% vs reference over 1h
  - lcp > +30%% vs reference over 1h
  - memory > +15%% vs reference over 1h
  - p1 > +50%% vs baseline over 1h
`, c.traffic))
			var got []string
			for _, name := range []string{"errors", "lcp", "memory", "p1"} {
				for _, r := range p.BaselineRules() {
					if r.Metric == name && !r.Default {
						got = append(got, name)
					}
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("rules (-want +got)\n%s", d)
			}
			var warned []string
			for _, found := range Lint(p, facts) {
				if found.Code == "W23" {
					warned = append(warned, found.What)
				}
			}
			if got := strings.Join(warned, "; "); got != c.warned {
				t.Errorf("warned of %q, want %q", got, c.warned)
			}
		})
	}
}
