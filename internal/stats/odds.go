package stats

import (
	"math"
	"sync"
)

// largestOdds is the largest odds ratio in the mixture of OddsE.
const largestOdds = 20

var oddsGrid = geometric(smallestEffect, math.Log(largestOdds), 1.0/gridPoints)

// safeOddsGrid is the mixture for proving "not worse than by m".
func safeOddsGrid(m float64) grid {
	return geometric(math.Log1p(m)/4, math.Log(largestOdds), 1.0/gridPoints)
}

// OddsE returns ln E against "in every block the odds of bad in the new arm
// are at most Psi0 times those in the old arm", deflated by phi (1 or less
// changes nothing). Given the number of bad loads in a block, those of the
// new arm are hypergeometric, tilted by the odds ratio (Fisher's noncentral
// distribution; McCullagh and Nelder, "Generalized Linear Models", 7.3.2).
//
// It is valid only on closed blocks: never add the block that is still open.
func OddsE(blocks []Block, phi float64) float64 {
	return oddsLog(blocks, phi, oddsGrid, false)
}

// OddsSafe returns ln E against "the odds in the old arm are at most those in
// the new arm", arms swapped: a large value proves the new arm not worse. For
// a quantile the margin m is in the blocks, whose BadNew is counted above the
// threshold shifted by Shift(m); it sets the mixture here. For m <= 0 there
// is no evidence (0).
func OddsSafe(blocks []Block, m, phi float64) float64 {
	if !(m > 0) {
		return 0
	}
	return oddsLog(blocks, phi, safeOddsGrid(m), true)
}

// Shift returns by how many sketch buckets a quantile's threshold moves for
// the margin m: ceil(ln(1+m)/ln Gamma), a little forgiving of rounding.
func Shift(m float64) int {
	if !(m > 0) {
		return 0
	}
	return int(min(MaxBucket-MinBucket, math.Ceil(math.Log1p(m)/math.Log(Gamma)-1e-9)))
}

func oddsLog(blocks []Block, phi float64, g grid, swapped bool) float64 {
	ll := make([]float64, len(g.d))
	for _, b := range blocks {
		b.addTo(ll, g, swapped)
	}
	return g.mix(ll, phi)
}

// addTo adds what a closed block says of each effect of the grid.
func (b Block) addTo(ll []float64, g grid, swapped bool) {
	if swapped {
		psi := b.null()
		b = Block{BadNew: b.BadOld, New: b.Old, BadOld: b.BadNew, Old: b.New, Psi0: 1 / psi}
	}
	if !b.valid() {
		return
	}
	b = b.thin()
	growth := increments.get(b, g)
	for j, d := range g.d {
		ll[j] += d*float64(b.BadNew) - growth[j]
	}
}

func (b Block) null() float64 {
	if b.Psi0 == 0 {
		return 1
	}
	return b.Psi0
}

// valid reports whether the block carries evidence: both arms have loads,
// some but not all are bad, and the null is a positive number.
func (b Block) valid() bool {
	psi := b.null()
	return b.New > 0 && b.Old > 0 && b.BadNew >= 0 && b.BadOld >= 0 &&
		b.BadNew <= b.New && b.BadOld <= b.Old &&
		b.BadNew+b.BadOld > 0 && (b.BadNew < b.New || b.BadOld < b.Old) &&
		psi > 1e-6 && psi < 1e6
}

// maxLoads bounds the work for one block.
const maxLoads = 1 << 22

// thin scales a block beyond maxLoads down in proportion, which only
// understates its evidence.
func (b Block) thin() Block {
	k := max(b.New, b.Old) / maxLoads
	if k == 0 {
		return b
	}
	k++
	return Block{BadNew: b.BadNew / k, New: b.New / k, BadOld: b.BadOld / k, Old: b.Old / k, Psi0: b.Psi0}
}

// fisher is the distribution of the new arm's bad loads given their total:
// weight C(nT,u) C(nC,m-u) psi^u for low <= u <= high.
type fisher struct {
	nT, nC, m float64
	logPsi    float64
	low, high float64
}

