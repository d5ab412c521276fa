package simulate

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"serin/internal/judge"
)

// crowdedPlan is a plan of two stages that compares and limits affected users.
const crowdedPlan = `serin: 1
plan: crowded
timezone: UTC
flag: { key: crowded }
stages:
  - { stage: tenth, traffic: 10%, bake: 24h, proceed: [errors <= +10% vs control], checks: [] }
  - { stage: half, traffic: 50%, bake: 24h, proceed: [errors <= +10% vs control], checks: [] }
rollback: [affected_users > 1000000 over 6h, p2 > +50% vs control over 1h]
`

// sample is a mean of runs and its spread.
type sample struct{ n, sum, squares float64 }

func (s *sample) add(x float64) { s.n, s.sum, s.squares = s.n+1, s.sum+x, s.squares+x*x }

func (s *sample) mean() float64 { return s.sum / s.n }

func (s *sample) variance() float64 {
	return max(0, s.squares/s.n-s.mean()*s.mean()) * s.n / (s.n - 1)
}

// crowdedWorld is the plan's world at so many users and errors a day, of which a
// fifth are p2; heavy or not, as asked.
func crowdedWorld(t *testing.T, users, perDay float64, heavy bool) *world {
	o := Options{Traffic: flat(t)}
	o.Traffic.Users, o.Traffic.ViewsPerDay, o.Traffic.ErrorsPerView = users, 100*perDay, 0.01
	o.Traffic.PerDay["p2"] = perDay / 5
	p := readPlan(t, crowdedPlan)
	if err := o.fill(p); err != nil {
		t.Fatal(err)
	}
	w, err := o.world(p)
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.streams {
		w.streams[i].heavy = heavy
	}
	return w
}

// crowdedRun plays both stages, looks now and then, and returns what is seen of
// affected users by name.
func crowdedRun(w *world, number int) map[string]float64 {
	s := newSite(w, Effect{}, newRand(9, number))
	out := map[string]float64{}
	at := func(age time.Duration) time.Time { return s.cycle.start.Add(age) }
	for stage, share := range []float64{0.1, 0.5} {
		s.enter(stage, share)
		for range 4 {
			s.until(s.made + 6*time.Hour)
			e := evidence{s, s.made}
			for _, metric := range []string{"errors", "affected_users", "p2"} {
				for _, hours := range []time.Duration{1, 5, 30} {
					if from := max(0, s.made-hours*time.Hour); s.made%(12*time.Hour) == 0 {
						n := e.Window(metric, judge.AssignedNew, at(from), at(s.made))
						out[fmt.Sprintf("%s of new in %dh at %s", metric, hours, s.made)] = float64(n.Users)
						if all := s.users[fresh]; n.Users > min(all, n.Count) {
							panic(fmt.Sprintf("%d of %d users affected by %d events", n.Users, all, n.Count))
						}
					}
				}
				n := e.Window(metric, judge.AssignedOld, at(s.made-6*time.Hour), at(s.made))
				out[fmt.Sprintf("%s of old at %s", metric, s.made)] = float64(n.Users)
			}
		}
	}
	for _, metric := range []string{"errors", "p2"} {
		for _, c := range (evidence{s, s.made}).Tests(metric).Cells {
			out[fmt.Sprintf("%s counted in %d after %d: new", metric, c.Interval, c.Last)] = float64(c.New)
			out[fmt.Sprintf("%s counted in %d after %d: old", metric, c.Interval, c.Last)] = float64(c.Old)
		}
	}
	return out
}

// TestManyEvents: events that are drawn in bulk affect as many users as those
// drawn one by one, in every stage and window, and vary as much.
func TestManyEvents(t *testing.T) {
	for _, tt := range []struct {
		users, perDay float64
		runs          int
	}{{300, 3100, 200}, {20, 5000, 100}, {3000, 4000, 100}, {2000, 20_000, 40}, {100_000, 30_000, 20}} {
		var seen [2]map[string]*sample
		for k, heavy := range []bool{false, true} {
			w := crowdedWorld(t, tt.users, tt.perDay, heavy)
			seen[k] = map[string]*sample{}
			for i := range tt.runs {
				for name, x := range crowdedRun(w, 2*i+k) {
					if seen[k][name] == nil {
						seen[k][name] = &sample{}
					}
					seen[k][name].add(x)
				}
			}
		}
		for name, one := range seen[0] {
			bulk := seen[1][name]
			if bulk == nil {
				bulk = &sample{}
			}
			// what was not counted in a run is 0
			one.n, bulk.n = float64(tt.runs), float64(tt.runs)
			se := math.Sqrt((one.variance()+bulk.variance())/one.n + 0.05*0.05)
			if d := bulk.mean() - one.mean(); math.Abs(d) > 4.5*se {
				t.Errorf("%g users, %g a day: %s: %.2f in bulk, %.2f one by one (±%.2f)", tt.users, tt.perDay, name, bulk.mean(), one.mean(), se)
			}
			// ln of a variance of n draws has an error of √(2/n)
			if one.variance() > 1 && math.Abs(math.Log(bulk.variance()/one.variance())) > 4.5*math.Sqrt(4/one.n) {
				t.Errorf("%g users, %g a day: %s: variance %.2f in bulk, %.2f one by one", tt.users, tt.perDay, name, bulk.variance(), one.variance())
			}
		}
	}
}

