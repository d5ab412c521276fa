package statbench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"serin/internal/simulate"
)

// shape is how rates move in a week.
type shape struct {
	name                string
	daily, errorsDaily  float64 // swings of views, and of errors a view, over the day
	weekendErrorsFactor float64
}

var (
	constant = shape{"constant", 0, 0, 1}
	daily    = shape{"daily cycle", 0.8, 0.3, 1}
	weekend  = shape{"weekend doubled", 0.8, 0.3, 2}
	shapes   = []shape{constant, daily, weekend}
)

// The two sizes of site: page views a day.
const (
	small = 20_000
	large = 2_000_000
)

// errorsPerView is how many page views err.
const errorsPerView = 0.0005

// week is a factor for each slot of a week from start on, with mean 1.
type week [7 * 24 * 60 / 5]float64

// waves are how many errors and views there are when.
func (s shape) waves() (errors, views *week) {
	const peak = 14
	errors, views = new(week), new(week)
	var sumE, sumV float64
	for i := range errors {
		at := start.Add(time.Duration(i)*slotLength + slotLength/2)
		swing := math.Cos(2 * math.Pi * (float64(at.Hour()) + float64(at.Minute())/60 - peak) / 24)
		views[i] = 1 + s.daily*swing
		errors[i] = views[i] * (1 + s.errorsDaily*swing)
		if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
			errors[i] *= s.weekendErrorsFactor
		}
		sumE, sumV = sumE+errors[i], sumV+views[i]
	}
	for i := range errors {
		errors[i] *= float64(len(errors)) / sumE
		views[i] *= float64(len(views)) / sumV
	}
	return errors, views
}

// simulated is the same traffic as internal/simulate knows it.
func (s shape) simulated(views float64) simulate.Traffic {
	t := simulate.DefaultTraffic()
	k := views / t.ViewsPerDay
	t.ViewsPerDay, t.Users, t.ErrorsPerView = views, t.Users*k, errorsPerView
	for name := range t.PerDay {
		t.PerDay[name] *= k
	}
	t.Daily, t.ErrorsDaily, t.Weekend, t.ErrorsWeekend = s.daily, s.errorsDaily, 1, s.weekendErrorsFactor
	return t
}

// crowd is who errs.
type crowd struct {
	name  string
	users int     // 0 = everybody errs once in his life
	burst float64 // mean events of an incident
	heavy bool    // a few users have most of the incidents
}

// crowds are the three kinds of users at a size of site.
func crowds(views float64) []crowd {
	n := int(2000 * math.Sqrt(views/small))
	return []crowd{{"each user once", 0, 1, false}, {"bursts of 5", n, 5, false}, {"few users have most", n, 1, true}}
}

// pick draws a user.
func (c crowd) pick(rng *rand.Rand) int32 {
	u := rng.Float64()
	if c.heavy {
		u *= u
		u *= u
	}
	return int32(u * float64(c.users))
}

// events draws how many events an incident has: geometric.
func (c crowd) events(rng *rand.Rand) int32 {
	n := int32(1)
	for c.burst > 1 && rng.Float64() >= 1/c.burst {
		n++
	}
	return n
}

// poisson draws a Poisson number: by waiting times when it is small, else cut in
// halves, which add up.
func poisson(rng *rand.Rand, mean float64) int {
	const direct = 30
	if mean <= 0 {
		return 0
	}
	if mean > direct {
		return poissonLarge(rng, mean)
	}
	n := -1
	for limit, product := math.Exp(-mean), 1.0; product > limit; n++ {
		product *= 1 - rng.Float64()
	}
	return n
}

// poissonLarge reduces a large mean by the time of its m-th event, m about 7/8
// of the mean: Gamma distributed, and given it the rest is Poisson, or what came
// before is binomial (Ahrens and Dieter, "Computer methods for sampling from
// gamma, beta, Poisson and binomial distributions", Computing 12, 1974).
func poissonLarge(rng *rand.Rand, mean float64) int {
	m := int(mean * 7 / 8)
	x := gamma(rng, float64(m))
	if x < mean {
		return m + poisson(rng, mean-x)
	}
	return binomial(rng, m-1, mean/x)
}

// gamma draws from the Gamma distribution of shape a >= 1 (Marsaglia and Tsang,
// "A simple method for generating gamma variables", ACM TOMS 26, 2000).
func gamma(rng *rand.Rand, a float64) float64 {
	d := a - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := rng.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		if u := 1 - rng.Float64(); math.Log(u) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// binomial draws how many of n trials succeed, halving large n by the median
// order statistic, which is Beta distributed.
func binomial(rng *rand.Rand, n int, p float64) int {
	k := 0
	for n > 30 && p > 0 && p < 1 {
		a := n/2 + 1
		x := gamma(rng, float64(a))
		x /= x + gamma(rng, float64(n+1-a))
		if x <= p {
			k, n, p = k+a, n-a, (p-x)/(1-x)
		} else {
			n, p = a-1, p/x
		}
	}
	if p >= 1 {
		return k + n
	}
	for range n {
		if rng.Float64() < p {
			k++
		}
	}
	return k
}

// TestDraws: the random numbers have the means and variances they should.
func TestDraws(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const n = 20000
	for _, tt := range []struct {
		name           string
		mean, variance float64
		draw           func() int
	}{
		{"poisson 0.3", 0.3, 0.3, func() int { return poisson(rng, 0.3) }},
		{"poisson 20", 20, 20, func() int { return poisson(rng, 20) }},
		{"poisson 900", 900, 900, func() int { return poisson(rng, 900) }},
		{"binomial 20", 5, 3.75, func() int { return binomial(rng, 20, 0.25) }},
		{"binomial 7000", 700, 630, func() int { return binomial(rng, 7000, 0.1) }},
	} {
		var sum, squares float64
		for range n {
			v := float64(tt.draw()) - tt.mean
			sum, squares = sum+v, squares+v*v
		}
		if d := sum / n / math.Sqrt(tt.variance/n); math.Abs(d) > 4 {
			t.Errorf("%s: mean is off by %.1f standard errors", tt.name, d)
		}
		if r := squares / n / tt.variance; r < 0.94 || r > 1.06 {
			t.Errorf("%s: variance is %.3f times what it should be", tt.name, r)
		}
	}
}

// TestWaves: whatever the shape, figures are averages of a week.
func TestWaves(t *testing.T) {
	for _, s := range shapes {
		errors, views := s.waves()
		var e, v float64
		for i := range errors {
			e, v = e+errors[i], v+views[i]
		}
		if n := float64(len(errors)); math.Abs(e-n) > 1e-6 || math.Abs(v-n) > 1e-6 {
			t.Errorf("%s: mean of errors %g, of views %g", s.name, e/n, v/n)
		}
	}
}
