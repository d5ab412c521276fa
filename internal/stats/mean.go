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

// Joint are sums over the users of one arm who have values in two intervals, n and
// x in the earlier one, m and y in the later: Σnm, Σny, Σxm, Σxy.
type Joint struct{ NM, NY, XM, XY float64 }

// AddUser adds (sign 1) or takes away (-1) a user.
func (j *Joint) AddUser(n int64, x float64, m int64, y, sign float64) {
	j.NM += sign * float64(n) * float64(m)
	j.NY += sign * float64(n) * y
	j.XM += sign * x * float64(m)
	j.XY += sign * x * y
}

// covariance is that of an arm's means in the two intervals, at least 0: users who
// return make them alike.
func (j Joint) covariance(earlier, later Moments) float64 {
	a, b := earlier.X/earlier.N, later.X/later.N
	return max(0, (j.XY-b*j.XM-a*j.NY+a*b*j.NM)/(earlier.N*later.N))
}

// MeanStratum are the moments of both arms in one allocation interval.
type MeanStratum struct {
	Interval, Stage int
	New, Old        Moments
	// With are the users who have values in an earlier interval too.
	With []MeanPair
}

// MeanPair are the users of both arms who have values in this and in an earlier
// interval, in the same arm.
type MeanPair struct {
	Interval int // the earlier one
	New, Old Joint
}

// MeanUsers is how many users each arm of a stratum needs: below, the
// variance is too uncertain for the normal mixture.
const MeanUsers = 100

// MeanDrift returns by how much the mean of the new arm exceeds factor times
// that of the old, over strata: D is the mean of their differences with weights
// w = 1/v, V = 1/variance of that, in which users who return count once: it has the
// covariances of the strata (section "Means"). Who went from the old arm to the new
// makes the differences less alike, which is left out. Strata with fewer than
// MeanUsers users in an arm carry nothing. Stages are never pooled: each interval
// has its own difference.
func MeanDrift(strata []MeanStratum, factor float64) Drift {
	type difference struct {
		d, w float64
		of   *MeanStratum
	}
	var all []difference
	var sum float64
	for i := range strata {
		k := &strata[i]
		if k.New.Users < MeanUsers || k.Old.Users < MeanUsers {
			continue
		}
		mt, vt, okT := k.New.Mean()
		mc, vc, okC := k.Old.Mean()
		if v := vt + factor*factor*vc; okT && okC && v > 0 {
			all, sum = append(all, difference{mt - factor*mc, 1 / v, k}), sum+1/v
		}
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return Drift{}
	}
	var d, variance float64
	for i, b := range all {
		d += b.w / sum * b.d
		variance += b.w / sum / sum // w² v
		for _, a := range all[:i] {
			for _, p := range b.of.With {
				if p.Interval == a.of.Interval {
					variance += 2 * a.w / sum * b.w / sum * (p.New.covariance(a.of.New, b.of.New) + factor*factor*p.Old.covariance(a.of.Old, b.of.Old))
				}
			}
		}
	}
	if !(variance > 0) || math.IsInf(variance, 0) {
		return Drift{}
	}
	return Drift{D: d, V: 1 / variance}
}
