package controller_test

import (
	"slices"
	"strings"
	"testing"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
)

// TestKillByTheFlagIsARollback: somebody who switches the flag off in a hurry
// gets what they mean, whoever owns the flag.
func TestKillByTheFlagIsARollback(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		f, err := r.c.Flags().Get(r.Context(), "rig")
		if err != nil {
			t.Fatal(err)
		}
		off := f.Definition
		off.State = flag.StateOff
		if _, err := r.c.PutFlag(r.Context(), off, -1, controller.Actor{Name: "ann", Role: "lead"}, "api", "support is flooded"); err != nil {
			t.Fatalf("switch off: %v", err)
		}
		v := r.view()
		if v.State.Status != rollout.RolledBack {
			t.Errorf("the rollout is %s, want rolled back", v.State.Status)
		}
		r.exposure(0)
		journal := r.journal()
		at := slices.IndexFunc(journal, func(e rollout.Event) bool { return e.Type == rollout.RolledBackEvent })
		last := journal[max(at, 0)] // after it comes how soon it was served
		if last.By != "ann" || !strings.Contains(last.Reason, "by hand: support is flooded") {
			t.Errorf("journalled by %q: %q", last.By, last.Reason)
		}
		off.State = flag.Enabled
		off.DefaultVariant = "new"
		if _, err := r.c.PutFlag(r.Context(), off, -1, controller.Actor{Name: "ann"}, "api", ""); statusOf(err) != 409 {
			t.Errorf("another edit: %v, want 409", err)
		}
	})
}

// TestFaultInJudging: a fault that one rollout's data brings out neither ends
// the process nor stands in the way of a rollback.
func TestFaultInJudging(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		r.faulty.Store(true)
		r.drive("0:15")
		r.exposure(10)
		if _, err := r.as("lead", rollout.Promote); err == nil {
			t.Error("promoted without a judge")
		}
		r.lead(rollout.Rollback)
		r.exposure(0)
	})
}
