package statbench

import (
	"math"
	"math/rand/v2"
	"testing"
)

// mannWhitney judges like Kayenta (NetflixACAJudge): every hour the events of
// slots since the stage began are compared with those of an equally large
// baseline, by the confidence interval of the Hodges-Lehmann shift at 98 %, and
// the new variant fails when its lower end exceeds 0.25 of the shift. The arm
// with more traffic is thinned to the size of the other, as Kayenta asks for
// arms of equal size. Source: kayenta-judge, MannWhitneyClassifier and
// kayenta-mannwhitney, MannWhitney.calculateConfidenceInterval, which follows
// wilcox.test of R.
type mannWhitney struct {
	canary, baseline histogram
	stage            int
	rng              *rand.Rand // of its own, so that the world is the same without it
}

// histogram is how many samples had which number of events.
type histogram []int

func (h *histogram) add(v int) {
	for len(*h) <= v {
		*h = append(*h, 0)
	}
	(*h)[v]++
}

func (h histogram) size() (n int) {
	for _, k := range h {
		n += k
	}
	return n
}

// fewestSamples is how many Kayenta's authors advise at the least.
const fewestSamples = 50

func (m *mannWhitney) see(w *world) bool {
	if m.rng == nil {
		m.rng = rand.New(rand.NewPCG(w.keys, 0))
	}
	if m.stage != w.stage {
		m.canary, m.baseline, m.stage = nil, nil, w.stage
	}
	s, share := w.slots[w.now()-1], w.leg().share
	a, b := int(s.events[fresh]), int(s.events[old])
	if share < 0.5 {
		b = binomial(m.rng, b, share/(1-share))
	} else if share > 0.5 {
		a = binomial(m.rng, a, (1-share)/share)
	}
	m.canary.add(a)
	m.baseline.add(b)
	if w.now()%slotsAnHour != 0 || m.canary.size() < fewestSamples {
		return false
	}
	return higher(m.canary, m.baseline)
}

const (
	kayentaTolerance = 0.25
	kayentaQuantile  = 2.326347874 // of 98 %, two-sided
)

// higher is the classification High.
func higher(x, y histogram) bool {
	low, ok := shiftAt(x, y, kayentaQuantile)
	if !ok {
		return false
	}
	estimate, _ := shiftAt(x, y, 0)
	return low > kayentaTolerance*math.Abs(estimate)
}

// shiftAt is the shift of x at which the standardised rank sum is z, false where
// all samples are the same.
func shiftAt(x, y histogram, z float64) (float64, bool) {
	low, high := extent(x, y)
	f := func(shift float64) float64 { return rankSum(x, y, shift) - z }
	if low == high {
		return 0, false
	}
	switch {
	case f(low) <= 0:
		return low, true
	case f(high) >= 0:
		return high, true
	}
	for range 30 {
		if mid := (low + high) / 2; f(mid) > 0 {
			low = mid
		} else {
			high = mid
		}
	}
	return math.Round((low+high)/2/shiftPrecision) * shiftPrecision, true
}

// shiftPrecision is how finely a shift is told, so that one of nothing is 0.
const shiftPrecision = 1e-4

// extent is from the least to the greatest difference.
func extent(x, y histogram) (low, high float64) {
	ends := func(h histogram) (first, last int) {
		first = -1
		for v, k := range h {
			if k > 0 {
				if last = v; first < 0 {
					first = v
				}
			}
		}
		return first, last
	}
	x0, x1 := ends(x)
	y0, y1 := ends(y)
	return float64(x0 - y1), float64(x1 - y0)
}

// rankSum is the standardised rank sum of x - shift among y, with the
// corrections for ties and continuity, as R has it. 0 if all are tied.
func rankSum(x, y histogram, shift float64) float64 {
	nx, ny := float64(x.size()), float64(y.size())
	var sum, ties float64
	tie := func(k float64) { ties += k*k*k - k }
	below, j := 0.0, 0
	for i, k := range x {
		if k == 0 {
			continue
		}
		v := float64(i) - shift
		for ; j < len(y) && float64(j) < v; j++ {
			below += float64(y[j])
			tie(float64(y[j]))
		}
		same := 0.0
		if j < len(y) && float64(j) == v {
			same = float64(y[j])
		}
		sum += float64(k) * (below + same/2)
		tie(float64(k) + same)
		if same > 0 {
			below, j = below+same, j+1
		}
	}
	for ; j < len(y); j++ {
		tie(float64(y[j]))
	}
	dz := sum - nx*ny/2
	sigma := math.Sqrt(nx * ny / 12 * (nx + ny + 1 - ties/((nx+ny)*(nx+ny-1))))
	if sigma == 0 {
		return 0
	}
	return (dz - math.Copysign(0.5, dz)) / sigma
}

// TestRankSum compares with wilcox.test of R on a small sample: x = 1 1 2 4,
// y = 0 1 1 3 has U = 11 of 16 and, with its ties, a variance of 10.57.
func TestRankSum(t *testing.T) {
	x, y := histogram{0, 2, 1, 0, 1}, histogram{1, 2, 0, 1}
	sigma := math.Sqrt(16. / 12 * (9 - 60./56))
	got := rankSum(x, y, 0)
	if want := (11 - 8 - 0.5) / sigma; math.Abs(got-want) > 1e-12 {
		t.Errorf("got %g, want %g", got, want)
	}
	many, more := make(histogram, 20), make(histogram, 20)
	for i := range 10 {
		many[i], more[i+5] = 30, 30
	}
	if shift, ok := shiftAt(more, many, 0); !ok || math.Abs(shift-5) > 0.01 {
		t.Errorf("a shift of 5 is estimated as %g", shift)
	}
	if !higher(more, many) || higher(many, more) || higher(many, many) {
		t.Error("what is higher is not")
	}
}
