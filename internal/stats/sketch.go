package stats

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// The layout of a Sketch: bucket i covers (Gamma^(i-1), Gamma^i], and i is
// clamped to MinBucket..MaxBucket, for milliseconds 1 microsecond to 40 days.
// Zero and negative values have a bucket of their own, ZeroBucket. There is
// one layout everywhere, so that any two sketches can be merged. Source:
// Masson, Rim, Lee, "DDSketch", VLDB 2019, section 2.
const (
	Gamma      = 1.01
	MinBucket  = -700
	MaxBucket  = 2900
	ZeroBucket = MinBucket - 1
)

// ErrCorrupt is wrapped by every error of UnmarshalBinary in this package.
var ErrCorrupt = errors.New("corrupt encoding")

// edges[i-MinBucket] is Gamma^i.
var edges = func() (e [MaxBucket - MinBucket + 1]float64) {
	for i := range e {
		e[i] = math.Exp(float64(i+MinBucket) * math.Log1p(Gamma-1))
	}
	return e
}()

// Bucket returns the index of the bucket that holds v: ZeroBucket for v <= 0
// and NaN, otherwise MinBucket..MaxBucket.
func Bucket(v float64) int {
	if !(v > 0) {
		return ZeroBucket
	}
	if v > edges[len(edges)-1] {
		return MaxBucket
	}
	i := int(math.Ceil(math.Log(v) / math.Log1p(Gamma-1)))
	i = min(max(i, MinBucket), MaxBucket)
	if i > MinBucket && v <= Edge(i-1) { // the logarithm was rounded up
		i--
	} else if i < MaxBucket && v > Edge(i) {
		i++
	}
	return i
}

// Edge returns the upper edge of bucket i: Gamma^i, 0 for ZeroBucket and
// below. Indexes above MaxBucket are read as MaxBucket.
func Edge(i int) float64 {
	if i <= ZeroBucket {
		return 0
	}
	return edges[min(i, MaxBucket)-MinBucket]
}

// Sketch is a histogram with logarithmic buckets of 1 % width (Gamma). It
// keeps exact counts per bucket, so sketches add without loss. The zero value
// is empty and ready to use. A Sketch may be read by many goroutines, but not
// while one changes it. A nil *Sketch reads as an empty one.
type Sketch struct {
	bins  []bin // ascending by index, counts > 0
	total int64
}

type bin struct {
	index int32
	n     int64
}

func byIndex(b bin, i int32) int { return int(b.index - i) }

// Add counts one value, in the unit of the metric (milliseconds for
// durations). NaN is ignored.
func (s *Sketch) Add(v float64) { s.AddN(v, 1) }

// AddN counts n values equal to v. NaN, and n <= 0, are ignored.
func (s *Sketch) AddN(v float64, n int64) {
	if math.IsNaN(v) || n <= 0 {
		return
	}
	s.addBin(int32(Bucket(v)), n)
}

func (s *Sketch) addBin(index int32, n int64) {
	n = min(n, math.MaxInt64-s.total) // saturates rather than turn negative
	s.total += n
	at, found := slices.BinarySearchFunc(s.bins, index, byIndex)
	switch {
	case n == 0:
	case found:
		s.bins[at].n += n
	default:
		s.bins = slices.Insert(s.bins, at, bin{index, n})
	}
}

// Merge adds the counts of o, which is not changed. A nil o is empty.
func (s *Sketch) Merge(o *Sketch) {
	if o == nil || o.total == 0 {
		return
	}
	if s.total > math.MaxInt64-o.total { // saturate bin by bin
		for _, b := range slices.Clone(o.bins) {
			s.addBin(b.index, b.n)
		}
		return
	}
	merged := make([]bin, 0, len(s.bins)+len(o.bins))
	i, j := 0, 0
	for i < len(s.bins) && j < len(o.bins) {
		a, b := s.bins[i], o.bins[j]
		switch {
		case a.index < b.index:
			merged, i = append(merged, a), i+1
		case a.index > b.index:
			merged, j = append(merged, b), j+1
		default:
			merged, i, j = append(merged, bin{a.index, a.n + b.n}), i+1, j+1
		}
	}
	merged = append(merged, s.bins[i:]...)
	s.bins = append(merged, o.bins[j:]...)
	s.total += o.total
}

