package evidence

import (
	"context"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/telemetry"
)

// TestOtherProjectsEvents: an event of another project counts for nothing in a
// rollout: not its errors, users, signs of life, values or sources.
func TestOtherProjectsEvents(t *testing.T) {
	for _, home := range []string{"", "1", "2"} {
		t.Run("rollout of "+home, func(t *testing.T) {
			g := newRig(t, nil)
			g.target.Project = home
			g.target.Rollout = "other-1"
			g.watch()
			at := t0.Add(time.Minute)
			g.clock.Advance(2 * time.Minute)
			send := func(project, id string, kind telemetry.Kind) {
				t.Helper()
				e := telemetry.Event{Kind: kind, Project: project, ID: id, Time: at, Received: at, User: "u" + id, Level: "error",
					Title: "TypeError: x", Flags: map[string]string{"f": "new"}, Environment: "production"}
				if err := g.e.Accept(context.Background(), []telemetry.Event{e}); err != nil {
					t.Fatal(err)
				}
			}
			own, other := "1", "2"
			if home == "2" {
				own, other = other, own
			}
			for _, id := range []string{"a", "b", "c"} {
				send(other, id, telemetry.KindError)
			}
			send(other, "f", telemetry.KindFeedback)
			if err := g.e.Push(context.Background(), other, "ci", "pass"); err != nil {
				t.Fatal(err)
			}
			look := func() (errors int64, alive bool, issues int) {
				v, err := g.e.View("other-1")
				if err != nil {
					t.Fatal(err)
				}
				for _, it := range g.e.issues.byID {
					if _, in := it.Arms["other-1/new"]; in {
						issues++
					}
				}
				return v.Window("errors", judge.Exposed, t0.Add(-time.Hour), g.clock.Now()).Count, !v.Data().NoData, issues
			}
			if n, alive, issues := look(); n != 0 || alive || issues != 0 {
				t.Errorf("another project's events: %d errors, alive %v, %d issues", n, alive, issues)
			}
			if _, _, ok := g.e.Value(own, "ci"); ok {
				t.Error("another project's value is here")
			}
			if f := g.e.Facts(own, g.target.Plan, g.clock.Now()); f.Events != 0 || f.Arrived["telemetry"] || f.Arrived["ci"] || f.Arrived["feedback"] {
				t.Errorf("facts of another project's telemetry: %+v", f)
			}
			if tr := g.e.Trace(own, "f", "ua"); tr.Event != nil {
				t.Error("another project's event is traced")
			}
			send(own, "a", telemetry.KindError) // the same id and user: another event
			if n, alive, issues := look(); n != 1 || !alive || issues != 1 {
				t.Errorf("own event: %d errors, alive %v, %d issues", n, alive, issues)
			}
			if f := g.e.Facts(other, g.target.Plan, g.clock.Now()); f.Events != 4 || !f.Arrived["ci"] || !f.Arrived["feedback"] {
				t.Errorf("facts of the other project: %+v", f)
			}

			// All of it is there after a restart.
			g.stop()
			g.start()
			if err := g.e.Watch(g.target); err != nil {
				t.Fatal(err)
			}
			if n, _, _ := look(); n != 1 {
				t.Errorf("after a restart %d errors", n)
			}
			if text, _, ok := g.e.Value(other, "ci"); !ok || text != "pass" {
				t.Error("the pushed value is gone")
			}
			if _, _, ok := g.e.Value(own, "ci"); ok {
				t.Error("another project's value is here after a restart")
			}
		})
	}
}

// TestRegions: no environment of one project is taken for another's.
func TestRegions(t *testing.T) {
	seen := map[string]string{}
	for _, project := range []string{"1", "2", "12"} {
		for _, env := range []string{"", "production", "2production"} {
			region := regionOf(project, env)
			if was, twice := seen[region]; twice {
				t.Errorf("%s and %s in project %s have one region", was, env, project)
			}
			seen[region] = env
			for _, p := range []string{"", "1", "2", "12"} {
				if got, want := inRegion(p, region), sameProject(p, project); got != want {
					t.Errorf("region %q of project %s: in %q %v", region, project, p, got)
				}
			}
		}
	}
	if regionOf("", "Production") != regionOf("1", "production") || regionOf("1", "2"+regionMark+"production") == regionOf("2", "production") {
		t.Error("a region is another's")
	}
	kept := map[string]int{"": 0, "2" + regionMark: 0}
	for i, name := range []string{"a", "b", "c", "d", "e"} {
		if got, want := roomFor(kept, regionOf("2", name)), i < keptEnvs; got != want {
			t.Errorf("room for environment %d: %v", i, got)
		}
		kept[regionOf("2", name)] = 0
	}
	if !roomFor(kept, regionOf("1", "a")) || !roomFor(kept, regionOf("3", "")) {
		t.Error("one project takes another's room")
	}
	for _, project := range []string{"1", "2"} {
		if p, key := cutValueKey(valueKey(project, "refs gone a b")); p != project || key != "refs gone a b" {
			t.Errorf("value key comes back as %q, %q", p, key)
		}
	}
}
