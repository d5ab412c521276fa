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