// Count returns the number of values.
func (s *Sketch) Count() int64 {
	if s == nil {
		return 0
	}
	return s.total
}

// Above returns the number of values in buckets above the one given, that is
// of values greater than Edge(bucket).
func (s *Sketch) Above(bucket int) int64 {
	if s == nil {
		return 0
	}
	at, _ := slices.BinarySearchFunc(s.bins, int32(min(max(bucket, ZeroBucket-1), MaxBucket))+1, byIndex)
	var n int64
	for _, b := range s.bins[at:] {
		n += b.n
	}
	return n
}

// Quantile returns the upper edge of the bucket that holds the q-quantile, q
// in 0..1: the value of rank ceil(q n) among n, never too small and at most
// 1 % too large. It is false for an empty sketch and for a q outside 0..1.
func (s *Sketch) Quantile(q float64) (float64, bool) {
	i, ok := s.QuantileBucket(q)
	return Edge(i), ok
}

// QuantileBucket returns the index of the bucket that holds the q-quantile.
func (s *Sketch) QuantileBucket(q float64) (int, bool) {
	if s.Count() == 0 || !(q >= 0 && q <= 1) {
		return 0, false
	}
	rank := max(1, int64(math.Ceil(q*float64(s.total))))
	for _, b := range s.bins {
		rank -= b.n
		if rank <= 0 {
			return int(b.index), true
		}
	}
	return int(s.bins[len(s.bins)-1].index), true
}

// Each calls f for every bucket that is not empty, in ascending order.
func (s *Sketch) Each(f func(bucket int, n int64)) {
	if s == nil {
		return
	}
	for _, b := range s.bins {
		f(int(b.index), b.n)
	}
}

// Clone returns an independent copy; of nil an empty sketch.
func (s *Sketch) Clone() *Sketch {
	if s == nil {
		return &Sketch{}
	}
	return &Sketch{bins: slices.Clone(s.bins), total: s.total}
}

const sketchVersion = 1

// MarshalBinary encodes the sketch in one canonical form: a version byte (1),
// then for every bucket in ascending order its distance from the one before
// (from ZeroBucket for the first) and its count, as unsigned varints. An
// empty sketch is the version byte alone. The error is always nil.
func (s *Sketch) MarshalBinary() ([]byte, error) {
	var bins []bin
	if s != nil {
		bins = s.bins
	}
	out := make([]byte, 1, 1+4*len(bins))
	out[0] = sketchVersion
	last := int32(ZeroBucket)
	for _, b := range bins {
		out = binary.AppendUvarint(out, uint64(b.index-last))
		out = binary.AppendUvarint(out, uint64(b.n))
		last = b.index
	}
	return out, nil
}

// UnmarshalBinary replaces the sketch by an encoded one. An error wraps
// ErrCorrupt and leaves the sketch as it was.
func (s *Sketch) UnmarshalBinary(data []byte) error {
	if len(data) == 0 || data[0] != sketchVersion {
		return fmt.Errorf("sketch: no version %d header: %w", sketchVersion, ErrCorrupt)
	}
	data = data[1:]
	var read Sketch
	index := int64(ZeroBucket)
	for len(data) > 0 {
		step, a := binary.Uvarint(data)
		if a <= 0 || step > MaxBucket-ZeroBucket || (step == 0 && len(read.bins) > 0) {
			return fmt.Errorf("sketch: bad bucket after %d buckets: %w", len(read.bins), ErrCorrupt)
		}
		n, b := binary.Uvarint(data[a:])
		if b <= 0 || n == 0 || n > uint64(math.MaxInt64-read.total) {
			return fmt.Errorf("sketch: bad count after %d buckets: %w", len(read.bins), ErrCorrupt)
		}
		if index += int64(step); index > MaxBucket {
			return fmt.Errorf("sketch: bucket %d of at most %d: %w", index, MaxBucket, ErrCorrupt)
		}
		read.bins = append(read.bins, bin{int32(index), int64(n)})
		read.total += int64(n)
		data = data[a+b:]
	}
	*s = read
	return nil
}
