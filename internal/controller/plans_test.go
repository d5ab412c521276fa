package controller_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// TestPlansAreKept: versions are numbered, a text that was stored before keeps
// its number and becomes the latest again, and nothing starts.
func TestPlansAreKept(t *testing.T) {
	bubble(t, func(r *rig) {
		ctx := r.Context()
		second := edited(r.T, r.source, "bake: 2h", "bake: 3h")
		put := func(source string, number int, isNew bool) {
			r.Helper()
			got, err := r.c.PutPlan(ctx, "", []byte(source), "ann", "api")
			if err != nil || got.Number != number || got.New != isNew || got.Name != "rig" || !got.Check.OK {
				r.Errorf("got %+v (%v), want version %d, new %t", got, err, number, isNew)
			}
		}
		put(r.source, 1, false) // the rig's rollout was made of it
		put(second, 2, true)
		if p, err := r.c.Plan(ctx, "rig", 0); err != nil || p.Number != 2 || !p.Latest || p.Source != second {
			r.Errorf("the latest is %d (%v)", p.Number, err)
		}
		put(r.source, 1, false)
		p, err := r.c.Plan(ctx, "rig", 0)
		if err != nil || p.Number != 1 || !p.Latest || len(p.Versions) != 2 || p.Versions[0].Number != 2 || p.Flag != "rig" || !strings.Contains(p.Shown, "environment: production") {
			r.Errorf("the latest is %d of %v (%v)", p.Number, p.Versions, err)
		}
		if len(p.Rollouts) != 1 || p.Rollouts[0].ID != "rig-1" || p.Rollouts[0].Version != 1 || p.Rollouts[0].Status != rollout.Preflight {
			r.Errorf("rollouts %+v", p.Rollouts)
		}
		if p.Calendar == nil || p.Calendar.End.IsZero() || len(p.Calendar.Events[0].Owner) != 1 || p.Calendar.Events[0].Owner[0] != "lead (@lead)" {
			r.Errorf("calendar %+v", p.Calendar)
		}
		list, err := r.c.Plans(ctx)
		if err != nil || len(list) != 1 || list[0].Number != 1 || list[0].Versions != 2 || list[0].Stages != 5 || len(list[0].Rollouts) != 1 {
			r.Errorf("plans %+v (%v)", list, err)
		}
		var problems plan.Problems
		if _, err := r.c.PutPlan(ctx, "", []byte("serin: 1\n"), "ann", "api"); !errors.As(err, &problems) || problems.Errors() == 0 {
			r.Errorf("a plan with errors: %v", err)
		}
		audit, err := r.store.AuditEntries(ctx, "plan rig", 0)
		if err != nil || len(audit) != 3 || audit[0].Who != "ann" || audit[0].Verb != "put" {
			r.Errorf("audit %+v (%v)", audit, err)
		}
		for _, get := range []func() error{
			func() error { _, err := r.c.Plan(ctx, "nix", 0); return err },
			func() error { _, err := r.c.Plan(ctx, "rig", 3); return err },
			func() error { _, err := r.c.PlanVersions(ctx, "nix"); return err },
			func() error { _, err := r.c.ComparePlans(ctx, "rig", 1, 9); return err },
			func() error { _, err := r.c.CompareDraft(ctx, "nix", 0, nil); return err },
		} {
			if err := get(); !errors.Is(err, store.ErrNotFound) {
				r.Errorf("got %v, want not found", err)
			}
		}
	})
}

// TestCheckPlanAsksTheServer: lint knows the channels of this server, and a
// text that is no plan is a finding, no failure.
func TestCheckPlanAsksTheServer(t *testing.T) {
	bubble(t, func(r *rig) {
		check, err := r.c.CheckPlan(r.Context(), "", []byte(edited(r.T, r.source, "slack:#team", "pagerduty:nobody")))
		if err != nil || check.OK || check.Errors != 1 ||
			!slices.ContainsFunc(check.Problems, func(p plan.Problem) bool { return p.Code == "E14" && p.Line == 7 }) {
			r.Errorf("got %+v (%v), want E14 at line 7", check, err)
		}
		check, err = r.c.CheckPlan(r.Context(), "", []byte("a: ["))
		if err != nil || check.OK || check.Errors != 1 || check.Problems[0].Code != "E01" || len(check.Skipped) == 0 {
			r.Errorf("got %+v (%v), want E01", check, err)
		}
	})
}

