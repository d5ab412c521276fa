package evidence

import (
	"math"
	"math/bits"
	"slices"
)

// distinctBits gives 2^10 registers: 1 KB and a standard error of 3.25 %.
const distinctBits = 10

// distinct counts distinct members by evenly distributed 64-bit hashes: a
// HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AofA 2007)
// with linear counting where few registers are set. nil is empty.
type distinct []byte

// add counts a hash and returns the counter, which it makes where there is none.
func (d distinct) add(hash uint64) distinct {
	if len(d) == 0 {
		d = make(distinct, 1<<distinctBits)
	}
	i := hash >> (64 - distinctBits)
	if rank := byte(bits.LeadingZeros64(hash<<distinctBits|1<<(distinctBits-1)) + 1); rank > d[i] {
		d[i] = rank
	}
	return d
}

// merge returns the counter of the members of both; neither is changed.
func (d distinct) merge(o distinct) distinct {
	if len(d) == 0 || len(o) == 0 {
		return slices.Clone(append(d[:len(d):len(d)], o...))
	}
	out := slices.Clone(d)
	for i, rank := range o {
		out[i] = max(out[i], rank)
	}
	return out
}

// estimate is the number of distinct members.
func (d distinct) estimate() float64 {
	if len(d) == 0 {
		return 0
	}
	m, sum, empty := float64(len(d)), 0.0, 0
	for _, rank := range d {
		sum += math.Ldexp(1, -int(rank))
		if rank == 0 {
			empty++
		}
	}
	alpha := 0.7213 / (1 + 1.079/m)
	if raw := alpha * m * m / sum; empty == 0 || raw > 2.5*m {
		return raw
	}
	return m * math.Log(m/float64(empty))
}

// valid reports whether stored registers are a counter.
func (d distinct) valid() bool {
	if len(d) != 0 && len(d) != 1<<distinctBits {
		return false
	}
	for _, rank := range d {
		if rank > 64-distinctBits+1 {
			return false
		}
	}
	return true
}
