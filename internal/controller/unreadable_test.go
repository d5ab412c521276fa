package controller_test

import (
	"context"
	"testing"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

func (s *flakyStore) PlanSource(ctx context.Context, hash string) ([]byte, error) {
	if newer := s.newer.Load(); newer != nil && *newer == hash {
		return []byte("serin: 99\n"), nil
	}
	return s.Store.PlanSource(ctx, hash)
}

// TestUnreadableRollout starts on a store with a rollout whose plan cannot be
// read: the server and the other rollouts run, its users stay where they are,
// and it can be taken back but not raised.
func TestUnreadableRollout(t *testing.T) {
	for _, kill := range []string{"by command", "by the flag"} {
		t.Run(kill, func(t *testing.T) {
			bubble(t, func(r *rig) {
				other := edited(t, rigPlan, "plan: rig", "plan: other", "flag: { key: rig }", "flag: { key: other }")
				if _, err := r.c.Create(r.Context(), "", []byte(other), "lead", "api"); err != nil {
					t.Fatal(err)
				}
				r.lead(rollout.Start)
				r.drive("0:10")
				on := len(r.onNew())
				hash := r.view().State.PlanHash
				r.store.newer.Store(&hash)
				r.restart()

				v := r.view()
				if v.State.Status != rollout.Running || !v.NeedsPerson() || v.Waiting[0].Kind != "unreadable" {
					t.Errorf("shown as %s, waiting for %v", v.State.Status, v.Waiting)
				}
				r.drive("3:00") // long enough to rise
				if got := len(r.onNew()); on == 0 || got != on {
					t.Errorf("%d users on new, before the start %d", got, on)
				}
				for _, verb := range []rollout.Verb{rollout.Start, rollout.Promote, rollout.Resume, rollout.Reduce} {
					if _, err := r.c.Do(r.Context(), "rig-1", rollout.Command{Verb: verb, By: "ann", Via: "api"}); statusOf(err) != 409 {
						t.Errorf("%s: %v, want 409", verb, err)
					}
				}
				if _, err := r.c.Revise(r.Context(), "rig-1", []byte(rigPlan), rollout.Command{By: "ann"}); statusOf(err) != 409 {
					t.Errorf("revise: %v, want 409", err)
				}
				if v, err := r.c.View(r.Context(), "other-1"); err != nil || len(v.Waiting) > 0 && v.Waiting[0].Kind == "unreadable" {
					t.Errorf("the other rollout: %v, %v", v.Waiting, err)
				}

				if _, err := r.c.Calendar(r.Context(), "rig-1"); statusOf(err) != 409 {
					t.Errorf("calendar: %v, want 409", err)
				}
				if _, err := r.c.Runbook(r.Context(), "rig-1"); statusOf(err) != 409 {
					t.Errorf("runbook: %v, want 409", err)
				}
				r.takeBack(kill)
				if n := len(r.onNew()); n != 0 {
					t.Errorf("%d users on new after the rollback", n)
				}
				journal := r.journal()
				if last := journal[len(journal)-1]; last.Type != rollout.RolledBackEvent || last.By != "ann" {
					t.Errorf("last in the journal: %s by %s", last.Type, last.By)
				}
				if _, err := r.c.Do(r.Context(), "rig-1", rollout.Command{Verb: rollout.Cancel, By: "ann", Via: "api"}); err != nil {
					t.Errorf("cancel: %v", err)
				}
				if f, err := r.c.Flags().Get(r.Context(), "rig"); err != nil || f.Owner != "" || f.Definition.State != flag.StateOff {
					t.Errorf("after cancel the flag is %s, owned by %q, %v", f.Definition.State, f.Owner, err)
				}
				if v := r.view(); !store.Over(v.State.Status) || len(v.Actions) > 0 {
					t.Errorf("after cancel %s with %v", v.State.Status, v.Actions)
				}
			})
		})
	}
}

// takeBack rolls rig-1 back in the name of ann.
func (r *rig) takeBack(how string) {
	r.Helper()
	if how == "by command" {
		if _, err := r.c.Do(r.Context(), "rig-1", rollout.Command{Verb: rollout.Rollback, By: "ann", Via: "api"}); err != nil {
			r.Fatalf("rollback: %v", err)
		}
		return
	}
	f, err := r.c.Flags().Get(r.Context(), "rig")
	if err != nil {
		r.Fatal(err)
	}
	f.Definition.State = flag.StateOff
	if _, err := r.c.PutFlag(r.Context(), f.Definition, -1, controller.Actor{Name: "ann"}, "api", ""); err != nil {
		r.Fatalf("switch off: %v", err)
	}
}
