package stats

import "sync"

// A Ledger remembers what closed blocks amount to, so that a look costs what
// closed since the last one and not the whole attempt: ln E is a mixture of sums
// over blocks, and a closed block never changes. It never changes a result.
//
// A metric has several lists of blocks that are counted in different ways; a name
// tells them apart. What is given under a name must begin with what was given
// under it before: lists only grow.
//
// The zero value is empty; a nil Ledger remembers nothing. It is safe for
// concurrent use.
type Ledger struct {
	mu   sync.Mutex // guards sums and what is in them
	sums map[ledgerKey]*stageSums
}

type ledgerKey struct {
	list          float64
	first, second float64 // of the grid
	swapped       bool
}

// stageSums are the exponents of a mixture, by stage: for each effect of the
// grid its log likelihood ratio over the blocks of the stage.
type stageSums struct {
	blocks int // how many are in
	stages [][]float64
}

// add takes the blocks in that it does not have yet.
func (s *stageSums) add(blocks []Block, g grid, swapped bool) {
	if len(blocks) < s.blocks {
		*s = stageSums{} // another list: begin again
	}
	for _, b := range blocks[s.blocks:] {
		for b.Stage >= len(s.stages) {
			s.stages = append(s.stages, make([]float64, len(g.d)))
		}
		if b.Stage >= 0 {
			b.addTo(s.stages[b.Stage], g, swapped)
		}
	}
	s.blocks = len(blocks)
}

// over adds the stages low to high up.
func (s *stageSums) over(low, high int, g grid) []float64 {
	out := make([]float64, len(g.d))
	for _, stage := range s.stages[min(low, len(s.stages)):min(high+1, len(s.stages))] {
		for j, v := range stage {
			out[j] += v
		}
	}
	return out
}

// with calls f with the sums of a list that has been brought up to date.
func (l *Ledger) with(list float64, blocks []Block, g grid, swapped bool, f func(s *stageSums)) {
	if l == nil {
		s := &stageSums{}
		s.add(blocks, g, swapped)
		f(s)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sums == nil {
		l.sums = make(map[ledgerKey]*stageSums)
	}
	k := ledgerKey{list, g.d[0], g.d[1], swapped}
	s := l.sums[k]
	if s == nil {
		s = &stageSums{}
		l.sums[k] = s
	}
	s.add(blocks, g, swapped)
	f(s)
}

// OddsPerStart is OddsE of a list of blocks for each of so many starts: process s
// is all blocks of stages from s on, deflated by the design effect phi(s).
func (l *Ledger) OddsPerStart(list float64, blocks []Block, starts int, phi func(start int) float64) []float64 {
	per := make([]float64, starts)
	l.with(list, blocks, oddsGrid, false, func(s *stageSums) {
		for start := range per {
			per[start] = oddsGrid.mix(s.over(start, len(s.stages), oddsGrid), phi(start))
		}
	})
	return per
}

// OddsSafe is OddsSafe of the blocks of one stage of a list.
func (l *Ledger) OddsSafe(list float64, blocks []Block, stage int, m, phi float64) float64 {
	return l.safe(list, blocks, stage, m, phi, safeOddsGrid)
}

// ShareSafe is OddsSafe with the mixture of RatioSafe, half of which is on "nothing
// has changed": the margin of a share is in Psi0 of the blocks, and for rare
// outcomes that point is ln(1+m).
func (l *Ledger) ShareSafe(list float64, blocks []Block, stage int, m, phi float64) float64 {
	return l.safe(list, blocks, stage, m, phi, safeGrid)
}

func (l *Ledger) safe(list float64, blocks []Block, stage int, m, phi float64, mixture func(m float64) grid) (logE float64) {
	if !(m > 0) || stage < 0 {
		return 0
	}
	g := mixture(m)
	l.with(list, blocks, g, true, func(s *stageSums) { logE = g.mix(s.over(stage, stage, g), phi) })
	return logE
}
