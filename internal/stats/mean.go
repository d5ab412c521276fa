package stats

import "math"

// Moments are sums over the users of one arm, user u with n values that add up
// to x: Σn, Σx, Σn², Σnx, Σx². They grow by AddUser and are enough for a
// cluster-robust variance of the mean.
type Moments struct {
	Users            int64
	N, X, NN, NX, XX float64
}

// AddUser adds (sign 1) or takes away (-1) a user; n = 0 is nobody.
func (m *Moments) AddUser(n int64, x, sign float64) {
	if n <= 0 {
		return
	}
	f := float64(n)
	m.Users += int64(sign)
	m.N += sign * f
	m.X += sign * x
	m.NN += sign * f * f
	m.NX += sign * f * x
	m.XX += sign * x * x
}

// leastMeanSD is the least standard error of a mean, relative to it: values
// that are all the same are no certainty.
const leastMeanSD = 1e-3

// Mean returns the mean and its variance from squared residual totals of
// users (Liang and Zeger, Biometrika 73(1), 1986). It is false below two users.
func (m Moments) Mean() (mean, variance float64, ok bool) {
	if m.Users < 2 || !(m.N > 0) {
		return 0, 0, false
	}
	mean = m.X / m.N
	square := max(m.XX-2*mean*m.NX+mean*mean*m.NN, 0)
	users := float64(m.Users)
	least := leastMeanSD * mean
	variance = max(square/(m.N*m.N)*users/(users-1), least*least)
	return mean, variance, variance > 0 && !math.IsInf(variance, 0) && !math.IsNaN(mean)
}

// MeanStratum are the moments of both arms in one allocation interval.
type MeanStratum struct {
	Interval, Stage int
	New, Old        Moments
}

// MeanUsers is how many users each arm of a stratum needs: below, the
// variance is too uncertain for the normal mixture.
const MeanUsers = 100

// MeanDrift returns by how much the mean of the new arm exceeds factor times
// that of the old, over strata: S = Σ D/v and V = Σ 1/v as D = S/V. Strata
// with fewer than MeanUsers users in an arm carry nothing. Stages are never
// pooled: each interval has its own difference (section "Means").
func MeanDrift(strata []MeanStratum, factor float64) Drift {
	var s, v float64
	for _, k := range strata {
		if k.New.Users < MeanUsers || k.Old.Users < MeanUsers {
			continue
		}
		mt, vt, okT := k.New.Mean()
		mc, vc, okC := k.Old.Mean()
		if variance := vt + factor*factor*vc; okT && okC && variance > 0 {
			s, v = s+(mt-factor*mc)/variance, v+1/variance
		}
	}
	if !(v > 0) || math.IsInf(v, 0) {
		return Drift{}
	}
	return Drift{D: s / v, V: v}
}
