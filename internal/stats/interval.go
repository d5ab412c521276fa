package stats

import "math"

// Interval is an estimate of a rate ratio with a confidence sequence: the
// chance that Low..High ever misses the true ratio, however often one looks,
// is at most alpha.
type Interval struct {
	Theta     float64 // maximum likelihood estimate; +Inf when Old is 0 everywhere
	Low, High float64 // 0 and +Inf where the data say nothing
}

// csStep is the smallest point of the two-sided mixture of RatioInterval.
const csStep = 0.01

// csGrid is 0 and plus or minus csStep (ln 50 / csStep)^(j/23).
var csGrid = func() (g grid) {
	const weight = 1.0 / (2*gridPoints + 1)
	g.add(0, weight)
	for _, d := range geometric(csStep, math.Log(largestEffect), weight).d {
		g.add(d, weight)
		g.add(-d, weight)
	}
	return g
}()

// RatioInterval returns the estimate and confidence sequence of the rate
// ratio at level alpha: all theta with ln mixture - ln likelihood(theta) <
// ln(1/alpha) (arXiv 2011.03567, section 5). It is false without any unit.
func RatioInterval(strata []Stratum, alpha float64) (Interval, bool) {
	return RatioIntervalDeflated(strata, alpha, 1)
}

// RatioIntervalDeflated is RatioInterval with its log likelihoods divided by the
// design effect phi (1 or less, and NaN, change nothing). It is approximate.
func RatioIntervalDeflated(strata []Stratum, alpha, phi float64) (Interval, bool) {
	var seen []Stratum
	var t, c float64
	for _, s := range strata {
		if s.valid() {
			seen = append(seen, s)
			t += float64(s.New)
			c += float64(s.Old)
		}
	}
	if len(seen) == 0 || !(alpha > 0 && alpha < 1) {
		return Interval{}, false
	}
	if !(phi > 1) {
		phi = 1
	}
	floor := phi * (ratioLog(seen, 1, phi, csGrid, false) - math.Log(1/alpha))
	top := mle(seen, t, c)
	out := Interval{Theta: math.Exp(top), High: math.Inf(1)}
	if t > 0 {
		out.Low = math.Exp(boundary(seen, top, -1, floor))
	}
	if c > 0 {
		out.High = math.Exp(boundary(seen, top, 1, floor))
	}
	return out, true
}

// extremeLog bounds the search for a log ratio: e^±600.
const extremeLog = 600

// logLikAt is the log likelihood of the log ratio x against ratio 1, and its
// slope, the score.
func logLikAt(strata []Stratum, x float64) (ll, score float64) {
	for _, s := range strata {
		b := math.Log(s.Odds)
		t, c := float64(s.New), float64(s.Old)
		// T x - (T+C)(log1pexp(b+x) - log1pexp(b)), kept small term by term
		ll -= t*(log1pExp(-b-x)-log1pExp(-b)) + c*(log1pExp(b+x)-log1pExp(b))
		score += t/(1+math.Exp(b+x)) - c/(1+math.Exp(-b-x))
	}
	return ll, score
}

// mle returns the log ratio at which the score, sum T - (T+C) p(x), is zero.
func mle(strata []Stratum, t, c float64) float64 {
	switch {
	case t == 0:
		return math.Inf(-1)
	case c == 0:
		return math.Inf(1)
	}
	return root(-extremeLog, extremeLog, 0, func(x float64) (value, slope float64) {
		for _, s := range strata {
			z := math.Log(s.Odds) + x
			up, down := 1/(1+math.Exp(-z)), 1/(1+math.Exp(z))
			value += float64(s.New)*down - float64(s.Old)*up
			slope -= (float64(s.New) + float64(s.Old)) * up * down
		}
		return value, slope
	})
}

// boundary returns the log ratio in one direction of the estimate at which
// the log likelihood falls to floor.
func boundary(strata []Stratum, top, direction, floor float64) float64 {
	if math.IsInf(top, 0) { // one arm is empty: begin far out on its side
		top = math.Copysign(extremeLog/10, top)
	}
	above := func(x float64) (value, slope float64) {
		ll, score := logLikAt(strata, x)
		return ll - floor, score
	}
	step := 0.1
	for step < extremeLog {
		if value, _ := above(top + direction*step); value <= 0 {
			break
		}
		step *= 2
	}
	end := top + direction*step
	return root(top, end, end, above)
}

// root finds the zero of f between two points at which its signs differ, by
// Newton's method from a guess, held inside the bracket by bisection.
func root(from, to, guess float64, f func(x float64) (value, slope float64)) float64 {
	start, _ := f(from)
	x := guess
	for range 200 {
		value, slope := f(x)
		if value == 0 {
			return x
		}
		if (value > 0) == (start > 0) {
			from = x
		} else {
			to = x
		}
		next := x - value/slope
		if inside := (next > from && next < to) || (next < from && next > to); !inside {
			next = (from + to) / 2
		}
		if math.Abs(next-x) <= 1e-14*max(1, math.Abs(x)) || next == from || next == to {
			return next
		}
		x = next
	}
	return x
}
