package stats

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func sketchOf(values ...float64) *Sketch {
	var s Sketch
	for _, v := range values {
		s.Add(v)
	}
	return &s
}

func TestBucketEdges(t *testing.T) {
	for i := MinBucket; i <= MaxBucket; i++ {
		if got := Bucket(Edge(i)); got != i {
			t.Fatalf("the upper edge of bucket %d falls into %d", i, got)
		}
		if got := Bucket(math.Nextafter(Edge(i), math.Inf(1))); got != min(i+1, MaxBucket) {
			t.Fatalf("just above bucket %d falls into %d", i, got)
		}
	}
	for v, want := range map[float64]int{
		0: ZeroBucket, -3: ZeroBucket, math.Inf(-1): ZeroBucket, math.Inf(1): MaxBucket,
		1e300: MaxBucket, 5e-324: MinBucket, math.NaN(): ZeroBucket,
	} {
		if got := Bucket(v); got != want {
			t.Errorf("Bucket(%v) = %d want %d", v, got, want)
		}
	}
}

func TestSketchZeroValues(t *testing.T) {
	var s Sketch
	var none *Sketch
	for _, e := range []*Sketch{&s, none} {
		if _, ok := e.Quantile(0.5); ok || e.Count() != 0 || e.Above(0) != 0 {
			t.Errorf("an empty sketch is not empty")
		}
	}
	s.Add(math.NaN())
	s.AddN(3, -1)
	s.Merge(nil)
	if s.Count() != 0 {
		t.Errorf("NaN, negative counts or nil were counted")
	}
	s.AddN(3, math.MaxInt64)
	s.Add(4)
	s.Merge(sketchOf(4, 5))
	if s.Count() != math.MaxInt64 {
		t.Errorf("counts overflow: %d", s.Count())
	}
}

func TestSketchQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0.01, 1e6), 1, 300).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		s := sketchOf(values...)
		slices.Sort(values)
		want := values[max(1, int(math.Ceil(q*float64(len(values)))))-1]
		got, ok := s.Quantile(q)
		if !ok || got < want*(1-1e-12) || got > want*Gamma*(1+1e-12) {
			t.Fatalf("quantile %v is %v, the value is %v", q, got, want)
		}
		bucket := Bucket(want)
		var above int64
		for _, v := range values {
			if v > Edge(bucket) {
				above++
			}
		}
		if s.Above(bucket) != above {
			t.Fatalf("above %d: got %d want %d", bucket, s.Above(bucket), above)
		}
	})
}

func TestSketchMergeIsAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Float64Range(-1, 1e7)).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		whole, left, right := sketchOf(values...), sketchOf(values[:cut]...), sketchOf(values[cut:]...)
		before, _ := right.MarshalBinary()
		left.Merge(right)
		a, _ := whole.MarshalBinary()
		b, _ := left.MarshalBinary()
		after, _ := right.MarshalBinary()
		if !bytes.Equal(a, b) {
			t.Fatalf("merge differs from adding: %x %x", a, b)
		}
		if !bytes.Equal(before, after) {
			t.Fatalf("merge changed its argument")
		}
		if c, _ := Merged([]*Sketch{sketchOf(values[:cut]...), nil, right, {}}).MarshalBinary(); !bytes.Equal(a, c) {
			t.Fatalf("merging all at once differs from adding: %x %x", a, c)
		}
		var read Sketch
		if err := read.UnmarshalBinary(a); err != nil {
			t.Fatal(err)
		}
		if c, _ := read.MarshalBinary(); !bytes.Equal(a, c) {
			t.Fatalf("does not round-trip")
		}
		copied := whole.Clone()
		copied.Add(7)
		if whole.Count() != int64(len(values)) {
			t.Fatalf("a clone shares its counts")
		}
	})
}

func FuzzSketch(f *testing.F) {
	seed, _ := sketchOf(0, 0.5, 12, 12, 1e9).MarshalBinary()
	f.Add(seed)
	f.Add([]byte{1})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Sketch
		if err := s.UnmarshalBinary(data); err != nil {
			if !errors.Is(err, ErrCorrupt) || s.Count() != 0 {
				t.Fatalf("bad error %v", err)
			}
			return
		}
		again, _ := s.MarshalBinary()
		var r Sketch
		if err := r.UnmarshalBinary(again); err != nil || r.Count() != s.Count() {
			t.Fatalf("does not round-trip: %v", err)
		}
		s.Merge(&r)
		s.Quantile(0.75)
	})
}

func BenchmarkSketchAdd(b *testing.B) {
	var s Sketch
	v := 1.0
	b.ReportAllocs()
	for b.Loop() {
		s.Add(v)
		if v *= 1.37; v > 1e5 {
			v = 3
		}
	}
}

// TestMergedSaturates: counts beyond what fits stay at the most, as with Merge.
func TestMergedSaturates(t *testing.T) {
	var a, b Sketch
	a.AddN(1, math.MaxInt64-1)
	b.AddN(2, 5)
	if got := Merged([]*Sketch{&a, &b}); got.Count() != math.MaxInt64 {
		t.Errorf("got %d", got.Count())
	}
	if got := Merged([]*Sketch{&b, &b}); got.Count() != 10 {
		t.Errorf("after that: got %d, want 10", got.Count())
	}
}
