package simulate

import (
	"math"
	"math/rand/v2"
)

// newRand is the source of one run.
func newRand(seed uint64, run int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(run))) }

// knuthLimit is the mean up to which a Poisson number is counted out.
const knuthLimit = 12

// poisson draws a Poisson number.
func poisson(rng *rand.Rand, mean float64) int64 {
	switch {
	case !(mean > 0):
		return 0
	case mean < knuthLimit:
		var n int64
		for left := rng.ExpFloat64(); left < mean; left += rng.ExpFloat64() {
			n++
		}
		return n
	}
	return poissonLarge(rng, mean)
}

// poissonLarge is the transformed rejection PTRS (Hörmann, "The transformed
// rejection method for generating Poisson random variables", Insurance:
// Mathematics and Economics 12, 1993), for means of 10 and more.
func poissonLarge(rng *rand.Rand, mean float64) int64 {
	logMean := math.Log(mean)
	b := 0.931 + 2.53*math.Sqrt(mean)
	a := -0.059 + 0.02483*b
	inverse := 1.1239 + 1.1328/(b-3.4)
	vr := 0.9277 - 3.6224/(b-2)
	for {
		u, v := rng.Float64()-0.5, rng.Float64()
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + mean + 0.43)
		if us >= 0.07 && v <= vr {
			return int64(k)
		}
		if k < 0 || us < 0.013 && v > us {
			continue
		}
		lg, _ := math.Lgamma(k + 1)
		if math.Log(v)+math.Log(inverse)-math.Log(a/(us*us)+b) <= -mean+k*logMean-lg {
			return int64(k)
		}
	}
}

// exactTrials is the number of trials up to which a binomial number is counted out.
const exactTrials = 2000

// binomial draws the number of n trials that succeed; for many trials by the
// normal approximation.
func binomial(rng *rand.Rand, n int64, p float64) int64 {
	switch {
	case p <= 0 || n <= 0:
		return 0
	case p >= 1:
		return n
	case n <= exactTrials:
		var k int64
		for range n {
			if rng.Float64() < p {
				k++
			}
		}
		return k
	}
	mean := float64(n) * p
	k := math.Round(mean + math.Sqrt(mean*(1-p))*rng.NormFloat64())
	return int64(min(float64(n), max(0, k)))
}

// phi is the standard normal distribution function.
func phi(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

// quantile is the inverse of phi.
func quantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
