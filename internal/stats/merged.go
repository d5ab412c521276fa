package stats

import (
	"math"
	"sync"
)

// dense is room for the counts of every bucket, ZeroBucket first; all zero when
// it is not in use.
type dense [MaxBucket - ZeroBucket + 1]int64

var denses = sync.Pool{New: func() any { return new(dense) }}

// Merged returns a new sketch with the counts of all, none of which is changed;
// nil ones are empty. It costs as much as their buckets, however many sketches
// there are, where merging one after the other costs as much as the whole each
// time.
func Merged(all []*Sketch) *Sketch {
	out := new(Sketch)
	low, high := int32(MaxBucket), int32(ZeroBucket)
	for _, s := range all {
		if s.Count() == 0 {
			continue
		}
		if out.total > math.MaxInt64-s.total {
			return mergedSlowly(all)
		}
		out.total += s.total
		low, high = min(low, s.bins[0].index), max(high, s.bins[len(s.bins)-1].index)
	}
	if out.total == 0 {
		return out
	}
	counts := denses.Get().(*dense)
	defer denses.Put(counts)
	used := 0
	for _, s := range all {
		if s == nil {
			continue
		}
		for _, b := range s.bins {
			if counts[b.index-ZeroBucket] == 0 {
				used++
			}
			counts[b.index-ZeroBucket] += b.n
		}
	}
	out.bins = make([]bin, 0, used)
	for i := low; i <= high; i++ {
		if n := &counts[i-ZeroBucket]; *n != 0 {
			out.bins = append(out.bins, bin{i, *n})
			*n = 0
		}
	}
	return out
}

// mergedSlowly is Merged of counts that exceed what fits: they saturate.
func mergedSlowly(all []*Sketch) *Sketch {
	out := new(Sketch)
	for _, s := range all {
		out.Merge(s)
	}
	return out
}
