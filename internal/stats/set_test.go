package stats

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// spread is SplitMix64: even hashes from small numbers.
func spread(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func setOf(from, to uint64) *Set {
	var s Set
	for n := from; n < to; n++ {
		s.Add(spread(n))
	}
	return &s
}

func TestSetExactThenEstimated(t *testing.T) {
	var none *Set
	if none.Count() != 0 || !none.Exact() {
		t.Errorf("a nil set is not empty")
	}
	s := setOf(0, ExactLimit)
	if !s.Exact() || s.Count() != ExactLimit {
		t.Fatalf("not exact at the limit: %d", s.Count())
	}
	if s.Add(spread(3)) || !s.Exact() {
		t.Errorf("a member was counted twice")
	}
	if !s.Add(spread(ExactLimit)) || s.Exact() {
		t.Errorf("still exact beyond the limit")
	}
	if s.Add(spread(ExactLimit + 1)) {
		t.Errorf("an estimated set is certain of a new member")
	}
	for n := uint64(0); n < 400_000; n++ {
		s.Add(spread(n))
	}
	if got := float64(s.Count()); math.Abs(got/400_000-1) > 0.03 {
		t.Errorf("estimate %v of 400000", got)
	}
}

func TestSetEncoding(t *testing.T) {
	for _, s := range []*Set{{}, setOf(0, 100), setOf(0, ExactLimit), setOf(0, ExactLimit+5)} {
		data, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var r Set
		if err := r.UnmarshalBinary(data); err != nil {
			t.Fatal(err)
		}
		if r.Count() != s.Count() || r.Exact() != s.Exact() {
			t.Errorf("got %d exact %v want %d %v", r.Count(), r.Exact(), s.Count(), s.Exact())
		}
	}
}

func FuzzSet(f *testing.F) {
	for _, n := range []uint64{0, 1, 50} {
		data, _ := setOf(0, n).MarshalBinary()
		f.Add(data)
	}
	large, _ := setOf(0, ExactLimit+1).MarshalBinary()
	f.Add(large)
	f.Add([]byte{1, 1, 2, 14, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var s Set
		if err := s.UnmarshalBinary(data); err != nil {
			if !errors.Is(err, ErrCorrupt) || s.Count() != 0 {
				t.Fatalf("bad error %v", err)
			}
			return
		}
		again, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("decoding is not strict")
		}
		s.Add(1)
		s.Count()
	})
}
