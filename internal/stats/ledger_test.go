package stats

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestLedger: however a list of blocks grows from look to look, a ledger says what
// OddsE and OddsSafe say of it, for each start and stage, and so does none.
func TestLedger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Ledger
		lists := map[float64][]Block{}
		stage := 0
		for range rapid.IntRange(1, 6).Draw(t, "looks") {
			stage += rapid.IntRange(0, 1).Draw(t, "raise")
			list := float64(rapid.IntRange(0, 1).Draw(t, "list"))
			for range rapid.IntRange(0, 4).Draw(t, "blocks") {
				b := Block{Stage: stage, New: rapid.Int64Range(0, 60).Draw(t, "new"), Old: rapid.Int64Range(0, 60).Draw(t, "old")}
				b.BadNew, b.BadOld = rapid.Int64Range(0, b.New).Draw(t, "bad new"), rapid.Int64Range(0, b.Old).Draw(t, "bad old")
				lists[list] = append(lists[list], b)
			}
			blocks, phi := lists[list], rapid.Float64Range(0.5, 4).Draw(t, "phi")
			per := l.OddsPerStart(list, blocks, stage+1, as(phi))
			fresh := (*Ledger)(nil).OddsPerStart(list, blocks, stage+1, as(phi))
			for start := range per {
				want := OddsE(BlocksFrom(blocks, start), phi)
				if !nearly(per[start], want) || !nearly(fresh[start], want) {
					t.Fatalf("start %d: %g, without a ledger %g, want %g", start, per[start], fresh[start], want)
				}
			}
			for _, m := range []float64{0, 0.05, 0.3} {
				got, want := l.OddsSafe(list, blocks, stage, m, phi), OddsSafe(BlocksOf(blocks, stage), m, phi)
				if !nearly(got, want) {
					t.Fatalf("stage %d, margin %g: %g, want %g", stage, m, got, want)
				}
			}
		}
	})
}

// as is the same design effect for every start.
func as(phi float64) func(int) float64 { return func(int) float64 { return phi } }

func nearly(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

// TestLedgerBegins: a list that is not the one from before is added up anew.
func TestLedgerBegins(t *testing.T) {
	var l Ledger
	long := []Block{{New: 20, BadNew: 10, Old: 20, BadOld: 2}, {New: 20, BadNew: 9, Old: 20, BadOld: 3}}
	short := []Block{{New: 20, BadNew: 3, Old: 20, BadOld: 10}}
	l.OddsPerStart(0, long, 1, as(1))
	if got, want := l.OddsPerStart(0, short, 1, as(1))[0], OddsE(short, 1); !nearly(got, want) {
		t.Errorf("got %g, want %g", got, want)
	}
}

// BenchmarkLedger is one look at nine days of closed blocks, one of which just
// closed.
func BenchmarkLedger(b *testing.B) {
	blocks := make([]Block, 2592, 1<<22)
	for i := range blocks {
		blocks[i] = Block{Stage: i / 600, New: 20, BadNew: 5 + int64(i%3), Old: 180, BadOld: 45 + int64(i%7)}
	}
	var l Ledger
	b.ReportAllocs()
	for b.Loop() {
		blocks = append(blocks, blocks[len(blocks)-600])
		l.OddsPerStart(0, blocks, 5, as(1))
	}
}
