package controller

import (
	"strings"
	"testing"

	"serin/internal/flag"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// TestButtons: what a message offers is what can be done as the rollout stands.
func TestButtons(t *testing.T) {
	p := &plan.Plan{Stages: []plan.Stage{{Traffic: flag.Everyone / 4}, {Traffic: flag.Everyone / 2, Approve: []string{"lead"}}, {Traffic: flag.Everyone}}}
	at := func(status rollout.Status, stage int, share flag.Percent) rollout.State {
		return rollout.State{ID: "demo-1", Status: status, Stage: stage, Attempt: 1, Version: 7, Exposure: share}
	}
	approved, gone := at(rollout.Running, 0, 25), at(rollout.Cleanup, 2, 100)
	approved.Approved = []rollout.Mark{{Attempt: 1, Stage: 0}}
	gone.Irreversible = true
	for _, tc := range []struct {
		name  string
		p     *plan.Plan
		s     rollout.State
		asked bool
		want  string
	}{
		{"approval is missing", p, at(rollout.Running, 0, 25), false, "Approve 50%, Roll back"},
		{"approved", p, approved, false, "Roll back"},
		{"a person is asked", p, at(rollout.Running, 1, 50), true, "Accept, Roll back"},
		{"paused", p, at(rollout.Paused, 0, 25), true, "Roll back"},
		{"nobody is on it", p, at(rollout.Reduced, 0, 0), false, ""},
		{"rolled back", p, at(rollout.RolledBack, 0, 0), false, ""},
		{"no way back", p, gone, false, ""},
		{"last stage", p, at(rollout.Running, 2, 100), false, "Roll back"},
		{"a plan that cannot be read", nil, at(rollout.Running, 0, 25), false, "Roll back"},
	} {
		var labels []string
		for _, b := range Buttons(tc.p, tc.s, tc.asked) {
			labels = append(labels, b.Label)
			if target, err := notify.ParseTarget(b.Value); err != nil || target.Rollout != "demo-1" || target.Version != 7 || target.Attempt != 1 {
				t.Errorf("%s: %s is about %+v, %v", tc.name, b.Label, target, err)
			}
		}
		if got := strings.Join(labels, ", "); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
