package stats

import "math"

// waldBound returns the fewest affected users of both arms, on average, in
// which any test at level alpha can tell a rate ratio theta from theta0 at a
// share of the new arm (Wald, "Sequential Analysis", 1947, A.108):
// ln(1/alpha) / KL.
func waldBound(share, theta, theta0, alpha float64) float64 {
	return math.Log(1/alpha) / KL(NewShare(share, theta), NewShare(share, theta0))
}

// maxRun bounds minRun: a share of 99.99 % needs about 50,000.
const maxRun = 1 << 20

// minRun returns how many affected users in a row, all of the new arm, make
// RatioE reach ln(1/level), given the first start's share v0 of the budget;
// 0 if it never does.
func minRun(share, theta0, level, v0 float64) int {
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

// normalTwoSided is ln E of the two-sided normal mixture, by which the
// one-sided is checked.
func normalTwoSided(s, v, rho float64) float64 {
	w := v + rho
	return 0.5*math.Log(rho/w) + s*s/(2*w)
}

// mean returns the expected number of bad loads of the new arm, summed over
// all of their distribution.
func (f fisher) mean() float64 {
	psi := math.Exp(f.logPsi)
	w, sum, first := 1.0, 0.0, 0.0
	for u := f.low; u <= f.high; u++ {
		sum, first = sum+w, first+w*u
		w *= f.ratio(u) * psi
	}
	return first / sum
}

// guardOf tests "worse by x" as the judge does; window is what happened lately.
func guardOf(s Starts, x, margin, level float64, window []Stratum) Guard {
	g := Guard{Null: s.Ratio(1 + min(x, margin)), Half: s.Ratio(1 + x/2), Level: level, X: x}
	g.InWindow, _ = Estimate(window)
	g.SinceStart, _ = Estimate(s.Strata(g.Half.Start))
	return g
}
