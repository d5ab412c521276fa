package stats

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestBinomialTail compares with the sum of the terms.
func TestBinomialTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(0, 400).Draw(t, "n")
		k := rapid.Int64Range(0, 401).Draw(t, "k")
		p := rapid.Float64Range(0, 1).Draw(t, "p")
		want := 0.0
		for i := k; i <= n; i++ {
			la, _ := math.Lgamma(float64(n + 1))
			lb, _ := math.Lgamma(float64(i + 1))
			lc, _ := math.Lgamma(float64(n - i + 1))
			if p > 0 && p < 1 {
				want += math.Exp(la - lb - lc + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
			}
		}
		if p == 1 && k <= n || p == 0 && k == 0 {
			want = 1
		}
		if got := BinomialTail(n, k, p); math.Abs(got-want) > 1e-10 {
			t.Fatalf("P(X >= %d) of %d at %g: got %g, want %g", k, n, p, got, want)
		}
	})
	for _, bad := range []float64{BinomialTail(-1, 0, .5), BinomialTail(1, -1, .5), BinomialTail(1, 1, math.NaN()), BinomialTail(1, 1, 2)} {
		if !math.IsNaN(bad) {
			t.Errorf("got %g, want NaN", bad)
		}
	}
	if got := BinomialTail(1e9, 5e8, .5); math.Abs(got-.5) > 1e-4 {
		t.Errorf("a thousand million trials: %g", got)
	}
}
