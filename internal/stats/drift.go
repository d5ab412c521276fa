package stats

import "math"

// leastDeviation is the least standard deviation of a baseline's slots: half
// the width of a sketch's bucket. A series that never moved is no certainty.
const leastDeviation = 0.005

// Deviation is one slot of time: Y is the natural log of its statistic over
// what is usual at that time, Noise its variance in baseline slots, at least 1.
type Deviation struct{ Y, Noise float64 }

// Usual is how a baseline's slots deviate from what is usual at their time.
type Usual struct {
	Mean float64 // of the deviations
	Var  float64 // of one slot, inflated for slots in a row that are alike
	N    int     // slots
}

// NewUsual sums up the deviations of a baseline, in order of time; means is
// the number of means that were taken from the same slots. The variance is
// multiplied by (1+ρ)/(1−ρ), where ρ, at least 0, is the correlation of
// neighbours (section "Holdback and baseline" of docs/statistics.md). It is
// false where there are not more slots than means.
func NewUsual(y []float64, means int) (Usual, bool) {
	if len(y) <= max(means, 1) {
		return Usual{}, false
	}
	u := Usual{N: len(y)}
	for _, v := range y {
		u.Mean += v / float64(len(y))
	}
	var square, next float64
	for i, v := range y {
		d := v - u.Mean
		square += d * d
		if i > 0 {
			next += d * (y[i-1] - u.Mean)
		}
	}
	rho := 0.0
	if square > 0 {
		rho = min(max(next/square, 0), 0.95)
	}
	u.Var = max(square/float64(len(y)-max(means, 1)), leastDeviation*leastDeviation) * (1 + rho) / (1 - rho)
	return u, !math.IsNaN(u.Var) && !math.IsInf(u.Var, 0)
}

// Drift is by how much a series has moved: D the difference of means of log
// ratios, V the information about it, 1/variance. V is 0 without data.
type Drift struct{ D, V float64 }

// Against compares slots with the baseline. The error of the baseline's own
// mean is counted: V never exceeds what the baseline knows of itself. With
// S = D V the pair behaves like a Brownian motion S at time V, so the normal
// mixture may be looked at after every slot.
func (u Usual) Against(after []Deviation) Drift {
	var sum, weight float64
	for _, a := range after {
		noise := max(a.Noise, 1)
		sum, weight = sum+a.Y/noise, weight+1/noise
	}
	if !(weight > 0) {
		return Drift{}
	}
	return Drift{D: sum/weight - u.Mean, V: u.info(weight)}
}

// info is the information of slots with these weights together.
func (u Usual) info(weight float64) float64 {
	return 1 / (u.Var/weight + u.Var/float64(u.N))
}

// Info is the information that slots of the baseline's own noise will give.
func (u Usual) Info(slots float64) float64 { return u.info(max(slots, 1)) }

// Above returns ln E against "the series has moved by at most delta", Below
// against "by at least delta" (log ratios), by NormalMixture.
func (d Drift) Above(delta, rho float64) float64 {
	if !(d.V > 0) {
		return 0
	}
	return NormalMixture((d.D-delta)*d.V, d.V, rho)
}

// Below returns ln E against "the series has moved by delta or more".
func (d Drift) Below(delta, rho float64) float64 {
	return Drift{D: -d.D, V: d.V}.Above(-delta, rho)
}

// Interval returns the confidence sequence of the move at level alpha: all
// moves whose two-sided normal mixture stays below 1/alpha. It is false
// without data.
func (d Drift) Interval(rho, alpha float64) (low, high float64, ok bool) {
	if !(d.V > 0) || !(rho > 0) {
		return 0, 0, false
	}
	w := d.V + rho
	half := math.Sqrt(w*(math.Log(w/rho)+2*math.Log(1/alpha))) / d.V
	return d.D - half, d.D + half, true
}
