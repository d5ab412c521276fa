package stats

import "math"

// log1pExp returns ln(1 + e^x) without overflow or loss (Maechler, "Accurately
// computing log(1 - exp(-|a|))", 2012, equation 10).
func log1pExp(x float64) float64 {
	switch {
	case x > 35:
		return x
	case x < -37:
		return math.Exp(x)
	}
	return math.Log1p(math.Exp(x))
}

// logPhi returns ln of the standard normal distribution function at x. Below
// -30 it uses the asymptotic series (Abramowitz and Stegun 26.2.12).
func logPhi(x float64) float64 {
	if x >= 0 {
		return math.Log1p(-0.5 * math.Erfc(x/math.Sqrt2))
	}
	if x > -30 {
		return math.Log(0.5 * math.Erfc(-x/math.Sqrt2))
	}
	y := 1 / (x * x)
	series := y * (-1 + y*(3+y*(-15+105*y)))
	return -x*x/2 - math.Log(-x) - 0.5*math.Log(2*math.Pi) + math.Log1p(series)
}

// logSumExp returns ln of the sum of e^x over xs, -Inf for none.
func logSumExp(xs []float64) float64 {
	top := math.Inf(-1)
	for _, x := range xs {
		top = max(top, x)
	}
	if math.IsInf(top, 0) {
		return top
	}
	var sum float64
	for _, x := range xs {
		sum += math.Exp(x - top)
	}
	return top + math.Log(sum)
}

// grid is a mixture over effects: log effects d with log weights logW.
type grid struct {
	d, expm1, logW []float64
}

// add appends one point to the mixture.
func (g *grid) add(d, weight float64) {
	g.d = append(g.d, d)
	g.expm1 = append(g.expm1, math.Expm1(d))
	g.logW = append(g.logW, math.Log(weight))
}

// gridPoints is the number of points of a geometric grid.
const gridPoints = 24

// geometric returns the grid first * (last/first)^(j/23), j = 0..23, each
// point with the same weight.
func geometric(first, last, weight float64) grid {
	g := grid{
		d: make([]float64, 0, gridPoints+1), expm1: make([]float64, 0, gridPoints+1),
		logW: make([]float64, 0, gridPoints+1),
	}
	step := math.Log(last/first) / (gridPoints - 1)
	for j := range gridPoints {
		g.add(first*math.Exp(step*float64(j)), weight)
	}
	return g
}

// mix returns ln of the weighted sum of e^(ll/phi). ll is overwritten.
func (g grid) mix(ll []float64, phi float64) float64 {
	if !(phi > 1) {
		phi = 1
	}
	for j := range ll {
		ll[j] = g.logW[j] + ll[j]/phi
	}
	return logSumExp(ll)
}
