package simulate

import (
	"math"
	"testing"
	"time"

	"serin/internal/judge"
)

// TestActive: so many users of an arm were there in a window as when every view
// is drawn, of a user who is where they are at that time.
func TestActive(t *testing.T) {
	const users, views, day = 20_000, 20_000, 24 * time.Hour
	o := Options{Traffic: flat(t, "users=20000", "views_per_day=20000")}
	w, err := o.world(readPlan(t, one("errors < 100000, adoption > 1%", "errors > 100000 over 1h")))
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(w, Effect{}, newRand(6, 6))
	var at []time.Duration // of each view
	var by []int64         // user, in the order of hashes
	rng := newRand(7, 7)
	for range 3 * views {
		at, by = append(at, time.Duration(rng.Float64()*float64(3*day))), append(by, rng.Int64N(users))
	}
	seen := func(a arm, from, to time.Duration) float64 {
		who := map[int64]bool{}
		for i, user := range by {
			if at[i] <= from || at[i] > to {
				continue
			}
			var in interval
			for _, k := range s.intervals {
				if k.from < at[i] {
					in = k
				}
			}
			if (user < in.users[fresh]) == (a == fresh) {
				who[user] = true
			}
		}
		return float64(len(who))
	}
	for stage, share := range []float64{0.1, 0.5, 0.75} {
		s.enter(stage, share)
		for _, later := range []time.Duration{time.Minute, day - time.Minute} {
			s.until(s.made + later)
			for a := range s.tracks {
				for _, from := range []time.Duration{0, s.made - 2*time.Hour, s.made - 30*time.Hour} {
					from = max(from, 0)
					got, want := float64(s.active(arm(a), from, s.made)), seen(arm(a), from, s.made)
					if math.Abs(got-want) > 4*math.Sqrt(want)+1 {
						t.Errorf("arm %d, %s to %s: %g active, %g were there", a, from, s.made, got, want)
					}
				}
			}
			e := evidence{s, s.made}
			got := e.Window("adoption", judge.Exposed, s.cycle.start, s.cycle.start.Add(s.made)).Value
			who := map[int64]bool{}
			for i := range by {
				if at[i] <= s.made {
					who[by[i]] = true
				}
			}
			if want := seen(fresh, 0, s.made) / float64(len(who)); math.Abs(got/want-1) > 4/math.Sqrt(seen(fresh, 0, s.made)+1) {
				t.Errorf("adoption %.4f at %s, want %.4f", got, s.made, want)
			}
		}
	}
}

// TestExposed: what acts just after a raise has exposed hardly anybody of those
// who were raised.
func TestExposed(t *testing.T) {
	o := Options{Traffic: flat(t, "users=1000", "views_per_day=1000")}
	p := readPlan(t, crowdedPlan)
	if err := o.fill(p); err != nil {
		t.Fatal(err)
	}
	w, err := o.world(p)
	if err != nil {
		t.Fatal(err)
	}
	r := &run{world: w, site: newSite(w, Effect{}, newRand(1, 1)), healthy: true}
	r.out.stages = make([]stageOutcome, len(p.Stages))
	r.site.enter(0, 0.1)
	r.site.until(24 * time.Hour)
	r.site.enter(1, 0.5)
	first := float64(r.site.intervals[0].users[fresh])
	r.now = r.site.made
	r.end()
	if want := math.Round(first * -math.Expm1(-1)); float64(r.out.exposed) != want {
		t.Errorf("%d exposed at the moment of the raise, want %g of the %g who were new before", r.out.exposed, want, first)
	}
}
