package stats

import (
	"math"
	"testing"
)

// TestProportionIntervalCovers walks every path of trials exactly: the chance
// that the interval ever misses the truth, at any of 60 looks, is at most 5 %.
func TestProportionIntervalCovers(t *testing.T) {
	const n, alpha = 60, 0.05
	for _, p := range []float64{0.02, 0.3, 0.75} {
		alive, missed := []float64{1}, 0.0 // by the number of successes
		for k := 1; k <= n; k++ {
			next := make([]float64, k+1)
			for x, w := range alive {
				next[x] += w * (1 - p)
				next[x+1] += w * p
			}
			for x := range next {
				low, high, ok := ProportionInterval(int64(x), int64(k), 1, alpha)
				if !ok || p < low || p > high {
					missed += next[x]
					next[x] = 0
				}
			}
			alive = next
		}
		if missed > alpha {
			t.Errorf("p = %v: missed with chance %v", p, missed)
		}
	}
}

// TestMixedBinomialExpectation: under p the mean of e^ln E is 1.
func TestMixedBinomialExpectation(t *testing.T) {
	for _, p := range []float64{0.01, 0.5, 0.9} {
		for n := 1; n <= 40; n++ {
			var mean float64
			for x := 0; x <= n; x++ {
				mean += math.Exp(mixedBinomial(float64(x), float64(n), p) + logChoose(n, x) + xLog(float64(x), p) + xLog(float64(n-x), 1-p))
			}
			if mean > 1+1e-9 {
				t.Errorf("p %v, n %d: %v", p, n, mean)
			}
		}
	}
}

func TestQuantileInterval(t *testing.T) {
	var few, many Sketch
	few.AddN(100, 12)
	for i := range 2000 {
		many.Add(float64(1000 + i))
	}
	if _, _, ok := QuantileInterval(&few, 0.75, 1, 0.05); ok {
		t.Error("12 values bound no 75th percentile")
	}
	low, high, ok := QuantileInterval(&many, 0.75, 1, 0.05)
	if !ok || low > 2500 || high < 2500 || high-low > 250 || high-low < 50 {
		t.Errorf("%v to %v", low, high)
	}
	wide, wider, _ := QuantileInterval(&many, 0.75, 8, 0.05)
	if !(wide < low && wider > high) {
		t.Errorf("deflated %v to %v, plain %v to %v", wide, wider, low, high)
	}
	if _, _, ok := QuantileInterval(nil, 0.75, 1, 0.05); ok {
		t.Error("an interval of nothing")
	}
}

// TestDriftExpectation integrates e^ln E under the null by the trapezoid rule.
func TestDriftExpectation(t *testing.T) {
	for _, v := range []float64{0.5, 20, 400} {
		for _, rho := range []float64{1, 30} {
			var mean float64
			sd := math.Sqrt(1 / v)
			const step = 0.002
			for z := -12.0; z <= 12; z += step {
				e := Drift{D: 0.1 + z*sd, V: v}.Above(0.1, rho)
				mean += step * math.Exp(e-z*z/2) / math.Sqrt(2*math.Pi)
			}
			if mean > 1+1e-6 {
				t.Errorf("V %v, rho %v: %v", v, rho, mean)
			}
		}
	}
}

func TestDriftIntervalIsTheTest(t *testing.T) {
	d := Drift{D: 0.2, V: 150}
	low, high, ok := d.Interval(20, 0.05)
	for _, edge := range []float64{low, high} {
		if got := normalTwoSided((d.D-edge)*d.V, d.V, 20); !ok || math.Abs(got-math.Log(20)) > 1e-9 {
			t.Errorf("at %v ln E is %v", edge, got)
		}
	}
	if _, _, ok := (Drift{}).Interval(1, 0.05); ok {
		t.Error("an interval of nothing")
	}
}

func TestUsual(t *testing.T) {
	if _, ok := NewUsual([]float64{1, 2}, 2); ok {
		t.Error("as many means as slots say nothing of the variance")
	}
	u, ok := NewUsual([]float64{0.1, -0.1, 0.1, -0.1, 0.1, -0.1}, 2)
	if !ok || math.Abs(u.Mean) > 1e-12 || math.Abs(u.Var-0.015) > 1e-12 {
		t.Errorf("%+v: slots that alternate are not alike", u)
	}
	if still, _ := NewUsual(make([]float64, 24), 3); still.Var != leastDeviation*leastDeviation {
		t.Errorf("variance %v of a series that never moved", still.Var)
	}
	if d := u.Against(nil); d != (Drift{}) {
		t.Errorf("%+v of nothing", d)
	}
	many := make([]Deviation, 10_000)
	if d := u.Against(many); d.V > float64(u.N)/u.Var {
		t.Errorf("information %v exceeds the baseline's own %v", d.V, float64(u.N)/u.Var)
	}
}

func FuzzIntervals(f *testing.F) {
	f.Add(int64(0), int64(1e9), 0.75, 1.0, 0.1)
	f.Add(int64(1e9), int64(1e9), 0.01, 1e9, 1e-9)
	f.Add(int64(0), int64(0), 0.5, 0.0, 0.0)
	f.Fuzz(func(t *testing.T, x, n int64, q, phi, v float64) {
		if low, high, ok := ProportionInterval(x, n, phi, 0.05); ok && !(low >= 0 && low <= high && high <= 1) {
			t.Errorf("%d of %d: %v to %v", x, n, low, high)
		}
		var s Sketch
		s.AddN(10, x)
		s.AddN(1000, n)
		if low, high, ok := QuantileInterval(&s, q, phi, 0.05); ok && !(low >= 0 && low <= high) {
			t.Errorf("%v to %v", low, high)
		}
		d := Drift{D: q, V: v}
		if e := d.Above(0.1, 10); v > 0 && v < 1e12 && math.Abs(q) < 1e6 && (math.IsNaN(e) || math.IsInf(e, 0)) {
			t.Errorf("ln E %v of %+v", e, d)
		}
	})
}

func BenchmarkQuantileInterval(b *testing.B) {
	var s Sketch
	for i := range 5000 {
		s.Add(float64(500 + i))
	}
	b.ReportAllocs()
	for b.Loop() {
		QuantileInterval(&s, 0.75, 3, 0.05)
	}
}
