package judge

import (
	"math"

	"serin/internal/plan"
	"serin/internal/stats"
)

// noMean is what a comparison of means waits for.
const noMean = "needs 100 users of each group in an interval without a change of traffic"

// noScale is why a relative limit of a mean cannot be judged.
const noScale = "the control's mean is not positive, so nothing is relative to it"

// compareMean tests means by the normal mixture with variances between users.
// The information for which the mixture is best is that by which a change of
// the margin can be told from none, as no traffic is known beforehand.
func (l *look) compareMean(m *plan.Metric, t Tests) *comparison {
	c := &comparison{starts: begun(t, nil), what: "users", none: noMean, approx: true}
	sense := 1.0
	if m.UpGood {
		sense = -1
	}
	var sum, n float64
	for _, k := range t.Means {
		if k.New.Users >= stats.MeanUsers && k.Old.Users >= stats.MeanUsers {
			c.units += k.New.Users + k.Old.Users
			sum, n = sum+k.Old.X, n+k.Old.N
		}
	}
	c.sample = func(start int) Sample {
		s := Sample{What: c.what}
		for _, k := range t.Means {
			if k.Stage >= max(start, 0) && (start >= 0 || k.Stage == c.starts-1) {
				s.New, s.Old = s.New+k.New.Users, s.Old+k.Old.Users
			}
		}
		return s
	}
	scale := sum / math.Max(n, 1)
	alpha := l.plan.Judge.FalseProceed
	least := math.Max(l.plan.Judge.Margin, 0.01) * scale
	rho := stats.NormalRho(2*math.Log(1/alpha)/(least*least), alpha)
	drift := func(take func(stage int) bool, factor float64) stats.Drift {
		var strata []stats.MeanStratum
		for _, k := range t.Means {
			if take(k.Stage) {
				strata = append(strata, k)
			}
		}
		return stats.MeanDrift(strata, factor)
	}
	from := func(start int) func(int) bool { return func(stage int) bool { return stage >= start } }
	c.harm = func(x float64) (stats.Best, string) {
		if !(scale > 0) {
			return stats.Best{}, noScale
		}
		per := make([]float64, c.starts)
		for s := range per {
			per[s] = worseBy(drift(from(s), 1+sense*x), sense, rho)
		}
		return stats.BestStart(per, l.place.Planned), ""
	}
	c.safe = func(x float64) (float64, string) {
		if !(scale > 0) {
			return 0, noScale
		}
		return worseBy(drift(from(c.starts-1), 1+sense*x), -sense, rho), ""
	}
	c.sinceStart = func(start int) (float64, bool) {
		d := drift(from(start), 1)
		return 1 + d.D/scale, d.V > 0 && scale > 0
	}
	c.interval = func(start int, alpha float64) (low, high float64, ok bool) {
		if start < 0 {
			start = c.starts - 1
		}
		low, high, ok = drift(from(start), 1).Interval(rho, alpha)
		return 1 + low/scale, 1 + high/scale, ok && scale > 0
	}
	return c
}

// worseBy is ln E against "not worse" for a drift from the limit itself.
func worseBy(d stats.Drift, sense, rho float64) float64 {
	if sense > 0 {
		return d.Above(0, rho)
	}
	return d.Below(0, rho)
}
