package stats

import "math"

// Stratum is what was counted while one split of traffic was in force: New
// affected units of the new arm, Old of the old arm. Odds is share/(1-share)
// of the new arm, or its share of exposures over the other's, fixed before
// the counts. A stratum whose odds are not positive and finite says nothing.
type Stratum struct {
	New, Old int64
	Odds     float64
}

// mostOdds is the largest odds of an allocation that has a control: beyond it
// nobody is left there, and what happens says nothing of a difference.
const mostOdds = 1e6

// valid reports whether the stratum carries evidence.
func (s Stratum) valid() bool {
	return s.Odds > 0 && s.Odds <= mostOdds && s.New >= 0 && s.Old >= 0 && (s.New > 0 || s.Old > 0)
}

// largestEffect and smallestEffect are the ends of the mixture of RatioE: a
// rate ratio of 50, and 5 % beyond the null.
const (
	largestEffect  = 50
	smallestEffect = 0.05
)

var harmGrid = geometric(smallestEffect, math.Log(largestEffect), 1.0/gridPoints)

// safeGrid is the mixture for proving "not worse than 1+m": half the weight
// on no change at all, the rest from a quarter of the margin upwards.
func safeGrid(m float64) grid {
	l := math.Log1p(m)
	g := geometric(l/4, math.Log(largestEffect), 0.5/gridPoints)
	g.add(l, 0.5)
	return g
}

// swap exchanges the arms.
func (s Stratum) swap() Stratum { return Stratum{New: s.Old, Old: s.New, Odds: 1 / s.Odds} }

// logLik adds to ll[j] the log likelihood ratio of effect theta0 e^d[j]
// against theta0: T d - (T+C) ln(1 + p (e^d - 1)), where p is the chance under
// the null that an affected unit is of the new arm. It is the form
// log1pexp(b+d) - log1pexp(b), b = ln(odds theta0), without its cancellation.
// Source: arXiv 2011.03567, section 3, with two arms.
func (s Stratum) logLik(theta0 float64, g grid, ll []float64) {
	odds := s.Odds * theta0
	p := odds / (1 + odds)
	if odds > 1 {
		p = 1 / (1 + 1/odds)
	}
	t, n := float64(s.New), float64(s.New)+float64(s.Old)
	for j, d := range g.d {
		ll[j] += t*d - n*math.Log1p(p*g.expm1[j])
	}
}

// ratioLog returns ln E of the mixture over strata, deflated by phi.
func ratioLog(strata []Stratum, theta0, phi float64, g grid, swapped bool) float64 {
	var buffer [2*gridPoints + 1]float64
	ll := buffer[:len(g.d)]
	for _, s := range strata {
		if !s.valid() {
			continue
		}
		if swapped {
			s = s.swap()
		}
		s.logLik(theta0, g, ll)
	}
	return g.mix(ll, phi)
}

// RatioE returns ln E against "in every stratum the rate of the new arm is at
// most theta0 times that of the old one". It may be looked at after every
// event. Exact where every unit falls to the new arm with the stratum's share,
// conservative where rates are not small (docs/statistics.md, "RatioE").
func RatioE(strata []Stratum, theta0 float64) float64 {
	return ratioLog(strata, theta0, 1, harmGrid, false)
}

// RatioEDeflated is RatioE with its log likelihoods divided by the design
// effect phi (1 or less, and NaN, change nothing). It is approximate.
func RatioEDeflated(strata []Stratum, theta0, phi float64) float64 {
	return ratioLog(strata, theta0, phi, harmGrid, false)
}

// RatioSafe returns ln E against "the rate ratio is at least 1+m"; a large
// value proves that the new arm is not worse than by m. m must be positive:
// equality cannot be proved, and for m <= 0 there is no evidence (0).
func RatioSafe(strata []Stratum, m float64) float64 { return RatioSafeDeflated(strata, m, 1) }

// RatioSafeDeflated is RatioSafe divided by a design effect: the companion of
// "Saturation" in docs/statistics.md, on events instead of users.
func RatioSafeDeflated(strata []Stratum, m, phi float64) float64 {
	if !(m > 0) {
		return 0
	}
	return ratioLog(strata, 1/(1+m), phi, safeGrid(m), true)
}

// EventsPhi is the design effect of events that come in bursts, from the sum
// of events and of squared events over users: max(1, sum x^2 / sum x).
func EventsPhi(sumSquares, sum float64) float64 {
	if !(sum > 0) {
		return 1
	}
	return max(1, sumSquares/sum)
}

// LoadsPhi is the design effect of a proportion p of loads that come from
// sticky users: max(1, sum (x - p n)^2 / (p (1-p) sum n)), where user u has x
// bad loads of n. The sums are over users (Kish, "Survey Sampling", 1965, 5.4).
func LoadsPhi(p, sumXX, sumXN, sumNN, sumN float64) float64 {
	if !(p > 0 && p < 1 && sumN > 0) {
		return 1
	}
	return max(1, (sumXX-2*p*sumXN+p*p*sumNN)/(p*(1-p)*sumN))
}

// Estimate returns the plain rate ratio: sum of New over sum of Old times
// odds. It is +Inf when only the new arm has units, and false without any.
func Estimate(strata []Stratum) (float64, bool) {
	var t, c float64
	for _, s := range strata {
		if s.valid() {
			t += float64(s.New)
			c += float64(s.Old) * s.Odds
		}
	}
	switch {
	case c > 0:
		return t / c, true
	case t > 0:
		return math.Inf(1), true
	}
	return 0, false
}
