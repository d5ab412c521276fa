package controller

import (
	"testing"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// TestAlertsAreActive: from the start until after.alerts after the end.
func TestAlertsAreActive(t *testing.T) {
	ended := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	p := &plan.Plan{Alerts: []plan.Alert{{Name: "a"}}, AfterAlerts: 14 * 24 * time.Hour}
	started := func(s rollout.Status) rollout.State {
		return rollout.State{Status: s, StartedAt: ended.Add(-time.Hour), At: ended}
	}
	for name, tt := range map[string]struct {
		plan  *plan.Plan
		state rollout.State
		after time.Duration
		want  bool
	}{
		"before the start": {p, rollout.State{Status: rollout.Preflight, At: ended}, 0, false},
		"running":          {p, started(rollout.Running), 0, true},
		"rolled back":      {p, started(rollout.RolledBack), 0, true},
		"cancelled":        {p, started(rollout.Cancelled), 0, false},
		"just done":        {p, started(rollout.Done), time.Minute, true},
		"the last moment":  {p, started(rollout.Done), 14*24*time.Hour - 1, true},
		"14 days later":    {p, started(rollout.Done), 14 * 24 * time.Hour, false},
		"without alerts":   {&plan.Plan{}, started(rollout.Running), 0, false},
	} {
		if got := alerts(tt.plan, tt.state, ended.Add(tt.after)); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
