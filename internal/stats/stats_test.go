package stats

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestRatioEExpectation enumerates Bernoulli labels: under the null the
// expected value of E must be at most 1, whatever the share.
func TestRatioEExpectation(t *testing.T) {
	for _, share := range []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.95} {
		for _, n := range []int{1, 2, 7, 40} {
			for _, theta0 := range []float64{0.8, 1, 1.05, 1.5} {
				p := NewShare(share, theta0)
				odds := share / (1 - share)
				tests := map[string]func(Stratum) float64{
					"harm":     func(s Stratum) float64 { return RatioE([]Stratum{s}, theta0) },
					"deflated": func(s Stratum) float64 { return RatioEDeflated([]Stratum{s}, theta0, 3) },
					"two-sided": func(s Stratum) float64 {
						s.Odds *= theta0
						return ratioLog([]Stratum{s}, 1, 1, csGrid, false)
					},
				}
				if theta0 > 1 {
					tests["safe"] = func(s Stratum) float64 { return RatioSafe([]Stratum{s}, theta0-1) }
				}
				for name, test := range tests {
					var mean float64
					for k := 0; k <= n; k++ {
						e := test(Stratum{New: int64(k), Old: int64(n - k), Odds: odds})
						mean += math.Exp(logChoose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p) + e)
					}
					if !(mean <= 1+1e-9) {
						t.Errorf("%s: share %v n %d theta0 %v: E0[E] = %.12f", name, share, n, theta0, mean)
					}
				}
			}
		}
	}
}

// TestOddsEExpectation enumerates hypergeometric blocks, tilted by the null.
func TestOddsEExpectation(t *testing.T) {
	for _, c := range []struct{ nT, nC, m int }{{1, 1, 1}, {3, 9, 4}, {20, 40, 15}, {10, 90, 30}, {60, 60, 30}, {5, 3, 7}} {
		for _, psi0 := range []float64{0.5, 1, 1.3} {
			var mean, safe, total float64
			for a := max(0, c.m-c.nC); a <= min(c.nT, c.m); a++ {
				weight := math.Exp(logChoose(c.nT, a) + logChoose(c.nC, c.m-a) + float64(a)*math.Log(psi0))
				b := []Block{{BadNew: int64(a), New: int64(c.nT), BadOld: int64(c.m - a), Old: int64(c.nC), Psi0: psi0}}
				total += weight
				mean += weight * math.Exp(OddsE(b, 1))
				safe += weight * math.Exp(OddsSafe(b, 0.1, 1))
			}
			if mean /= total; !(mean <= 1+1e-9) {
				t.Errorf("%+v psi0 %v: E0[E] = %.12f", c, psi0, mean)
			}
			if safe /= total; !(safe <= 1+1e-9) {
				t.Errorf("%+v psi0 %v: safe E0[E] = %.12f", c, psi0, safe)
			}
		}
	}
}

// TestSRMExpectation enumerates two groups.
func TestSRMExpectation(t *testing.T) {
	for _, p := range []float64{0.1, 0.5, 0.9} {
		var mean float64
		const n = 50
		for k := 0; k <= n; k++ {
			e := SRM([]int64{int64(k), int64(n - k)}, []float64{p, 1 - p})
			mean += math.Exp(logChoose(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p) + e)
		}
		if math.Abs(mean-1) > 1e-9 {
			t.Errorf("share %v: E0[E] = %.12f want 1", p, mean)
		}
	}
	if e := SRM([]int64{3, 5}, []float64{0, 1}); !math.IsInf(e, 1) {
		t.Errorf("users in a group without a share: got %v want +Inf", e)
	}
}

// TestOpenBlockIsNotValid shows why the open block must never be judged: the
// best stopping time inside a block has an expected value above 1.
func TestOpenBlockIsNotValid(t *testing.T) {
	const loads, bad = 12, 0.25
	var value func(a, nT, c, nC int) float64
	memo := map[[4]int]float64{}
	value = func(a, nT, c, nC int) float64 {
		key := [4]int{a, nT, c, nC}
		if v, ok := memo[key]; ok {
			return v
		}
		now := math.Exp(OddsE([]Block{{BadNew: int64(a), New: int64(nT), BadOld: int64(c), Old: int64(nC)}}, 1))
		if nT+nC < loads {
			go1 := 0.5 * (bad*value(a+1, nT+1, c, nC) + (1-bad)*value(a, nT+1, c, nC))
			go1 += 0.5 * (bad*value(a, nT, c+1, nC+1) + (1-bad)*value(a, nT, c, nC+1))
			now = max(now, go1)
		}
		memo[key] = now
		return now
	}
	if v := value(0, 0, 0, 0); v <= 1+1e-6 {
		t.Errorf("looking inside a block is worth %v, expected more than 1", v)
	}
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

func drawStrata(t *rapid.T) []Stratum {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Stratum {
		return Stratum{
			New: rapid.Int64Range(0, 2000).Draw(t, "new"), Old: rapid.Int64Range(0, 2000).Draw(t, "old"),
			Odds: rapid.Float64Range(0.01, 20).Draw(t, "odds"),
		}
	}), 1, 6).Draw(t, "strata")
}

func TestRatioProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStrata(t)
		at := rapid.IntRange(0, len(s)-1).Draw(t, "at")
		more := slices.Clone(s)
		more[at].New++
		if RatioE(more, 1) < RatioE(s, 1)-1e-9 {
			t.Fatalf("one more affected canary user lowers the evidence of harm")
		}
		if RatioSafe(more, 0.1) > RatioSafe(s, 0.1)+1e-9 {
			t.Fatalf("one more affected canary user raises the evidence of safety")
		}
		shuffled := rapid.Permutation(s).Draw(t, "shuffled")
		if math.Abs(RatioE(shuffled, 1)-RatioE(s, 1)) > 1e-9*max(1, math.Abs(RatioE(s, 1))) {
			t.Fatalf("the order of strata matters")
		}
		i, ok := RatioInterval(s, 0.05)
		if ok && !(i.Low <= i.Theta*(1+1e-9) && i.Theta <= i.High*(1+1e-9)) {
			t.Fatalf("interval %+v does not hold its estimate", i)
		}
	})
}

func TestOddsProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Block{New: rapid.Int64Range(1, 300).Draw(t, "nT"), Old: rapid.Int64Range(1, 300).Draw(t, "nC")}
		b.BadNew = rapid.Int64Range(0, b.New-1).Draw(t, "a")
		b.BadOld = rapid.Int64Range(0, b.Old).Draw(t, "c")
		more := b
		more.BadNew++
		other := Block{BadNew: 3, New: 30, BadOld: 20, Old: 90, Psi0: 1.2}
		if OddsE([]Block{more}, 1) < OddsE([]Block{b}, 1)-1e-9 && b.BadOld < b.Old && b.BadNew+b.BadOld > 0 {
			t.Fatalf("one more bad canary load lowers the evidence")
		}
		x, y := OddsE([]Block{b, other}, 2), OddsE([]Block{other, b}, 2)
		if math.Abs(x-y) > 1e-9*max(1, math.Abs(x)) {
			t.Fatalf("the order of blocks matters: %v %v", x, y)
		}
	})
}

func TestBetterCanaryIsNotCondemned(t *testing.T) {
	// Process 0 sees a control that is used up; the safe side and later
	// starts count anew. None may show harm.
	s := Starts{
		Odds: []float64{1. / 9, 1. / 3}, Stage: []int{0, 1}, Planned: 5,
		Cells: []UserCell{{0, -1, 700, 16000}, {1, -1, 300, 900}, {1, 0, 1500, 12000}},
	}
	if b := s.Ratio(1); b.LogE > 0 {
		t.Errorf("harm against a better canary: %+v", b)
	}
	if e := RatioSafe(s.Only(1), 0.05); e < math.Log(20) {
		t.Errorf("a canary at half the rate is not proved safe: ln E = %v", e)
	}
}

func TestStartsIgnoreStrayCells(t *testing.T) {
	s := Starts{Odds: []float64{1}, Stage: []int{0}, Planned: 1, Cells: []UserCell{{7, -1, 100, 0}, {-1, -1, 100, 0}, {0, 0, 100, 0}}}
	if b := s.Ratio(1); b.LogE != 0 {
		t.Errorf("cells of unknown intervals count: %+v", b)
	}
	if b := (Starts{}).Ratio(1); b.LogE != 0 || b.Start != 0 {
		t.Errorf("no start: %+v", b)
	}
}

