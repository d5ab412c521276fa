package stats

import "math"

// LogLimit returns what ln E must reach for a test that has the share weight
// of a budget alpha: ln(1/(alpha weight)) (Bonferroni; no joint filtration is
// needed, arXiv 2501.19360).
func LogLimit(alpha, weight float64) float64 { return math.Log(1 / (alpha * weight)) }

// NewShare returns the chance that an affected unit is of the new arm, when
// the arm has this share of traffic and theta times the rate.
func NewShare(share, theta float64) float64 { return share * theta / (share*theta + 1 - share) }

// KL returns the Kullback-Leibler divergence of Bernoulli(p) from
// Bernoulli(q), in nats.
func KL(p, q float64) float64 {
	return klTerm(p, q) + klTerm(1-p, 1-q)
}

func klTerm(p, q float64) float64 {
	if p == 0 {
		return 0
	}
	return p * math.Log(p/q)
}

// SafeBound returns the fewest affected users of both arms, on average, in
// which any test at level alpha can prove "not worse than by m" when nothing
// has changed: ln(1/alpha) / KL (Wald, "Sequential Analysis", 1947, A.108).
func SafeBound(share, m, alpha float64) float64 {
	return math.Log(1/alpha) / KL(share, NewShare(share, 1+m))
}

// OddsBound returns the fewest loads of both arms, on average, in which any test
// at level alpha can reject that the odds of bad in the new arm are null times
// those in the old one, when their shares are pNew and pOld: ln(1/alpha) over
// what a load says against the nearest such pair, which has as many bad ones
// altogether (Wald, as SafeBound). +Inf where nothing can.
func OddsBound(share, pNew, pOld, null, alpha float64) float64 {
	all := share*pNew + (1-share)*pOld
	if !(all > 0 && all < 1 && null > 0 && share > 0 && share < 1) {
		return math.Inf(1)
	}
	tilted := func(b float64) float64 { return null * b / (1 - b + null*b) }
	low, high := 0.0, 1.0
	for range 100 { // share of bad in the old arm under the null
		if mid := (low + high) / 2; share*tilted(mid)+(1-share)*mid < all {
			low = mid
		} else {
			high = mid
		}
	}
	return math.Log(1/alpha) / (share*KL(pNew, tilted(high)) + (1-share)*KL(pOld, high))
}