func newFisher(nT, nC, m int64, logPsi float64) fisher {
	return fisher{
		nT: float64(nT), nC: float64(nC), m: float64(m), logPsi: logPsi,
		low: float64(max(0, m-nC)), high: float64(min(nT, m)),
	}
}

// ratio returns weight(u+1)/weight(u) under an odds ratio of 1.
func (f fisher) ratio(u float64) float64 {
	return (f.nT - u) * (f.m - u) / ((u + 1) * (f.nC - f.m + u + 1))
}

// mode returns the most likely u under psi, by binary search on the ratio,
// which falls with u.
func (f fisher) mode(psi float64) float64 {
	low, high := f.low, f.high
	for low < high {
		mid := math.Floor((low + high) / 2)
		if f.ratio(mid)*psi >= 1 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// negligible is e^-40, the relative weight at which sums stop.
const negligible = 4.248354255291589e-18

// around returns the sum of weights under psi relative to that of the mode.
func (f fisher) around(mode, psi float64) float64 {
	sum := 1.0
	w := 1.0
	for u := mode; u < f.high; u++ {
		w *= f.ratio(u) * psi
		if w < negligible {
			break
		}
		sum += w
	}
	w = 1
	for u := mode; u > f.low; u-- {
		w /= f.ratio(u-1) * psi
		if w < negligible {
			break
		}
		sum += w
	}
	return sum
}

// climb returns ln of weight(to)/weight(from) under psi.
func (f fisher) climb(from, to, psi float64) float64 {
	if to < from {
		return -f.climb(to, from, psi)
	}
	var sum float64
	product := 1.0
	for u := from; u < to; u++ {
		product *= f.ratio(u) * psi
		if product < 1e-250 || product > 1e250 {
			sum += math.Log(product)
			product = 1
		}
	}
	return sum + math.Log(product)
}

// growth returns, for every d, ln Z(psi e^d) - ln Z(psi): the cumulant
// generating function. All of it is relative to modes,
// so that nothing of the size of ln Z is ever subtracted.
func (f fisher) growth(ds []float64) []float64 {
	psi := math.Exp(f.logPsi)
	base := f.mode(psi)
	zero := f.around(base, psi)
	out := make([]float64, len(ds))
	mode, height := base, 0.0
	for j, d := range ds {
		tilted := psi * math.Exp(d)
		next := f.mode(tilted)
		height += f.climb(mode, next, psi)
		mode = next
		sum := f.around(mode, tilted)
		out[j] = d*mode + height + math.Log(sum) - math.Log(zero)
	}
	return out
}

// increments remembers the growth of blocks: a block never changes once it is
// closed, and is judged again at every look until the attempt ends.
var increments memo

// memo is a bounded memory of growth, by what it depends on. It is safe for
// concurrent use and never changes a result.
type memo struct {
	mu       sync.Mutex // guards the two generations
	now, old map[memoKey][]float64
}

type memoKey struct {
	nT, nC, m          int64
	psi, first, second float64 // the null and the grid
}

// memoSize is the number of blocks in one generation, about 8 MB.
const memoSize = 1 << 15

func (c *memo) get(b Block, g grid) []float64 {
	key := memoKey{b.New, b.Old, b.BadNew + b.BadOld, b.null(), g.d[0], g.d[1]}
	v, ok := c.find(key)
	if !ok {
		v = newFisher(key.nT, key.nC, key.m, math.Log(key.psi)).growth(g.d)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.put(key, v)
	}
	return v
}

// find looks a key up, and keeps what is only in the older generation.
func (c *memo) find(key memoKey) ([]float64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.now[key]; ok {
		return v, true
	}
	v, ok := c.old[key]
	if ok {
		c.put(key, v)
	}
	return v, ok
}

// put remembers a growth in the newer generation. The caller holds mu.
func (c *memo) put(key memoKey, v []float64) {
	if c.now == nil || len(c.now) >= memoSize {
		c.old, c.now = c.now, make(map[memoKey][]float64)
	}
	c.now[key] = v
}
