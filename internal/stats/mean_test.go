package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// scores draws moments of users with several values each, whose users differ.
func scores(rng *rand.Rand, users int, mean float64) (m Moments) {
	for range users {
		n, own := int64(1+rng.IntN(5)), mean+0.8*rng.NormFloat64()
		x := 0.0
		for range n {
			x += own + 0.3*rng.NormFloat64()
		}
		m.AddUser(n, x, 1)
	}
	return m
}

// TestMoments compares with the definition, and takes back what was added.
func TestMoments(t *testing.T) {
	users := [][2]float64{{1, 4}, {3, 9}, {2, 10}, {5, 11}}
	var m Moments
	var n, x float64
	for _, u := range users {
		m.AddUser(int64(u[0]), u[1], 1)
		n, x = n+u[0], x+u[1]
	}
	var square float64
	for _, u := range users {
		square += math.Pow(u[1]-x/n*u[0], 2)
	}
	mean, variance, ok := m.Mean()
	if want := square / (n * n) * 4 / 3; !ok || math.Abs(mean-x/n) > 1e-12 || math.Abs(variance-want) > 1e-12 {
		t.Errorf("mean %v, variance %v, want %v, %v", mean, variance, x/n, want)
	}
	before := m
	m.AddUser(7, 3, 1)
	m.AddUser(7, 3, -1)
	m.AddUser(0, 3, 1)
	if m != before {
		t.Errorf("%+v, want %+v", m, before)
	}
	if _, _, ok := (Moments{Users: 1, N: 1, X: 1}).Mean(); ok {
		t.Error("one user has no variance")
	}
}

// TestMeansStayApart: the split changes with the level, so pooled means would
// differ although nothing is wrong; strata do not.
func TestMeansStayApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	strata := []MeanStratum{
		{New: scores(rng, 200, 5), Old: scores(rng, 1800, 5)},
		{Stage: 1, New: scores(rng, 1800, 3), Old: scores(rng, 200, 3)},
	}
	d := MeanDrift(strata, 1)
	if e := math.Abs(d.D) * math.Sqrt(d.V); e > 3.5 || d.V <= 0 {
		t.Errorf("%+v: %v standard errors apart", d, e)
	}
	if d := MeanDrift([]MeanStratum{{New: scores(rng, 99, 9), Old: scores(rng, 500, 1)}}, 1); d != (Drift{}) {
		t.Errorf("99 users carry %+v", d)
	}
}

// TestMeansFalseAlarms looks after every 20 users: at 5 %, a fair canary alarms
// in at most 5 % and three standard errors.
func TestMeansFalseAlarms(t *testing.T) {
	const runs = 400
	rho := NormalRho(2*math.Log(20)/(0.05*4*0.05*4), 0.05)
	alarms := 0
	for run := range runs {
		rng := rand.New(rand.NewPCG(uint64(run), 5))
		var s MeanStratum
		for range 80 {
			for _, arm := range []*Moments{&s.New, &s.Old} {
				m := scores(rng, 20, 4)
				arm.Users, arm.N, arm.X, arm.NN, arm.NX, arm.XX = arm.Users+m.Users, arm.N+m.N, arm.X+m.X, arm.NN+m.NN, arm.NX+m.NX, arm.XX+m.XX
			}
			if MeanDrift([]MeanStratum{s}, 1).Below(0, rho) >= math.Log(20) {
				alarms++
				break
			}
		}
	}
	t.Logf("%d of %d", alarms, runs)
	if float64(alarms) > 0.05*runs+3*math.Sqrt(0.05*0.95*runs) {
		t.Errorf("%d of %d alarm at 5%%", alarms, runs)
	}
}

func FuzzMeans(f *testing.F) {
	f.Add(int64(0), 0.0, int64(1e9), 1e9, 1.0)
	f.Add(int64(1e9), -5.0, int64(1), 0.0, 0.5)
	f.Fuzz(func(t *testing.T, n int64, x float64, n2 int64, x2, factor float64) {
		if math.Abs(x) > 1e12 || math.Abs(x2) > 1e12 || math.Abs(factor) > 1e6 || x != x || x2 != x2 || factor != factor || n > 1e12 || n2 > 1e12 {
			return
		}
		var s MeanStratum
		for i := range 150 {
			s.New.AddUser(n, x*float64(i%3), 1)
			s.Old.AddUser(n2, x2, 1)
		}
		d := MeanDrift([]MeanStratum{s}, factor)
		for _, e := range []float64{d.Above(0, 1), d.Below(0, 1e6)} {
			if math.IsNaN(e) || math.IsInf(e, 0) {
				t.Errorf("ln E %v of %+v", e, d)
			}
		}
	})
}

// TestMeansOfSticky: users who return in ten stages, each with a level of his own,
// are no more evidence than users: at 5 %, a fair canary alarms in at most 5 % and
// three standard errors. Strata taken as independent alarm far more often.
func TestMeansOfSticky(t *testing.T) {
	const runs, users, stages = 300, 1500, 10
	rho := NormalRho(2*math.Log(20)/(0.05*4*0.05*4), 0.05)
	alarms, independent := 0, 0
	for run := range runs {
		rng := rand.New(rand.NewPCG(uint64(run), 6))
		own, place := make([]float64, users), make([]float64, users)
		for u := range own {
			own[u], place[u] = 4+0.8*rng.NormFloat64(), rng.Float64()
		}
		var strata []MeanStratum
		var values [stages][users]float64
		var loose, alarm bool
		for k := range stages {
			share := 0.3 + 0.05*float64(k)
			s := MeanStratum{Interval: k, Stage: k, With: make([]MeanPair, k)}
			for u := range users {
				fresh := place[u] < share
				values[k][u] = own[u] + 0.2*rng.NormFloat64()
				arm := &s.Old
				if fresh {
					arm = &s.New
				}
				arm.AddUser(1, values[k][u], 1)
				for b := range k {
					s.With[b].Interval = b
					if was := place[u] < 0.3+0.05*float64(b); was == fresh {
						joint := &s.With[b].Old
						if fresh {
							joint = &s.With[b].New
						}
						joint.AddUser(1, values[b][u], 1, values[k][u], 1)
					}
				}
			}
			strata = append(strata, s)
			alarm = alarm || MeanDrift(strata, 1).Below(0, rho) >= math.Log(20)
			alone := append([]MeanStratum(nil), strata...)
			for i := range alone {
				alone[i].With = nil
			}
			loose = loose || MeanDrift(alone, 1).Below(0, rho) >= math.Log(20)
		}
		if alarm {
			alarms++
		}
		if loose {
			independent++
		}
	}
	t.Logf("%d of %d, as independent %d", alarms, runs, independent)
	if limit := 0.05*runs + 3*math.Sqrt(0.05*0.95*runs); float64(alarms) > limit || float64(independent) <= limit {
		t.Errorf("%d of %d alarm at 5%%, as independent %d: at most %.0f may", alarms, runs, independent, limit)
	}
}
