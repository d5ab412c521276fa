package simulate

import (
	"math"
	"testing"
)

// TestRandom compares samples with the mean and the variance that they are of.
func TestRandom(t *testing.T) {
	const n = 40000
	rng := newRand(1, 2)
	check := func(name string, draw func() int64, mean, variance float64) {
		var sum, squares float64
		for range n {
			v := float64(draw())
			sum, squares = sum+v, squares+v*v
		}
		got := sum / n
		spread := squares/n - got*got
		if math.Abs(got-mean) > 4.5*math.Sqrt(variance/n) || math.Abs(spread-variance) > 0.06*variance+0.001 {
			t.Errorf("%s: mean %.4f, variance %.4f, want %.4f, %.4f", name, got, spread, mean, variance)
		}
	}
	for _, mean := range []float64{0.01, 1, 11.9, 12.1, 30, 5000} {
		check("poisson", func() int64 { return poisson(rng, mean) }, mean, mean)
	}
	check("binomial", func() int64 { return binomial(rng, 50, 0.3) }, 15, 10.5)
	check("binomial", func() int64 { return binomial(rng, 100000, 0.3) }, 30000, 21000)
	for _, p := range []float64{0.001, 0.25, 0.5, 0.999} {
		if got := phi(quantile(p)); math.Abs(got-p) > 1e-12 {
			t.Errorf("phi(quantile(%g)) = %g", p, got)
		}
	}
}
