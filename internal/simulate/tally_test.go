package simulate

import (
	"math"
	"testing"
	"time"
)

// TestBursts: the design effect of events is that of the users of the present
// stage, whether their events are drawn one by one or in bulk.
func TestBursts(t *testing.T) {
	for _, heavy := range []bool{false, true} {
		w := crowdedWorld(t, 300, 3000, heavy)
		s := newSite(w, Effect{}, newRand(4, 4))
		for stage, share := range []float64{0.1, 0.5} {
			s.enter(stage, share)
			began := s.made
			s.until(s.made + 12*time.Hour)
			for _, metric := range []string{"errors", "p2"} {
				got := evidence{s, s.made}.Tests(metric)
				events := map[int64]float64{}
				for a := range s.tracks {
					tr := &s.tracks[a][w.models[metric].index]
					for i, at := range tr.at {
						if at > began && !heavy {
							events[tr.user[i]]++
						}
					}
				}
				var squares, sum float64
				for _, x := range events {
					squares, sum = squares+x*x, sum+x
				}
				n, near := float64(got.EventsNew+got.EventsOld), 0.15
				want := 1 + n/300 // of Poisson numbers of events
				if !heavy {
					want, near = squares/sum, 1e-9
				}
				if math.Abs(got.Phi/want-1) > near {
					t.Errorf("heavy %t, stage %d, %g events of %s: design effect %.3f, want %.3f", heavy, stage, n, metric, got.Phi, want)
				}
			}
		}
	}
}

// TestCrowdedGate: at most judge.false_proceed of gates that ask for "not worse
// than 25 %" let a feature through whose errors are worse by just that, though
// every user errs again and again.
func TestCrowdedGate(t *testing.T) {
	const runs = 300
	for _, errors := range []string{"14%", "20%"} { // one by one, in bulk
		p := readPlan(t, one("errors <= +25% vs control", "p1 > 100000 over 1h"))
		o := Options{Traffic: flat(t, "users=300", "p1_per_day=0", "errors_per_view="+errors)}
		if err := o.fill(p); err != nil {
			t.Fatal(err)
		}
		w, err := o.world(p)
		if err != nil {
			t.Fatal(err)
		}
		outcomes, err := o.play(w, Effect{Errors: 1.25}, runs)
		if err != nil {
			t.Fatal(err)
		}
		proved := tallyOf(outcomes, func(o *outcome) bool { return len(o.stages[0].unknown)+len(o.stages[0].notMet) == 0 })
		t.Logf("%s errors: proved in %d of %d runs", errors, proved, runs)
		if limit := 0.05*runs + 3*math.Sqrt(0.05*0.95*runs); float64(proved) > limit {
			t.Errorf("%s errors: proved in %d of %d runs, at most %.0f may be", errors, proved, runs, limit)
		}
	}
}