// TestAffectedOnce: whether a stream is a little below or above what is drawn in
// bulk, a user counts once a stage: no more than there are.
func TestAffectedOnce(t *testing.T) {
	for _, perDay := range []float64{2900, 3100} {
		w := crowdedWorld(t, 300, perDay, perDay > heavyPerDay)
		s := newSite(w, Effect{}, newRand(1, 1))
		s.enter(0, 0.5)
		s.until(24 * time.Hour)
		var n int64
		for _, c := range (evidence{s, s.made}).Tests("errors").Cells {
			n += c.New + c.Old
		}
		if n < 295 || n > 300 {
			t.Errorf("%g errors a day of 300 users affect %d", perDay, n)
		}
	}
}

// TestAskedWhenever: who was affected does not depend on how often that is asked.
func TestAskedWhenever(t *testing.T) {
	var got [2]map[[2]int][2]int64
	for i, often := range []bool{false, true} {
		s := newSite(crowdedWorld(t, 3000, 4000, true), Effect{}, newRand(3, 3))
		m := s.models["errors"]
		for stage, share := range []float64{0.1, 0.5} {
			s.enter(stage, share)
			for range 24 {
				s.until(s.made + time.Hour)
				if often {
					s.distinct(m, old, 0, s.made-17*time.Minute)
					s.distinct(m, fresh, 0, s.made)
				}
			}
		}
		s.take(m, s.made)
		got[i] = map[[2]int][2]int64{}
		for k, n := range s.tally(m).cells {
			got[i][k] = *n
		}
	}
	if len(got[0]) < 3 || !maps.Equal(got[0], got[1]) {
		t.Errorf("asked once %v, asked often %v", got[0], got[1])
	}
}

// TestUrns: the numbers drawn from urns have the mean and the variance of balls
// that are drawn one by one.
func TestUrns(t *testing.T) {
	const runs = 20_000
	rng := newRand(5, 5)
	check := func(name string, mean, variance float64, draw func() int64, low, high int64) {
		var s sample
		for range runs {
			k := draw()
			if k < low || k > high {
				t.Fatalf("%s: drew %d", name, k)
			}
			s.add(float64(k))
		}
		if math.Abs(s.mean()-mean) > 5*math.Sqrt(variance/runs)+1e-9 || math.Abs(s.variance()-variance) > 0.06*variance+0.01 {
			t.Errorf("%s: mean %.4f, variance %.4f, want %.4f, %.4f", name, s.mean(), s.variance(), mean, variance)
		}
	}
	for _, c := range [][2]int64{{1, 1}, {1, 1000}, {5, 3}, {100, 1}, {100, 100}, {200, 150}, {200, 1e5}, {1000, 5000}, {5000, 1000}, {20_000, 5000}, {1000, 200}, {1e6, 1e5}} {
		n, u := float64(c[0]), float64(c[1])
		q1, q2 := math.Pow(1-1/u, n), math.Pow(max(0, 1-2/u), n)
		check(fmt.Sprintf("%d events of %d users", c[0], c[1]), u*(1-q1), u*q1+u*(u-1)*q2-u*u*q1*q1, func() int64 { return occupied(rng, c[0], c[1]) }, 1, min(c[0], c[1]))
	}
	for _, c := range [][3]int64{{10, 3, 4}, {10, 7, 9}, {1000, 5, 900}, {1000, 990, 30}, {1e6, 100, 50_000}, {500, 200, 300}, {100_000, 40_000, 60_000}, {1e9, 1e6, 1e4}} {
		all, marked, n := float64(c[0]), float64(c[1]), float64(c[2])
		p := marked / all
		check(fmt.Sprintf("%d of %d, %d marked", c[2], c[0], c[1]), n*p, n*p*(1-p)*(all-n)/(all-1), func() int64 { return hypergeometric(rng, c[0], c[1], c[2]) }, max(0, c[2]+c[1]-c[0]), min(c[1], c[2]))
	}
}
