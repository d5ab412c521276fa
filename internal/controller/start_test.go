package controller_test

import (
	"strings"
	"testing"

	"serin/internal/controller"
	"serin/internal/rollout"
)

// TestStartNeedsWhatThePlanNames: a plan whose channel or guard leads nowhere
// on this server is refused at the start, with the line and what to do.
func TestStartNeedsWhatThePlanNames(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edits []string
		want  []string // of the refusal; none = it starts
	}{
		{"as it is", nil, nil},
		{"a channel without a notifier", []string{`"slack:#team"`, `"pagerduty:on-call"`}, []string{"line 7", "E14", "configure it"}},
		{"a guard without its source",
			[]string{"criteria:", "metrics: { up: { gauge: up, source: probe, unit: \"%\" } }\ncriteria:", "rollback: [", "rollback: [up < 50% for 1m, "},
			[]string{"E21", "probe is not configured", "leave the rule out"}},
		{"a guard whose source is set up",
			[]string{"criteria:", "metrics: { up: { gauge: up, source: prometheus, unit: \"%\" } }\ncriteria:", "rollback: [", "rollback: [up < 50% for 1m, "}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				source := edited(t, rigPlan, append([]string{"plan: rig", "plan: other", "flag: { key: rig }", "flag: { key: other }"}, tt.edits...)...)
				if _, err := r.c.Create(r.Context(), "", []byte(source), "lead", "api"); err != nil {
					t.Fatal(err)
				}
				_, err := r.c.Do(r.Context(), "other", rollout.Command{Verb: rollout.Start, By: "lead", Role: "lead", May: []string{"start"}})
				if len(tt.want) == 0 {
					if err != nil {
						t.Errorf("refused: %v", err)
					}
					return
				}
				if statusOf(err) != 409 {
					t.Fatalf("got %v, want 409", err)
				}
				for _, part := range tt.want {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
			})
		})
	}
}

// TestRevisionsShareOneBudget: a rule that a revision adds needs more evidence
// than one that was there when the attempt began, also after a restart.
func TestRevisionsShareOneBudget(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:20")
		limit := func(rule string) float64 {
			t.Helper()
			v := r.verdict(r.view().Rollback, rule)
			if v.LogLimit == nil {
				t.Fatalf("%s has no threshold: %s", rule, v.Why)
			}
			return *v.LogLimit
		}
		const lcp, changedLCP = "lcp > +30% vs reference over 1h", "lcp > +40% vs reference over 1h"
		began := limit(lcp)
		r.revise("lcp > +30%", "lcp > +40%")
		r.drive("0:30")
		if got := limit(changedLCP); got < began+2 {
			t.Errorf("the changed rule needs ln E %.2f, the first %.2f: the budget is spent twice", got, began)
		}
		changed := limit(changedLCP)
		r.restart()
		r.drive("0:40")
		if got := limit(changedLCP); got != changed {
			t.Errorf("after a restart of the process the rule needs ln E %.2f, before %.2f", got, changed)
		}
	}, "restart] }", "restart, revise] }")
}

// TestOneFlagOneRollout: a plan on the flag of a rollout under way does not
// start, and does once that one has given the flag up.
func TestOneFlagOneRollout(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		if _, err := r.c.Create(r.Context(), "", []byte(edited(t, rigPlan, "plan: rig", "plan: rival")), "lead", "api"); err != nil {
			t.Fatal(err)
		}
		start := rollout.Command{Verb: rollout.Start, By: "lead", Role: "lead", May: []string{"start"}}
		_, err := r.c.Do(r.Context(), "rival", start)
		if statusOf(err) != 409 || !strings.Contains(err.Error(), "E15: flag rig is owned by rollout rig-1") {
			t.Fatalf("a second rollout on the flag: %v", err)
		}
		r.lead(rollout.Rollback)
		if _, err := r.c.Do(r.Context(), "rival", start); statusOf(err) != 409 {
			t.Errorf("while the first is rolled back: %v", err)
		}
		r.lead(rollout.Cancel)
		if _, err := r.c.Do(r.Context(), "rival", start); err != nil {
			t.Errorf("after the first was cancelled: %v", err)
		}
	})
}

// TestNamesAreOneRollouts: a plan's name stands for its latest rollout, so no
// plan may bear the id of another plan's rollout, and no rollout a plan's name.
func TestNamesAreOneRollouts(t *testing.T) {
	bubble(t, func(r *rig) {
		create := func(name string) (controller.Result, error) {
			return r.c.Create(r.Context(), "", []byte(edited(t, rigPlan, "plan: rig", "plan: "+name)), "lead", "api")
		}
		if _, err := create("rig-1"); statusOf(err) != 409 || !strings.Contains(err.Error(), "rig-1") {
			t.Errorf("a plan called as the rollout rig-1 is: %v", err)
		}
		if _, err := create("rig-2"); err != nil {
			t.Fatal(err)
		}
		r.lead(rollout.Cancel)
		res, err := create("rig")
		if err != nil || res.State.ID != "rig-3" {
			t.Errorf("the next rollout of rig beside a plan rig-2 is %s (%v), want rig-3", res.State.ID, err)
		}
	})
}

// TestStartNeedsItsFlagOn: a flag that was switched off by hand before the
// start bars it, and does so no more once it is on.
func TestStartNeedsItsFlagOn(t *testing.T) {
	bubble(t, func(r *rig) {
		set := func(state string) {
			t.Helper()
			record, err := r.c.Flags().Get(r.Context(), "rig")
			if err != nil {
				t.Fatal(err)
			}
			d := record.Definition
			d.State = state
			if _, err := r.c.Flags().Put(r.Context(), "", d, -1, "lead", "api", "a test"); err != nil {
				t.Fatal(err)
			}
		}
		start := rollout.Command{Verb: rollout.Start, By: "lead", Role: "lead", May: []string{"start"}}
		set("DISABLED")
		if _, err := r.c.Do(r.Context(), "rig", start); statusOf(err) != 409 || !strings.Contains(err.Error(), "serin flag set rig") {
			t.Fatalf("with its flag off: %v", err)
		}
		set("ENABLED")
		if _, err := r.c.Do(r.Context(), "rig", start); err != nil {
			t.Errorf("with its flag on: %v", err)
		}
	})
}
