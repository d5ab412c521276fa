package web

import (
	"strings"
	"testing"
	"time"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// TestLeadCountsWhatWasRolledBack: a rollback stays one when somebody has
// cancelled the rollout after it or begun a new attempt.
func TestLeadCountsWhatWasRolledBack(t *testing.T) {
	now := time.Date(2025, 3, 4, 9, 0, 0, 0, time.UTC)
	began, lowered := now.Add(-9*time.Hour), now.Add(-3*time.Hour)
	tests := []struct {
		name  string
		state rollout.State
		want  string
	}{
		{"rolled back", rollout.State{Status: rollout.RolledBack, Attempt: 1, StartedAt: began, LoweredAt: lowered}, "1 rolled back"},
		{"cancelled after it", rollout.State{Status: rollout.Cancelled, Attempt: 1, StartedAt: began, LoweredAt: lowered}, "1 rolled back"},
		{"begun anew", rollout.State{Status: rollout.Running, Attempt: 2, StartedAt: began, LoweredAt: lowered, AttemptAt: now.Add(-time.Hour)}, "1 rolled back"},
		{"only reduced", rollout.State{Status: rollout.Reduced, Attempt: 1, StartedAt: began, AttemptAt: began, LoweredAt: lowered}, "Nothing rolled back"},
		{"cancelled before the start", rollout.State{Status: rollout.Cancelled}, "Nothing rolled back"},
		{"long ago", rollout.State{Status: rollout.RolledBack, Attempt: 1, LoweredAt: now.Add(-25 * time.Hour)}, "Nothing rolled back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := lead(map[string]int{}, []controller.View{{State: tt.state}}, now); !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q in it", got, tt.want)
			}
		})
	}
}
