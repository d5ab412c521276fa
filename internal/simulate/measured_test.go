package simulate

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

const measuredPlan = `serin: 1
plan: checkout
timezone: Europe/Berlin
flag: { key: newCheckout }
calendar: { raise: ["daily 00:00-24:00"] }
stages:
  - { stage: canary, traffic: 10%, bake: 24h, proceed: [p1 = 0, lcp < 2.5s, complaints < 9] }
  - { stage: full, traffic: 100%, bake: 24h, proceed: [p1 = 0, db_p95 < 50ms] }
rollback: [errors > +50% vs control over 1h]
`

// measuredHours makes hours of a site from the waves that a simulation has.
func measuredHours(p *plan.Plan, t Traffic, hours int, rng *rand.Rand) Measured {
	start := time.Date(2026, time.March, 2, 23, 0, 0, 0, time.UTC) // Tuesday begins in Berlin
	c := newCycle(start, p.Location, t, time.Duration(hours)*time.Hour)
	m := Measured{Users: t.Users, Hours: map[string][]judge.Hour{}}
	put := func(name string, i int, n int64, sketch *stats.Sketch) {
		m.Hours[name] = append(m.Hours[name], judge.Hour{Begin: start.Add(time.Duration(i) * time.Hour), Window: judge.Window{Count: n, Sketch: sketch}})
	}
	for i := range hours {
		from, to := time.Duration(i)*time.Hour, time.Duration(i+1)*time.Hour
		views := poisson(rng, t.ViewsPerDay*c.viewsIn(from, to))
		sketch := new(stats.Sketch)
		for range views {
			sketch.Add(t.Values["lcp"] * math.Exp(t.Spread*(rng.NormFloat64()-0.6744897501960817)))
		}
		put("lcp", i, views, sketch)
		put("requests", i, views/2, nil)
		put("errors", i, poisson(rng, t.ErrorsPerView*t.ViewsPerDay*c.errorsIn(from, to)), nil)
		put("p1", i, poisson(rng, t.PerDay["p1"]/24), nil)
		put("complaints", i, poisson(rng, 12.0/24), nil)
	}
	return m
}

func TestFromMeasured(t *testing.T) {
	p, err := plan.Parse([]byte(measuredPlan))
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultTraffic()
	want.ViewsPerDay, want.Users, want.ErrorsPerView, want.Daily, want.ErrorsDaily, want.Weekend, want.ErrorsWeekend, want.Spread = 40_000, 3_000, 0.02, 0.6, 0.25, 0.5, 1.5, 0.4
	want.Values = with(want.Values, "lcp", 1800)
	want.PerDay = with(want.PerDay, "p1", 3)
	near := func(t *testing.T, name string, got, want, tolerance float64) {
		t.Helper()
		if math.Abs(got-want) > tolerance {
			t.Errorf("%s is %g, want %g ± %g", name, got, want, tolerance)
		}
	}
	t.Run("a week and two days", func(t *testing.T) {
		f, err := FromMeasured(p, measuredHours(p, want, 9*24, rand.New(rand.NewPCG(1, 2))), DefaultTraffic())
		if err != nil {
			t.Fatal(err)
		}
		if f.To.Sub(f.From) != 7*24*time.Hour {
			t.Errorf("taken from %v, want a week", f.To.Sub(f.From))
		}
		got := f.Traffic
		near(t, "views", got.ViewsPerDay, want.ViewsPerDay, 400)
		near(t, "users", got.Users, want.Users, 0)
		near(t, "errors per view", got.ErrorsPerView, want.ErrorsPerView, 0.0008)
		near(t, "daily", got.Daily, want.Daily, 0.02)
		near(t, "errors daily", got.ErrorsDaily, want.ErrorsDaily, 0.06)
		near(t, "weekend", got.Weekend, want.Weekend, 0.02)
		near(t, "errors weekend", got.ErrorsWeekend, want.ErrorsWeekend, 0.12)
		near(t, "spread", got.Spread, want.Spread, 0.03)
		near(t, "lcp", got.Values["lcp"], want.Values["lcp"], 30)
		near(t, "p1", got.PerDay["p1"], 3, 2)
		near(t, "complaints", got.PerDay["complaints"], 12, 4)
		if got.Values["db_p95"] != DefaultTraffic().Values["db_p95"] || !strings.Contains(strings.Join(f.Assumed, "\n"), "db_p95") {
			t.Errorf("what was not measured: %g, %v", got.Values["db_p95"], f.Assumed)
		}
		if _, err := Run(p, Options{Traffic: got, Runs: 5, Seed: 1}); err != nil {
			t.Errorf("simulate it: %v", err)
		}
	})
	t.Run("two days", func(t *testing.T) {
		f, err := FromMeasured(p, measuredHours(p, want, 50, rand.New(rand.NewPCG(1, 2))), DefaultTraffic())
		if err != nil {
			t.Fatal(err)
		}
		if f.To.Sub(f.From) != 48*time.Hour || f.Traffic.Weekend != DefaultTraffic().Weekend || !strings.Contains(strings.Join(f.Assumed, "\n"), "no whole week") {
			t.Errorf("%v, weekend ×%g, %v", f.To.Sub(f.From), f.Traffic.Weekend, f.Assumed)
		}
	})
	t.Run("too little", func(t *testing.T) {
		for name, m := range map[string]Measured{
			"nothing":      {},
			"a morning":    measuredHours(p, want, 5, rand.New(rand.NewPCG(1, 2))),
			"nobody's":     {Hours: map[string][]judge.Hour{"requests": make([]judge.Hour, 30)}},
			"only one day": {Hours: map[string][]judge.Hour{"errors": measuredHours(p, want, 30, rand.New(rand.NewPCG(1, 2))).Hours["errors"]}},
		} {
			if f, err := FromMeasured(p, m, DefaultTraffic()); err == nil {
				t.Errorf("%s: %+v", name, f)
			}
		}
	})
}
