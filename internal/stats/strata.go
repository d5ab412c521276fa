package stats

import (
	"maps"
	"math"
	"slices"
)

// oddsStep is how far, in their logarithm, odds of exposure may lie apart for
// blocks to be one stratum of an estimate.
const oddsStep = 1e-2

// BlockStrata are the bad outcomes of blocks, or the good ones, as strata with the
// odds of exposure of their blocks, for estimates and intervals. Blocks whose odds
// agree to oddsStep are one stratum, so that there are few of them. They are never
// pooled over different odds: an arm that comes more often at bad hours would look
// worse than it is (Simpson's paradox).
func BlockStrata(blocks []Block, good bool) []Stratum {
	type sum struct {
		s        Stratum
		new, old float64 // exposures
	}
	found := map[int]*sum{}
	for _, b := range blocks {
		if good {
			b.BadNew, b.BadOld = b.New-b.BadNew, b.Old-b.BadOld
		}
		s := Stratum{New: b.BadNew, Old: b.BadOld, Odds: float64(b.New) / float64(b.Old)}
		if !s.valid() {
			continue
		}
		k := int(math.Round(math.Log(s.Odds) / oddsStep))
		if found[k] == nil {
			found[k] = &sum{}
		}
		at := found[k]
		at.s.New, at.s.Old = at.s.New+s.New, at.s.Old+s.Old
		at.new, at.old = at.new+float64(b.New), at.old+float64(b.Old)
	}
	out := make([]Stratum, 0, len(found))
	for _, k := range slices.Sorted(maps.Keys(found)) {
		at := found[k]
		at.s.Odds = at.new / at.old
		out = append(out, at.s)
	}
	return out
}
