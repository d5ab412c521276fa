package stats

import (
	"math"
	"time"
)

// ScanProbability returns how likely it is that a Poisson process of rate
// events an hour, watched for total, brings more than limit events within
// some span of the length window: the chance that a fixed rule such as
// "p1 > 5 over 1h" is met at least once although nothing changes. For a rule
// with >= give the limit less one. A window as long as total, or longer, is
// the plain Poisson tail.
//
// Windows slide continuously, as a rule does that is judged at every event.
// For one and for two windows' time the value is exact, between them it is
// interpolated on a logarithmic scale, beyond it is by Naus, "Approximations for
// distributions of scan statistics", Journal of the American Statistical
// Association 77, 1982, equations 3.1 to 3.3: no span holds k events with
// probability Q2 (Q3/Q2)^(T/w-2). The error is below a hundredth of the
// probability where it matters. It takes time in proportion to limit; a limit
// above a million is met if the mean of a window is above it.
//
// It is 0 for a rate, window or total of 0 or less, and 1 for a negative
// limit. Rates are taken as constant: cycles of day and week and events that
// come in bursts make the true chance larger.
func ScanProbability(rate float64, window, total time.Duration, limit int) float64 {
	switch {
	case limit < 0:
		return 1
	case !(rate > 0) || window <= 0 || total <= 0:
		return 0
	}
	window = min(window, total)
	if limit > mostScanned {
		if rate*window.Hours() > float64(limit) {
			return 1
		}
		return 0
	}
	n := newScan(rate*window.Hours(), limit+1)
	spans := float64(total) / float64(window)
	q1, q2 := n.quiet1(), n.quiet2()
	if spans <= 2 {
		return clampShare(1 - quietFor(q1, q2, spans-1))
	}
	return clampShare(1 - quietFor(q2, n.quiet3(), spans-2))
}

// mostScanned bounds the work: a count of a million is within a few thousandths
// of its mean.
const mostScanned = 1_000_000

// quietFor is first * (second/first)^power, 0 where first is.
func quietFor(first, second, power float64) float64 {
	if !(first > 0) || !(second > 0) {
		return 0
	}
	return first * math.Pow(min(1, second/first), power)
}

func clampShare(p float64) float64 { return min(1, max(0, p)) }

// scan holds the Poisson probabilities of a window of mean psi, against the
// count k that is looked for.
type scan struct {
	psi float64
	k   int
	p   []float64 // of exactly i, i < 2k
	f   []float64 // of at most i
}

func newScan(psi float64, k int) scan {
	s := scan{psi: psi, k: k, p: make([]float64, 2*k+1), f: make([]float64, 2*k+1)}
	var sum float64
	for i := range s.p {
		lg, _ := math.Lgamma(float64(i) + 1)
		s.p[i] = math.Exp(float64(i)*math.Log(psi) - psi - lg)
		sum += s.p[i]
		s.f[i] = min(1, sum)
	}
	return s
}

// upTo is the chance of at most i events in a window, 0 below 0.
func (s scan) upTo(i int) float64 {
	if i < 0 {
		return 0
	}
	return s.f[i]
}

func (s scan) exactly(i int) float64 {
	if i < 0 {
		return 0
	}
	return s.p[i]
}

// quiet1 is the chance that one window holds fewer than k events.
func (s scan) quiet1() float64 { return s.upTo(s.k - 1) }

// quiet2 is the chance that no span of a window's length within two of them
// holds k events (Naus, equation 3.2).
func (s scan) quiet2() float64 {
	k, f := float64(s.k), s.upTo(s.k-1)
	return f*f - (k-1)*s.exactly(s.k)*s.exactly(s.k-2) - (k-1-s.psi)*s.exactly(s.k)*s.upTo(s.k-3)
}

// quiet3 is the same within three windows (Naus, equation 3.3).
func (s scan) quiet3() float64 {
	k, psi := float64(s.k), s.psi
	f, p := s.upTo(s.k-1), s.exactly(s.k)
	a1 := 2 * p * f * ((k-1)*s.upTo(s.k-2) - psi*s.upTo(s.k-3))
	a2 := 0.5 * p * p * ((k-1)*(k-2)*s.upTo(s.k-3) - 2*(k-2)*psi*s.upTo(s.k-4) + psi*psi*s.upTo(s.k-5))
	var a3, a4 float64
	for r := 1; r < s.k; r++ {
		below := s.upTo(r - 1)
		a3 += s.exactly(2*s.k-r) * below * below
		a4 += s.exactly(2*s.k-r) * s.exactly(r) * (float64(r-1)*s.upTo(r-2) - psi*s.upTo(r-3))
	}
	return f*f*f - a1 + a2 + a3 - a4
}
