package stats

import "math"

// srmConcentration is the Dirichlet prior's weight A, in users.
const srmConcentration = 100

// SRM returns ln E against "users fall to the groups by these shares", for
// one allocation interval (arXiv 2011.03567, section 3, a Dirichlet prior
// with mean at the shares). n are exact counts of distinct users, never
// estimates: those alarm falsely. Users in a group without a share give +Inf.
// Panics if the lengths differ.
func SRM(n []int64, share []float64) float64 {
	if len(n) != len(share) {
		panic("stats: SRM: as many counts as shares are needed")
	}
	var total, sum float64
	for g, p := range share {
		k := float64(n[g])
		if k <= 0 {
			continue
		}
		if !(p > 0) {
			return math.Inf(1)
		}
		total += k
		sum += lgammaRise(srmConcentration*p, k) - k*math.Log(p)
	}
	return sum - lgammaRise(srmConcentration, total)
}

// lgammaRise returns ln Gamma(a+k) - ln Gamma(a).
func lgammaRise(a, k float64) float64 {
	high, _ := math.Lgamma(a + k)
	low, _ := math.Lgamma(a)
	return high - low
}

// SRMLimit returns what ln E must reach in allocation interval i = 1, 2, ...
// for an alarm with chance at most alpha over all intervals: ln(i(i+1)/alpha).
func SRMLimit(i int, alpha float64) float64 {
	return math.Log(float64(i) * float64(i+1) / alpha)
}
