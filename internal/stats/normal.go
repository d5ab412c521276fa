package stats

import "math"

// NormalRho returns the mixture variance that is best when the information V
// has reached vOpt, for the one-sided test at level alpha < 1/2 (arXiv
// 1810.08240, proposition 3 and section 3.5).
func NormalRho(vOpt, alpha float64) float64 { return normalRho(vOpt, 2*alpha) }

func normalRho(vOpt, alpha float64) float64 {
	l := 2 * math.Log(1/alpha)
	return vOpt / (l + math.Log1p(l))
}

// NormalMixture returns ln E of the one-sided normal mixture: s is the sum of
// differences over their variances, v the sum of inverse variances, both over
// strata, and rho > 0 comes from NormalRho. It is approximate: the variances
// are estimated (arXiv 2103.06476). Needs about 100 users per arm.
func NormalMixture(s, v, rho float64) float64 {
	w := v + rho
	return 0.5*math.Log(4*rho/w) + s*s/(2*w) + logPhi(s/math.Sqrt(w))
}
