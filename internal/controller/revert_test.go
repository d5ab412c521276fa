package controller_test

import (
	"testing"
	"time"

	"serin/internal/rollout"
)

var reverting = []string{"rollback:", "actions: { revert: { show: [git revert $commit], within: 2m, by: lead } }\nrollback:"}

// TestRevertLate: the owner is told once that a revert is late, also when the
// process is started anew while a person works.
func TestRevertLate(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:30")
		r.lead(rollout.Revert)
		r.drive("0:31")
		r.restart()
		r.drive("0:40")
		if n := r.told("not reported live"); len(n) != 1 || n[0] != "revert by hand not reported live after 2m, limit 2m" {
			t.Errorf("notices %q", n)
		}
		r.lead(rollout.Revert, func(c *rollout.Command) { c.Done = true })
		r.drive("0:50")
		e := r.of(rollout.Reverted)
		if len(e) != 1 || e[0].Served.Evaluated < 9*time.Minute || e[0].Served.Evaluated > 11*time.Minute || !e[0].Served.AtMost || e[0].Paged {
			t.Fatalf("reverted: %+v", e)
		}
		if n := r.told("not reported live"); len(n) != 1 {
			t.Errorf("notices at the end %q", n)
		}
		c := r.report().Clock
		if len(c) != 1 || c[0].State != "late" || c[0].Action != "revert" || len(c[0].Show) != 1 {
			t.Errorf("report: %+v", c)
		}
		if v := r.view(); v.Exposure != 10 || v.State.Status != rollout.Running {
			t.Errorf("%s at %v", v.State.Status, v.Exposure)
		}
	}, reverting...)
}

// TestRevertInTime: nobody is told that it is late, and a revert is done also
// where the evidence cannot be read.
func TestRevertInTime(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:30")
		r.faulty.Store(true)
		r.lead(rollout.Revert)
		r.drive("0:31")
		r.lead(rollout.Revert, func(c *rollout.Command) { c.Done = true })
		r.faulty.Store(false)
		r.drive("0:40")
		e := r.of(rollout.Reverted)
		if len(e) != 1 || e[0].Served.AtMost || e[0].Served.Late() || e[0].Served.Evaluated > time.Minute {
			t.Fatalf("reverted: %+v", e)
		}
		if n := r.told("late"); len(n) != 0 || len(r.told("reverted by hand by lead after")) != 1 {
			t.Errorf("notices %q", n)
		}
	}, reverting...)
}
