package controller_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/rollout"
	"serin/internal/store"
)

// bubble runs a test on a rig.
func bubble(t *testing.T, do func(r *rig), edits ...string) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { do(newRig(t, edits...)) })
}

func TestCommandOnAFullDisk(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		r.store.FailWrites(store.ErrFull)
		if _, err := r.as("lead", rollout.Rollback); !errors.Is(err, store.ErrFull) {
			r.Errorf("roll back on a full disk: %v, want %v", err, store.ErrFull)
		}
		r.exposure(10)
		if s := r.view().State.Status; s != rollout.Running {
			r.Errorf("the page says %s before anything is durable", s)
		}
		r.store.FailWrites(nil)
		r.lead(rollout.Rollback)
		r.exposure(0)
	})
}

func TestVerdictOnAFullDisk(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("1:58")
		r.store.FailWrites(store.ErrFull)
		time.Sleep(5 * time.Minute)
		r.exposure(10)
		r.store.FailWrites(nil)
		r.minute += 5
		r.drive("2:10")
		r.exposure(25)
		if n := len(r.of(rollout.Advanced)); n != 1 {
			r.Errorf("%d advances, want 1", n)
		}
		r.notices(`
			started: c10
			advanced: r25`)
	})
}

func TestCommittedButNotServed(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		broken := errors.New("cannot read")
		r.store.unreadable.Store(&broken)
		if _, err := r.as("lead", rollout.Rollback); !errors.Is(err, broken) {
			r.Errorf("the roll back that nobody is served answers %v", err)
		}
		if s := r.view().State.Status; s != rollout.RolledBack {
			r.Errorf("the page says %s after the commit", s)
		}
		r.exposure(10)
		r.store.unreadable.Store(nil)
		r.drive("0:12")
		r.exposure(0)
		r.notices(`
			started: c10
			rolled back`)
	})
}

func TestLoweringNeedsNoEvidence(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		blinded := errors.New("no evidence")
		r.blinded.Store(&blinded)
		if _, err := r.as("lead", rollout.Promote, reason("x")); !errors.Is(err, blinded) {
			r.Errorf("promote without evidence: %v", err)
		}
		r.lead(rollout.Pause)
		r.lead(rollout.Reduce, percent(1000))
		r.exposure(1)
		r.lead(rollout.Rollback)
		r.exposure(0)
	})
}

func TestAnotherWriter(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		// Somebody else rolls back on the same store, with a process of its own.
		s, err := r.store.State(r.Context(), "rig-1")
		if err != nil {
			r.Fatal(err)
		}
		e := rollout.Event{Pos: s.Pos + 1, Type: rollout.RolledBackEvent, At: time.Now().UTC(), By: "else", Attempt: 1}
		flag, err := r.c.Flags().Get(r.Context(), "rig")
		if err != nil {
			r.Fatal(err)
		}
		flag.Definition.Targeting, flag.Pos = nil, e.Pos
		if err := r.store.Commit(r.Context(), store.Commit{State: rollout.Apply(s, e), Expect: s.Pos, Events: []rollout.Event{e}, Flag: &flag}); err != nil {
			r.Fatal(err)
		}
		if _, err := r.as("lead", rollout.Pause); !errors.Is(err, store.ErrConflict) {
			r.Errorf("pause answers %v, want a conflict", err)
		}
		r.exposure(0)
		r.refused(409, "rolled back", "lead", rollout.Pause)
	})
}

func TestCommandsAfterTheEnd(t *testing.T) {
	bubble(t, func(r *rig) {
		if _, err := r.as("lead", rollout.Cancel); err != nil {
			r.Fatal(err)
		}
		r.refused(409, "", "lead", rollout.Promote, reason("x"))
		r.refused(409, "", "lead", rollout.Rollback)
		c := r.c
		r.down()
		if _, err := c.Do(r.Context(), "rig-1", rollout.Command{Verb: rollout.Pause}); err == nil {
			r.Error("a command after the end of the process was done")
		}
	})
}

func TestReviseServesTheNewSplit(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		before := r.onNew()
		old := r.evaluate("boss")
		r.revise("{ key: rig }", "{ key: rig, include: { users: [boss] } }")
		if now := r.evaluate("boss"); old != "old" || now != "new" {
			r.Errorf("the included user was on %s and is on %s", old, now)
		}
		if len(before) != len(r.onNew()) {
			r.Errorf("%d users on new before, %d after", len(before), len(r.onNew()))
		}
		r.restart()
		if now := r.evaluate("boss"); now != "new" {
			r.Errorf("after a restart the included user is on %s", now)
		}
		if source, err := r.c.PlanSource(r.Context(), "rig"); err != nil || string(source) != r.source {
			r.Errorf("the plan in force is not the revised one (%v)", err)
		}
	}, "restart] }", "restart, revise] }")
}

func TestRefusedRevisionLeavesNoTrace(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		changed := edited(r.T, r.source, "traffic: 10%", "traffic: 20%")
		_, err := r.c.Revise(r.Context(), "rig", []byte(changed), rollout.Command{By: "lead", Role: "lead", May: []string{"revise", "approve"}})
		if statusOf(err) != 409 {
			r.Errorf("a revision of the running stage's traffic: %v", err)
		}
		names, err := r.store.PlanNames(r.Context())
		if err != nil || len(names) != 1 || names[0].Number != 1 {
			r.Errorf("plans %+v (%v), want only the first version", names, err)
		}
		r.exposure(10)
	})
}
