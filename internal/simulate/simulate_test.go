package simulate

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
)

// readPlan parses a plan, or a file when text has no line break.
func readPlan(t testing.TB, text string) *plan.Plan {
	t.Helper()
	if !strings.Contains(text, "\n") {
		source, err := os.ReadFile("../../examples/" + text + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		text = string(source)
	}
	p, err := plan.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// one is a plan of one stage with one criterion and one rule that acts.
func one(proceed, rollback string) string {
	return fmt.Sprintf(`serin: 1
plan: one
timezone: UTC
flag: { key: one }
calendar: { raise: ["daily 00:00-24:00"] }
judge: { enough: { users: 1, for: 1h } }
stages:
  - { stage: only, traffic: 50%%, bake: 24h, checks: [{ every: 6h, expect: [%[1]s] }], proceed: [%[1]s] }
rollback: [%[2]s]
`, proceed, rollback)
}

// flat is traffic without cycles.
func flat(t *testing.T, figures ...string) Traffic {
	out := DefaultTraffic()
	out.Daily, out.ErrorsDaily, out.Weekend, out.ErrorsWeekend = 0, 0, 1, 1
	for _, f := range figures {
		name, text, _ := strings.Cut(f, "=")
		if err := out.Set(name, text); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func simulated(t testing.TB, p *plan.Plan, o Options) Result {
	t.Helper()
	r, err := Run(p, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// near fails unless a share lies within four standard errors of want.
func near(t *testing.T, what string, got Share, want float64) {
	t.Helper()
	if se := math.Sqrt(want * (1 - want) / float64(got.Of)); math.Abs(got.P-want) > 4*se {
		t.Errorf("%s: got %s of %d, want %.3f ±%.3f", what, got, got.Of, want, se)
	}
}

// TestSameSeed: the same seed gives the same answer in whatever order the runs
// are carried out, and another seed another.
func TestSameSeed(t *testing.T) {
	p := readPlan(t, "admin-workbench")
	o := Options{Traffic: DefaultTraffic(), Runs: 6, Seed: 7}
	first := simulated(t, p, o)
	o.Each = func(n int, f func(i int)) error {
		for i := n - 1; i >= 0; i-- {
			f(i)
		}
		return nil
	}
	if diff := cmp.Diff(first, simulated(t, p, o)); diff != "" {
		t.Errorf("backwards:\n%s", diff)
	}
	o.Seed = 8
	if cmp.Equal(first.Stages, simulated(t, p, o).Stages) {
		t.Error("another seed gives the same answer")
	}
}

// TestCriterion: "p1 = 0" over a stage is not met with probability
// 1 - exp(-λ), and then it keeps the stage for good.
func TestCriterion(t *testing.T) {
	r := simulated(t, readPlan(t, one("p1 = 0", "p1 > 1000 over 1h")), Options{Traffic: flat(t, "p1_per_day=0.8"), Runs: 1500, Seed: 1})
	want := 1 - math.Exp(-0.8*0.5)
	s := r.Stages[0]
	near(t, "not met", s.Proceed[0].NotMet, want)
	near(t, "stuck", s.Stuck, want)
	near(t, "stuck anywhere", r.Stuck, want)
	near(t, "finished", r.Finished, 1-want)
	near(t, "red checks", s.Checks[0].Red, want) // the last of them at the end of bake
	if r.Finish.P50 != 24 || r.Finish.P90 != 24 || r.Earliest != 24 {
		t.Errorf("finish: got %+v, earliest %g, want 24 hours", r.Finish, r.Earliest)
	}
}

// TestFixedGuard: a fixed limit over a window as long as the stage is broken
// with the probability of a Poisson tail.
func TestFixedGuard(t *testing.T) {
	r := simulated(t, readPlan(t, one("errors < 1000", "p1 > 2 over 24h")), Options{Traffic: flat(t, "p1_per_day=3", "errors_per_view=0.1%"), Runs: 1500, Seed: 2})
	const mean = 1.5
	want := 1 - math.Exp(-mean)*(1+mean+mean*mean/2)
	near(t, "false rollback", r.FalseRollback, want)
	near(t, "by its rule", r.Guards[0].Acts, want)
	near(t, "in its stage", r.Guards[0].ByStage[0], want)
	if !r.Guards[0].Fixed {
		t.Error("a limit of its own is not called fixed")
	}
}

// TestAsks: what cannot be proved asks a person, who accepts after the overrun.
func TestAsks(t *testing.T) {
	r := simulated(t, readPlan(t, one("errors <= +10% vs control", "errors > 100000 over 1h")), Options{Traffic: flat(t), Runs: 50, Seed: 3})
	if r.Asked.P < 0.9 || r.Stages[0].Proceed[0].Unknown.P < 0.9 || r.Stuck.Count != 0 {
		t.Errorf("ten errors a day prove nothing: asked %s, unknown %s, stuck %s", r.Asked, r.Stages[0].Proceed[0].Unknown, r.Stuck)
	}
	if got := r.Stages[0].Waited.P50; got != 48 {
		t.Errorf("waited %g hours, want the overrun of 48", got)
	}
}

// TestHealthyPlan is the gate of the false rollbacks: by tests at most 1 % of
// healthy plans, plus three standard errors.
func TestHealthyPlan(t *testing.T) {
	const runs = 40
	r := simulated(t, readPlan(t, "minimal"), Options{Traffic: DefaultTraffic(), Runs: runs, Seed: 4})
	if limit := 0.01 + 3*math.Sqrt(0.01*0.99/runs); r.FalseRollback.P > limit {
		t.Errorf("%s of healthy runs were rolled back, at most %.3f may be", r.FalseRollback, limit)
	}
	if r.Stages[2].Reached.P < 0.9 {
		t.Errorf("the last stage was reached by %s only", r.Stages[2].Reached)
	}
}

// TestFigures reads what people write.
func TestFigures(t *testing.T) {
	got := DefaultTraffic()
	for _, f := range []string{"views_per_day=2,000,000", "errors_per_view=0.05%", "lcp=2.5s", "api_p95=180 ms", "memory=1.5GiB", "complaints_per_day=3"} {
		name, text, _ := strings.Cut(f, "=")
		if err := got.Set(name, text); err != nil {
			t.Error(err)
		}
	}
	if got.ViewsPerDay != 2e6 || got.ErrorsPerView != 0.0005 || got.Values["lcp"] != 2500 || got.Values["api_p95"] != 180 ||
		got.Values["memory"] != 1.5*(1<<30) || got.PerDay["complaints"] != 3 {
		t.Errorf("got %+v", got)
	}
	if fresh := DefaultTraffic(); fresh.Values["lcp"] != 2000 || fresh.PerDay["complaints"] != 0 {
		t.Error("setting a figure changed the defaults")
	}
	for _, text := range []string{"", "many", "5 apples", "NaN", "1e999"} {
		if err := got.Set("users", text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// TestBadOptions are refused with what is wrong.
func TestBadOptions(t *testing.T) {
	p := readPlan(t, "minimal")
	for want, o := range map[string]Options{
		"views_per_day 0":              {},
		"errors_per_view 2":            {Traffic: flat(t, "errors_per_view=2")},
		"per_day.p1 -1":                {Traffic: flat(t, "p1_per_day=-1")},
		`"speed" is no metric`:         {Traffic: flat(t, "speed=3")},
		"runs -1":                      {Traffic: flat(t), Runs: -1},
		"give a number from 1 to 1000": {Traffic: flat(t), Runs: MaxRuns + 1},
	} {
		if _, err := Run(p, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	night := readPlan(t, "serin: 1\nplan: night\ntimezone: UTC\nflag: { key: n }\nstages:\n  - { stage: a, traffic: 10%, bake: 1h }\n  - { stage: b, traffic: 50%, bake: 1h, at: \"00:00\" }\n")
	if _, err := Run(night, Options{Traffic: flat(t), Runs: 1}); err == nil || !strings.Contains(err.Error(), `stage "b" can never be entered`) {
		t.Errorf("a window outside of office hours: %v", err)
	}
	closed := readPlan(t, strings.Replace(one("p1 = 0", "p1 > 5 over 1h"), "calendar: { raise: [\"daily 00:00-24:00\"] }",
		"calendar: { raise: [\"mon-fri 09:00-17:00\"], freeze: [{ from: \"2025-01-01\", to: \"2099-01-01\", why: x }] }", 1))
	if r, err := Run(closed, Options{Traffic: flat(t), Runs: 1}); err == nil && r.Start.Before(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("started in a freeze: %s", r.Start)
	}
}

func BenchmarkRun(b *testing.B) {
	for _, name := range []string{"minimal", "admin-workbench"} {
		b.Run(name, func(b *testing.B) {
			o := Options{Traffic: DefaultTraffic(), Seed: 1}
			p := readPlan(b, name)
			if err := o.fill(p); err != nil {
				b.Fatal(err)
			}
			w, err := o.world(p)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				play(w, Effect{}, 1, i)
			}
		})
	}
}
