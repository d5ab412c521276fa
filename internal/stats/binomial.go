package stats

import "math"

// BinomialTail returns P(X >= k) for X binomial with n trials of probability p:
// how often chance alone does at least what was seen. Counts below 0 and p
// outside [0, 1] give NaN. It is the regularised incomplete beta function
// I_p(k, n-k+1) (Abramowitz and Stegun, 26.5.24), by its continued fraction
// (26.5.8 in Lentz's form), exact to about 1e-12.
func BinomialTail(n, k int64, p float64) float64 {
	switch {
	case n < 0 || k < 0 || !(p >= 0 && p <= 1):
		return math.NaN()
	case k == 0:
		return 1
	case k > n || p == 0:
		return 0
	case p == 1:
		return 1
	}
	a, b := float64(k), float64(n-k+1)
	la, _ := math.Lgamma(a + b)
	lb, _ := math.Lgamma(a)
	lc, _ := math.Lgamma(b)
	front := math.Exp(la - lb - lc + a*math.Log(p) + b*math.Log1p(-p))
	if p < (a+1)/(a+b+2) {
		return min(front*betaFraction(a, b, p)/a, 1)
	}
	return max(1-front*betaFraction(b, a, 1-p)/b, 0)
}

// betaFraction is the continued fraction of the incomplete beta function.
func betaFraction(a, b, x float64) float64 {
	const (
		tiny = 1e-300
		near = 1e-15
		most = 100_000
	)
	away := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/away(1-(a+b)*x/(a+1))
	h := d
	for m := 1.0; m < most; m++ {
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / away(1+even*d)
		c = away(1 + even/c)
		h *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / away(1+odd*d)
		c = away(1 + odd/c)
		step := d * c
		h *= step
		if math.Abs(step-1) < near {
			break
		}
	}
	return h
}
