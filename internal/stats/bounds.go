package stats

import "math"

// LogLimit returns what ln E must reach for a test that has the share weight
// of a budget alpha: ln(1/(alpha weight)) (Bonferroni; no joint filtration is
// needed, arXiv 2501.19360).
func LogLimit(alpha, weight float64) float64 { return math.Log(1 / (alpha * weight)) }

// LogWeightedSum returns ln of the weighted sum of e-values, itself an
// e-value when all are martingales of one filtration.
func LogWeightedSum(logE, weight []float64) float64 {
	x := make([]float64, len(logE))
	for i, e := range logE {
		x[i] = e + math.Log(weight[i])
	}
	return logSumExp(x)
}

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

// WaldBound returns the fewest affected users of both arms, on average, in
// which any test at level alpha can tell a rate ratio theta from theta0 at a
// share of the new arm (Wald, "Sequential Analysis", 1947, A.108):
// ln(1/alpha) / KL.
func WaldBound(share, theta, theta0, alpha float64) float64 {
	return math.Log(1/alpha) / KL(NewShare(share, theta), NewShare(share, theta0))
}

// SafeBound returns the fewest affected users in which any test at level
// alpha can prove "not worse than by m" when nothing has changed.
func SafeBound(share, m, alpha float64) float64 {
	return math.Log(1/alpha) / KL(share, NewShare(share, 1+m))
}

// maxRun bounds MinRun: a share of 99.99 % needs about 50,000.
const maxRun = 1 << 20

// MinRun returns how many affected users in a row, all of the new arm, make
// RatioE reach ln(1/level), given the first start's share v0 of the budget;
// 0 if it never does.
func MinRun(share, theta0, level, v0 float64) int {
	limit := math.Log(1 / (level * v0))
	odds := share / (1 - share)
	reached := func(n int) bool {
		return RatioE([]Stratum{{New: int64(n), Odds: odds}}, theta0) >= limit
	}
	if !(share > 0 && share < 1) || !reached(maxRun) {
		return 0
	}
	low, high := 0, maxRun // reached(high), not reached(low): RatioE rises with New
	for high-low > 1 {
		if mid := (low + high) / 2; reached(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}
