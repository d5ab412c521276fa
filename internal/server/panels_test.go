package server_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"serin/internal/dashboard"
	"serin/internal/server"
)

const panelPlan = `serin: 1
plan: board
timezone: UTC
flag: { key: board }
calendar: { raise: ["daily 00:00-24:00"] }
stages: [{ stage: half, traffic: 50%, bake: 24h, proceed: [errors < 5] }, { stage: full, traffic: 100%, bake: 24h }]
dashboard:
  targets: { 15m: [errors = 0] }
  panels:
    - { title: Errors, query: "tags.feature:admin-workbench level:[error, fatal]" }
    - { title: By environment, query: "feature:admin-workbench", by: environment }
    - { title: New, query: "is:unresolved firstSeen:-1d" }
`

// TestPanels: a plan is counted before its rollout begins, and page and API tell
// how its queries are read.
func TestPanels(t *testing.T) {
	t.Parallel()
	s := startWith(t, server.Options{})
	s.ask(http.MethodPost, "/plans", panelPlan, nil)
	view := func() (v dashboard.View) {
		s.ask(http.MethodGet, "/rollouts/board-1/panels?range=24h&compare=none", nil, &v)
		return v
	}
	id := s.create(panelPlan)
	eventually(t, "the plan's panels are counted", func() error {
		if p := view().Panels[0]; p.Problem != "" {
			return errors.New(p.Problem)
		}
		return nil
	})
	if a := s.envelope(minifiedCrash(strings.Repeat("b", 32), "web@1")); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	v := view()
	if len(v.Panels) != 3 || len(v.Targets) != 1 || v.Targets[0].Verdict != nil {
		t.Fatalf("%s has %d panels and targets %+v before its start", id, len(v.Panels), v.Targets)
	}
	if p := v.Panels[0]; p.Now.N == 0 || len(p.Notes) != 1 || p.Notes[0].To != "tags[feature]:admin-workbench" {
		t.Errorf("errors: %+v with notes %v", p.Now, p.Notes)
	}
	if g := v.Panels[1].Groups; len(g) != 1 || g[0].Name != "production" || g[0].Users != 1 {
		t.Errorf("by environment: %+v", g)
	}
	if p := v.Panels[2]; p.Now.N != 1 || p.Issues[0].ID != "SERIN-1" {
		t.Errorf("new issues: %+v", p)
	}
	page := s.must(http.MethodGet, "/rollouts/board-1/panels", nil, "Cookie", s.adminCookie())
	for _, want := range []string{"Metrics to track", "Errors", "Read as", "tags[feature]:admin-workbench", "SERIN-1"} {
		if !strings.Contains(string(page.body), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
