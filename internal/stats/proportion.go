package stats

import "math"

// mixedBinomial is ln of the mixture over all proportions, evenly, of the
// likelihood of x of n, over its likelihood at p: an e-value against p at
// every n (Robbins, "Statistical methods related to the law of the iterated
// logarithm", 1970; arXiv 1810.08240, proposition 7).
func mixedBinomial(x, n, p float64) float64 {
	a, _ := math.Lgamma(x + 1)
	b, _ := math.Lgamma(n - x + 1)
	c, _ := math.Lgamma(n + 2)
	return a + b - c - xLog(x, p) - xLog(n-x, 1-p)
}

// xLog is x ln p, 0 at x = 0.
func xLog(x, p float64) float64 {
	if x == 0 {
		return 0
	}
	return x * math.Log(p)
}

// ProportionInterval returns the confidence sequence of a proportion of which
// x of n were seen, at level alpha, for n/phi independent trials (phi of 1 or
// less changes nothing). It is false without trials.
func ProportionInterval(x, n int64, phi, alpha float64) (low, high float64, ok bool) {
	if n <= 0 || x < 0 || x > n || !(alpha > 0 && alpha < 1) {
		return 0, 1, false
	}
	fx, fn := deflated(x, phi), deflated(n, phi)
	limit := math.Log(1 / alpha)
	plausible := func(p float64) bool { return mixedBinomial(fx, fn, p) < limit }
	estimate := fx / fn
	low, high = 0, 1
	if x > 0 {
		low, _ = edge(estimate, 0, plausible)
	}
	if x < n {
		high, _ = edge(estimate, 1, plausible)
	}
	return low, high, true
}

// edge finds where plausible ends, from a point inside to one outside: the last
// point inside and the first outside, as near as bisection comes.
func edge(inside, outside float64, plausible func(float64) bool) (last, first float64) {
	for range 60 {
		if mid := (inside + outside) / 2; plausible(mid) {
			inside = mid
		} else {
			outside = mid
		}
	}
	return inside, outside
}

func deflated(n int64, phi float64) float64 {
	if !(phi > 1) {
		phi = 1
	}
	return float64(n) / phi
}

// QuantileInterval returns the confidence sequence of the q-quantile of a
// sketch at level alpha, with the design effect phi: all values below which
// the share q is plausible (Howard and Ramdas, "Sequential estimation of
// quantiles", Bernoulli 28(3), 2022, section 2). It is false while one side is
// unbounded: too few values.
func QuantileInterval(s *Sketch, q, phi, alpha float64) (low, high float64, ok bool) {
	if s.Count() == 0 || !(q > 0 && q < 1) || !(alpha > 0 && alpha < 1) {
		return 0, 0, false
	}
	n, limit := deflated(s.total, phi), math.Log(1/alpha)
	if mixedBinomial(0, n, q) < limit || mixedBinomial(n, n, q) < limit {
		return 0, 0, false
	}
	// As many values below as are just too few, and too many, for the share q.
	plausible := func(below float64) bool { return mixedBinomial(below, n, q) < limit }
	_, few := edge(q*n, 0, plausible)
	_, many := edge(q*n, n, plausible)
	// The true quantile lies in the first bucket with a plausible share at its
	// upper edge, or beyond, up to the first bucket whose share is too large.
	var below int64
	found := false
	for _, b := range s.bins {
		below += b.n
		x := deflated(below, phi)
		if x > few && !found {
			low, found = Edge(int(b.index)-1), true
		}
		if x >= many {
			return low, Edge(int(b.index)), true
		}
	}
	return 0, 0, false
}
