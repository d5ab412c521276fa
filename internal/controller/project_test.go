package controller_test

import (
	"encoding/json"
	"strings"
	"testing"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

// TestProjectOfARollout: a rollout, its flag and its plan are of one project
// for good, and another project cannot take them.
func TestProjectOfARollout(t *testing.T) {
	bubble(t, func(r *rig) {
		ctx := r.Context()
		source := []byte(edited(t, rigPlan, "plan: rig", "plan: shop", "key: rig", "key: shop"))
		made, err := r.c.Create(ctx, "2", source, "lead", "api")
		if err != nil {
			t.Fatal(err)
		}
		id := made.State.ID
		if v, err := r.c.View(ctx, id); err != nil || v.Project != "2" || made.State.Project != "2" || made.Events[0].Project != "2" {
			t.Fatalf("made in project %q, %v: %+v", v.Project, err, made)
		}
		if f, err := r.c.Flags().Get(ctx, "shop"); err != nil || f.Place != (flag.Place{Project: "2", Environment: "production"}) {
			t.Errorf("its flag is at %+v, %v", f.Place, err)
		}
		for target, want := range map[string]string{"rollout " + id: "2", "rollout shop": "2", "rollout rig-1": "1", "flag shop": "2", "flag rig": "1",
			"plan shop": "2", "plan rig": "1", "project 2": "2", "flag none": "", "token x": "", "person anna": "", "rollout": ""} {
			if got := r.c.TargetProject(ctx, target); got != want {
				t.Errorf("%q is of project %q, want %q", target, got, want)
			}
		}

		off := flag.Definition{Key: "shop", State: flag.StateOff, DefaultVariant: "old", Variants: map[string]json.RawMessage{"new": json.RawMessage("true"), "old": json.RawMessage("false")}}
		for what, try := range map[string]func() error{
			"its plan's name": func() error { _, err := r.c.PutPlan(ctx, "1", source, "ben", "api"); return err },
			"a rollout":       func() error { _, err := r.c.Create(ctx, "", source, "ben", "api"); return err },
			"its flag by a plan": func() error {
				_, err := r.c.PutPlan(ctx, "1", []byte(edited(t, string(source), "plan: shop", "plan: thief")), "ben", "api")
				return err
			},
			"its flag by hand": func() error {
				_, err := r.c.PutFlag(ctx, off, -1, controller.Actor{Name: "ben", Project: "1"}, "api", "")
				return err
			},
		} {
			if err := try(); statusOf(err) != 409 || !strings.Contains(err.Error(), "another project's") {
				t.Errorf("%s taken by another project: %v, want a refusal with that reason", what, err)
			}
		}

		// An edit by hand and the end of the rollout leave the flag where it is.
		if _, err := r.c.Do(ctx, id, rollout.Command{Verb: rollout.Cancel, By: "lead", Role: "lead", May: []string{"start"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.c.PutFlag(ctx, off, -1, controller.Actor{Name: "anna", Project: "2"}, "api", ""); err != nil {
			t.Fatal(err)
		}
		if f, _ := r.c.Flags().Get(ctx, "shop"); f.Place.Project != "2" {
			t.Errorf("the flag moved to %+v", f.Place)
		}
	})
}

// TestBuildVariablesOfAProject: a variable holds the flags of the projects
// that are asked about only.
func TestBuildVariablesOfAProject(t *testing.T) {
	bubble(t, func(r *rig) {
		for project, name := range map[string]string{"1": "one", "2": "two"} {
			source := edited(t, rigPlan, "plan: rig", "plan: "+name, "key: rig", "key: "+name+", env: APP_FLAGS")
			if _, err := r.c.Create(r.Context(), project, []byte(source), "lead", "api"); err != nil {
				t.Fatal(err)
			}
		}
		for asked, want := range map[string]string{"": "one two", "1": "one", "2": "two"} {
			var keys []string
			for _, v := range r.c.BuildVariables(func(project string) bool { return asked == "" || asked == project }) {
				for _, f := range v.Flags {
					keys = append(keys, f.Key)
				}
			}
			if got := strings.Join(keys, " "); got != want {
				t.Errorf("project %q: %q, want %q", asked, got, want)
			}
		}
	})
}

func TestAuditOfSomeTargets(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, target := range []string{"flag a", "flag b", "flag a", "flag b"} {
			if err := r.store.PutAudit(r.Context(), store.AuditEntry{At: r.clk.Now(), Who: "anna", Verb: "put", Target: target}); err != nil {
				t.Fatal(err)
			}
		}
		looked := 0
		got, err := r.c.Audit(r.Context(), controller.AuditQuery{Limit: 1, Sees: func(target string) bool { looked++; return target == "flag a" }})
		if err != nil || len(got) != 1 || got[0].Target != "flag a" {
			t.Errorf("entries %+v, %v: want the newest of flag a", got, err)
		}
	})
}
