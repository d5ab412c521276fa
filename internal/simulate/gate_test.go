package simulate

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestGates plays what a plan may say at a gate, and how a run ends.
func TestGates(t *testing.T) {
	const runs = 20
	two := strings.Replace(one("errors < 100000", "errors > 100000 over 1h"), "rollback:",
		"  - { stage: all, traffic: 90%, bake: 6h, at: \"12:00-14:00\", before: [look, think], approve: lead, confirm: [it works], checks: [], proceed: [errors < 100000] }\nroles: { lead: { who: \"@lead\", may: [start, approve] } }\nrollback:", 1)
	for _, tt := range []struct {
		name, plan string
		figures    []string
		check      func(r Result) bool
	}{
		{"people and clocks", two, nil, func(r Result) bool {
			// Monday 09:00, a day of bake, the window at 12:00, six hours
			return r.Finished.P == 1 && r.Finish.P50 == 33 && r.Stages[0].Waited.P50 == 3 && r.Stages[1].Waited.P50 == 0
		}},
		{"office hours", strings.Replace(two, "daily 00:00-24:00", "mon-fri 08:00-16:00", 1), nil, func(r Result) bool {
			return r.Finish.P50 == 47 // complete on Tuesday at 18:00, the clean-up begins on Wednesday
		}},
		{"a small stage", strings.Replace(one("p1 < 3", "p1 > 5 over 1h"), "users: 1,", "users: 800,", 1), nil, func(r Result) bool {
			return r.Asked.P == 1 && r.Stages[0].Proceed[0].Unknown.P == 1
		}},
		{"hold", strings.Replace(one("errors <= +10% vs control", "errors > 100000 over 1h"), "judge: {", "judge: { inconclusive: hold, overrun: 12h,", 1), nil, func(r Result) bool {
			return r.Asked.P == 0 && r.Stuck.P > 0.9 && r.Finished.P < 0.1
		}},
		{"pass", strings.Replace(one("errors <= +10% vs control", "errors > 100000 over 1h"), "judge: {", "judge: { inconclusive: pass,", 1), nil, func(r Result) bool {
			return r.Asked.P == 0 && r.Stages[0].Proceed[0].Unknown.P > 0.9 && r.Finish.P50 == 24
		}},
		{"early", strings.Replace(one("errors < 100000", "errors > 100000 over 1h"), "bake: 24h,", "bake: 24h, early: { after: 4h },", 1), nil, func(r Result) bool {
			return r.Finish.P50 == 4
		}},
		{"reduce", strings.Replace(one("errors < 100000", "errors > 100000 over 1h"), "rollback:", "reduce: [errors > 3 over 24h]\nrollback:", 1), []string{"errors_per_view=0.5%"}, func(r Result) bool {
			return r.FalseReduce.P == 1 && r.FalseRollback.P == 0 && r.Guards[1].List == "reduce" && r.Guards[1].Acts.P == 1
		}},
		{"a rule that must hold for long", one("errors < 100000", "errors > 3 over 24h for 2h"), []string{"errors_per_view=0.5%"}, func(r Result) bool {
			return r.FalseRollback.P == 1
		}},
		{"a rule that does not hold for long enough", one("errors < 100000", "errors > 30 over 1h for 6h"), []string{"errors_per_view=0.5%"}, func(r Result) bool {
			return r.FalseRollback.P == 0
		}},
		{"a limit of latency", one("errors < 100000", "lcp > 2.1s over 1h"), []string{"lcp=2.2s"}, func(r Result) bool {
			return r.FalseRollback.P == 1
		}},
		{"never measured", one("lcp < 2s", "api_p95 > 1s over 1h"), []string{"lcp=0", "api_p95=0"}, func(r Result) bool {
			return r.Stages[0].Proceed[0].Unknown.P == 1 && r.FalseRollback.P == 0
		}},
		{"many events", one("errors < 100000", "errors > 2000 over 1h"), []string{"views_per_day=20000000", "users=1000000"}, func(r Result) bool {
			return r.FalseRollback.P == 0 && r.Finished.P == 1
		}},
		{"as many events as the limit", one("errors < 100000", "errors > 150 over 1h"), []string{"views_per_day=20000000", "users=1000000"}, func(r Result) bool {
			return r.FalseRollback.P == 1
		}},
		{"adoption and crowds", one("adoption > 40%, concurrent < 1000, error_rate < 1%", "adoption < 10% over 24h"), nil, func(r Result) bool {
			return r.Finished.P == 1 && r.FalseRollback.P == 0
		}},
		{"a figure breaks a rule", one("memory < 1GB", "pool > 90% for 1m"), []string{"memory=2GB", "pool=95%"}, func(r Result) bool {
			return r.FalseRollback.P == 1 && len(r.Assumed) > 0
		}},
	} {
		r := simulated(t, readPlan(t, tt.plan), Options{Traffic: flat(t, tt.figures...), Runs: runs, Seed: 11})
		if !tt.check(r) {
			t.Errorf("%s: rolled back %s, reduced %s, stuck %s, asked %s, finished %s after %+v; first stage %+v", tt.name,
				r.FalseRollback, r.FalseReduce, r.Stuck, r.Asked, r.Finished, r.Finish, r.Stages[0])
		}
	}
}

// TestCycles: whatever the cycles, the figures are averages of a week.
func TestCycles(t *testing.T) {
	p := readPlan(t, "admin-workbench")
	for _, traffic := range []Traffic{DefaultTraffic(), flat(t), flat(t, "weekend=0.2", "daily=1", "errors_weekend=5")} {
		o := Options{Traffic: traffic}
		if err := o.fill(p); err != nil {
			t.Fatal(err)
		}
		w, err := o.world(p)
		if err != nil {
			t.Fatal(err)
		}
		const week = 7 * 24 * time.Hour
		for k := range time.Duration(3) {
			if v, e := w.cycle.viewsIn(k*week, (k+1)*week), w.cycle.errorsIn(k*week, (k+1)*week); math.Abs(v-7) > 1e-9 || math.Abs(e-7) > 1e-9 {
				t.Errorf("week %d: %g days of views, %g of errors, want 7", k, v, e)
			}
		}
	}
}