func TestDesignEffects(t *testing.T) {
	if got := LoadsPhi(0.25, 0, 0, 0, 0); got != 1 {
		t.Errorf("no users: got %v", got)
	}
	// Two users with 4 loads each, one all bad, one none: sum (x-pn)^2 = 8
	// over p(1-p) sum n = 2.
	if got := LoadsPhi(0.5, 16, 16, 32, 8); got != 4 {
		t.Errorf("sticky users: got %v want 4", got)
	}
	if got := EventsPhi(1, 4); got != 1 {
		t.Errorf("phi below 1: got %v", got)
	}
}

func FuzzTests(f *testing.F) {
	f.Add(int64(3), int64(0), 0.1111, 1.0, 0.05, 1.0)
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), 1e300, 1e-9, 1e6, 0.0)
	f.Add(int64(1<<40), int64(1<<41), 19.0, 1.05, 1e-12, 12.7)
	f.Add(int64(-5), int64(9), math.NaN(), math.Inf(1), -1.0, math.NaN())
	f.Fuzz(func(t *testing.T, a, b int64, odds, theta0, m, phi float64) {
		if !(theta0 > 1e-6 && theta0 < 1e6) {
			theta0 = 1
		}
		if !(m < 1e6 && m > 1e-12) {
			m = 0.05
		}
		s := []Stratum{{New: a, Old: b, Odds: odds}, {New: b, Old: 7, Odds: 0.3}}
		blocks := []Block{
			{BadNew: a / 3, New: a, BadOld: b / 5, Old: b, Psi0: theta0},
			{BadNew: a, New: b, BadOld: 1, Old: 2}, {BadNew: 1, New: 20, BadOld: 3, Old: 50, Psi0: odds},
		}
		if a > 1<<22 { // bounds the time of one run, not its validity
			blocks = blocks[1:]
		}
		for name, v := range map[string]float64{
			"ratio": RatioEDeflated(s, theta0, phi), "safe": RatioSafeDeflated(s, m, phi),
			"odds": OddsE(blocks, phi), "safe odds": OddsSafe(blocks, m, phi),
			"log1pexp": log1pExp(theta0 - float64(a)), "log phi": logPhi(-math.Abs(m)),
			"srm": SRM([]int64{max(0, a), max(0, b)}, []float64{0.3, 0.7}),
		} {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s is %v", name, v)
			}
		}
		if i, ok := RatioInterval(s, 0.05); ok && (math.IsNaN(i.Low) || math.IsNaN(i.High) || math.IsNaN(i.Theta)) {
			t.Errorf("interval %+v", i)
		}
	})
}

func BenchmarkRatioE(b *testing.B) {
	s := []Stratum{{66, 270, 1. / 9}, {120, 300, 1. / 3}, {500, 480, 1}, {900, 290, 3}, {1100, 60, 19}}
	b.ReportAllocs()
	for b.Loop() {
		RatioE(s, 1.05)
	}
}

func BenchmarkRatioInterval(b *testing.B) {
	s := []Stratum{{66, 270, 1. / 9}, {120, 300, 1. / 3}, {500, 480, 1}, {900, 290, 3}, {1100, 60, 19}}
	b.ReportAllocs()
	for b.Loop() {
		RatioInterval(s, 0.05)
	}
}

// BenchmarkOddsE measures one new block of 20,000 loads.
func BenchmarkOddsE(b *testing.B) {
	f := newFisher(2000, 18000, 5000, 0)
	b.ReportAllocs()
	for b.Loop() {
		f.growth(oddsGrid.d)
	}
}

// BenchmarkOddsEAgain measures nine days of blocks that were judged before.
func BenchmarkOddsEAgain(b *testing.B) {
	blocks := make([]Block, 9*288)
	for i := range blocks {
		blocks[i] = Block{BadNew: int64(i % 9), New: int64(10 + i%20), BadOld: 20, Old: int64(80 + i%50)}
	}
	b.ReportAllocs()
	for b.Loop() {
		OddsE(blocks, 1)
	}
}

// TestNobodyInControl: an interval in which nobody is left in control says nothing
// of a difference, to estimates as well.
func TestNobodyInControl(t *testing.T) {
	with := []Stratum{{New: 100, Old: 100, Odds: 1}, {New: 300, Odds: 1e9}}
	got, ok := Estimate(with)
	if want, _ := Estimate(with[:1]); !ok || got != want {
		t.Errorf("estimate %g, want %g", got, want)
	}
	if got, want := RatioE(with, 1), RatioE(with[:1], 1); got != want {
		t.Errorf("ln E %g, want %g", got, want)
	}
}
