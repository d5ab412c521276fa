package simulate

import (
	"math"
	"slices"

	"serin/internal/stats"
)

// blocks is the comparison data of one metric: its closed blocks by shift, and
// what is in the open one.
type blocks struct {
	closed map[int][]stats.Block
	ledger stats.Ledger
	open   stats.Block   // without BadNew
	bad    map[int]int64 // by shift: the new arm's loads beyond it
	cells  [2]cells      // how loads fall about the threshold
	before [2]int64      // control's loads before the start: all, and below the true quantile
}

// cells cuts the loads of an arm at edges that matter.
type cells struct {
	p      []float64 // share of each cell, ascending
	below  int       // cells up to this one lie at or below the arm's true quantile
	beyond []int     // of each shift (old arm: one): the first cell above its edge
	drawn  []int64   // loads in each cell, in the last step
}

// begin draws the baseline and cuts the first cells.
func (b *blocks) begin(s *site, m *model) {
	n := int64(s.traffic.ViewsPerDay * s.plan.Judge.Baseline.Hours() / 24)
	b.before = [2]int64{n, binomial(s.rng, n, m.metric.Q)}
	b.closed, b.bad = map[int][]stats.Block{}, map[int]int64{}
	b.cut(s, m)
}

// cut sets the threshold from all loads of control so far.
func (b *blocks) cut(s *site, m *model) {
	n, below := s.loads[old][m.index].window(-1, s.made)
	c := stats.Bucket(s.estimate(m, old, n+b.before[0], below+b.before[1]))
	edges := make([]float64, len(m.shifts))
	for i, shift := range m.shifts {
		edges[i] = stats.Edge(c + shift)
	}
	b.cells[fresh] = s.cells(m, fresh, edges)
	b.cells[old] = s.cells(m, old, []float64{stats.Edge(c)})
}

// cells cuts the distribution of an arm at ascending edges and at its own
// quantile.
func (s *site) cells(m *model, a arm, edges []float64) cells {
	own := s.level(m, a)
	cuts := append(slices.Clone(edges), own)
	slices.Sort(cuts)
	var out cells
	last := 0.0
	for i, e := range cuts {
		f := phi(quantile(m.metric.Q) + math.Log(e/own)/s.traffic.Spread)
		out.p = append(out.p, max(0, f-last))
		last = f
		if e == own {
			out.below = i
		}
	}
	out.p = append(out.p, max(0, 1-last))
	out.drawn = make([]int64, len(out.p))
	for _, e := range edges {
		out.beyond = append(out.beyond, slices.Index(cuts, e)+1)
	}
	return out
}

// draw makes the loads of an arm in a step of the open block.
func (b *blocks) draw(s *site, a arm, mean float64) (n, below int64) {
	c := &b.cells[a]
	for i, p := range c.p {
		k := poisson(s.rng, mean*p)
		c.drawn[i] = k
		n += k
		if i <= c.below {
			below += k
		}
	}
	for i, first := range c.beyond {
		var bad int64
		for _, k := range c.drawn[first:] {
			bad += k
		}
		if a == fresh {
			b.bad[i] += bad
		} else {
			b.open.BadOld += bad
		}
	}
	if a == fresh {
		b.open.New += n
	} else {
		b.open.Old += n
	}
	return n, below
}

// close ends the open block and begins the next.
func (b *blocks) close(s *site, m *model, interval int) {
	b.open.Interval, b.open.Stage = interval, s.intervals[interval].stage
	for i, shift := range m.shifts {
		block := b.open
		block.BadNew = b.bad[i]
		b.add(shift, block)
	}
	b.open = stats.Block{}
	clear(b.bad)
	b.cut(s, m)
}

// add keeps a closed block in which somebody was there.
func (b *blocks) add(shift int, block stats.Block) {
	if b.closed == nil {
		b.closed = map[int][]stats.Block{}
	}
	if block.New+block.Old > 0 {
		block.BadNew, block.BadOld = min(block.BadNew, block.New), min(block.BadOld, block.Old)
		b.closed[shift] = append(b.closed[shift], block)
	}
}
