package simulate

import (
	"math"
	"time"
)

// What is here makes loads of one user alike. A user's own part of ln latency is
// normal and stays, so an arm is slower or faster than the other by the mean of
// its users, for as long as it has them: no number of loads averages it out. The
// judge deflates its evidence by the design effect of that (docs/statistics.md,
// "Sticky users and loads").

// alike is the means of users' own parts in each arm, in standard deviations of
// one user. The site's levels are those of the users it has, so all of them
// together have mean 0.
type alike [2]float64

// move takes users over from control, whose mean differs by chance from that of
// all who were there: a sample without replacement.
func (m *alike) move(s *site, moved int64) {
	of, was := s.users[old], s.users[fresh]
	if moved <= 0 || of <= 0 {
		return
	}
	mean := m[old] + s.rng.NormFloat64()*math.Sqrt(max(0, 1/float64(moved)-1/float64(of)))
	m[fresh] = (float64(was)*m[fresh] + float64(moved)*mean) / float64(was+moved)
	if left := of - moved; left > 0 {
		m[old] = (float64(of)*m[old] - float64(moved)*mean) / float64(left)
	}
}

// shift is the factor by which an arm's latencies differ through its users.
func (s *site) shift(m *model, a arm) float64 {
	if m.likeness == 0 {
		return 1
	}
	return math.Exp(s.means[a] * m.slowness * s.traffic.Spread)
}

// loadEffect is the design effect of the loads until an age: with λ loads a user,
// of whom two are on the same side of the quantile with correlation ρ, 1 + λρ.
func (s *site) loadEffect(m *model, at time.Duration) float64 {
	loads := s.traffic.ViewsPerDay * s.cycle.viewsIn(0, at) / s.traffic.Users
	return 1 + loads*m.likeness
}

// stick sets how alike the loads of a user are, when a part of the variance of ln
// latency is between users: the correlation ρ of being above the quantile, and by
// how much, in Spread, the mean of an arm's users moves its quantile, such that
// the share above it varies as that of users does.
func (m *model) stick(part float64) {
	if part <= 0 {
		return
	}
	z := quantile(m.metric.Q)
	p := 1 - m.metric.Q
	both := 0.0 // the chance that two loads of a user are above
	const steps, width = 400, 8.0
	for i := range steps {
		u := -width + 2*width*(float64(i)+0.5)/steps
		above := phi((math.Sqrt(part)*u - z) / math.Sqrt(max(1-part, 1e-9)))
		both += above * above * density(u) * 2 * width / steps
	}
	m.likeness = max(0, (both-p*p)/(p*(1-p)))
	m.slowness = math.Sqrt(m.likeness*p*(1-p)) / density(z)
}

// density is that of a standard normal number.
func density(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