// TestComparePlans: what changes, when stages come on both sides, and whether
// the rollout under way may take it.
func TestComparePlans(t *testing.T) {
	bubble(t, func(r *rig) {
		ctx := r.Context()
		looser := edited(r.T, r.source, "p1 > 5 over 1h", "p1 > 6 over 1h")
		before, err := r.c.CompareDraft(ctx, "rig", 1, []byte(looser))
		if err != nil || before.Revision == nil || before.Revision.Stage != "" || !before.Revision.Possible || len(before.Revision.Past) > 0 || before.Calendar[0].Moved {
			r.Errorf("before the start: %+v (%v)", before, err)
		}
		r.lead(rollout.Start)
		r.drive("2:30") // r25 began at 2:00
		d, err := r.c.CompareDraft(ctx, "rig", 0, []byte(looser))
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff([]plan.Change{{What: "rollback", Rule: "p1 > 6 over 1h", Before: "p1 > 5 over 1h", After: "p1 > 6 over 1h", Looser: true}}, d.Changes); diff != "" {
			r.Errorf("changes (-want +got)\n%s", diff)
		}
		rev := d.Revision
		if rev == nil || !rev.Possible || !rev.Looser || rev.Approved || rev.Same || rev.InForce != 1 || rev.Stage != "r25" || rev.Exposure != 25 ||
			!cmp.Equal(rev.Past, []string{"c10"}) || !cmp.Equal(rev.Approve, []string{"lead"}) || len(rev.Revise) != 0 || len(rev.Resets) != 2 {
			r.Errorf("revision %+v", rev)
		}
		if m := d.Calendar[0]; m.Stage != "r25" || !m.Now {
			r.Errorf("the calendar begins with %+v", m)
		}
		next := d.Calendar[1]
		if late := next.After.Sub(next.Before); next.Stage != "r50" || late < 25*time.Minute || late > 35*time.Minute || d.To.End.Sub(d.From.End) != late {
			r.Errorf("r50 moves by %s, the end by %s, want half an hour", late, d.To.End.Sub(d.From.End))
		}
		if !strings.Contains(d.Text, "\n-rollback: [p1 > 5 over 1h") || !strings.Contains(d.Text, "+++ rig (draft)\n") {
			r.Errorf("text: %s", d.Text)
		}
		past, err := r.c.CompareDraft(ctx, "rig", 0, []byte(edited(r.T, r.source, "traffic: 10%", "traffic: 12%")))
		if err != nil || past.Revision.Possible || len(past.Revision.Problems) != 1 || past.Revision.Problems[0].Code != "E17" || past.Revision.Problems[0].Line != 11 {
			r.Errorf("a past stage: %+v (%v)", past.Revision, err)
		}
		none, err := r.c.CompareDraft(ctx, "rig", 0, []byte("a: ["))
		if err != nil || none.Compared || none.Revision.Possible || len(none.Fresh) != 1 {
			r.Errorf("a text that is no plan: %+v (%v)", none, err)
		}
		same, err := r.c.ComparePlans(ctx, "rig", 1, 1)
		if err != nil || !same.Revision.Same || same.Revision.Possible || same.Text != "" || len(same.Changes) > 0 {
			r.Errorf("with itself: %+v (%v)", same, err)
		}
		names, err := r.store.PlanVersions(ctx, "rig")
		if err != nil || len(names) != 1 {
			r.Errorf("a comparison stored %v (%v)", names, err)
		}
	})
}
