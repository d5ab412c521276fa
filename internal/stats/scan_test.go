package stats

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// scanned plays a Poisson process n times and returns how often more than
// limit events fell within some window.
func scanned(rng *rand.Rand, rate float64, window, total time.Duration, limit, n int) float64 {
	var hits float64
	for range n {
		var at []float64
		for t := rng.ExpFloat64() / rate; t <= total.Hours(); t += rng.ExpFloat64() / rate {
			at = append(at, t)
			if len(at) > limit && t-at[len(at)-1-limit] < window.Hours() {
				hits++
				break
			}
		}
	}
	return hits / float64(n)
}

// TestScanProbability compares the formula with the process itself, within
// four standard errors and the hundredth that the doc comment grants.
func TestScanProbability(t *testing.T) {
	const runs = 20000
	rng := rand.New(rand.NewPCG(1982, 77))
	for _, c := range []struct {
		rate          float64
		window, total time.Duration
		limit         int
	}{
		{0.05, time.Hour, 216 * time.Hour, 0},
		{0.3, time.Hour, 216 * time.Hour, 2},
		{1, time.Hour, 216 * time.Hour, 5},
		{1, 10 * time.Minute, 48 * time.Hour, 2},
		{6, time.Hour, 24 * time.Hour, 12},
		{40, time.Hour, 24 * time.Hour, 60},
		{2, time.Hour, 90 * time.Minute, 4},
		{2, time.Hour, 2 * time.Hour, 4},
		{2, time.Hour, 3 * time.Hour, 4},
		{0.02, 24 * time.Hour, 72 * time.Hour, 1},
	} {
		got, want := ScanProbability(c.rate, c.window, c.total, c.limit), scanned(rng, c.rate, c.window, c.total, c.limit, runs)
		if off := math.Abs(got - want); off > 4*math.Sqrt(want*(1-want)/runs)+0.02*want {
			t.Errorf("more than %d at %g/h within %s of %s: got %.4f, %d processes gave %.4f", c.limit, c.rate, c.window, c.total, got, runs, want)
		}
	}
}

// TestScanProbabilityExact are the cases that need no formula.
func TestScanProbabilityExact(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name          string
		rate          float64
		window, total time.Duration
		limit         int
		want          float64
	}{
		{"one event anywhere", 0.01, time.Hour, day, 0, 1 - math.Exp(-0.24)},
		{"window longer than all", 0.01, 2 * day, day, 0, 1 - math.Exp(-0.24)},
		{"more than one in one window", 0.01, day, day, 1, 1 - math.Exp(-0.24)*1.24},
		{"nothing happens", 0, time.Hour, day, 0, 0},
		{"no time", 5, time.Hour, 0, 0, 0},
		{"below nothing", 0, time.Hour, day, -1, 1},
		{"certain", 1000, time.Hour, day, 5, 1},
		{"too many to count, below", 1e6, time.Hour, day, math.MaxInt, 0},
		{"too many to count, above", 1e9, time.Hour, day, 2_000_000, 1},
		{"hopeless", 0.001, time.Hour, day, 200, 0},
	} {
		if got := ScanProbability(c.rate, c.window, c.total, c.limit); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
