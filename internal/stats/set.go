package stats

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/axiomhq/hyperloglog"
)

// ExactLimit is the number of members up to which a Set is exact.
const ExactLimit = 100_000

// hllPrecision gives 2^14 registers, 16 KB and a standard error of 0.81 %.
const hllPrecision = 14

// Set counts distinct members by their 64-bit hashes, which must be evenly
// distributed (murmur3, SipHash, the head of a SHA-256). It is exact up to
// ExactLimit and a HyperLogLog with 2^14 registers beyond (Heule, Nunkesser,
// Hall, "HyperLogLog in Practice", EDBT 2013). The zero value is empty and
// ready to use. A Set may be read by many goroutines, but not while one
// changes it. A nil *Set reads as an empty one.
type Set struct {
	exact map[uint64]struct{}
	hll   *hyperloglog.Sketch // non-nil: beyond the limit, exact is nil
}

// Add puts h into the set and reports whether it is certain to be new. Beyond
// the exact limit nothing is certain and Add returns false.
func (s *Set) Add(h uint64) bool {
	if s.hll != nil {
		s.hll.InsertHash(h)
		return false
	}
	if _, ok := s.exact[h]; ok {
		return false
	}
	if s.exact == nil {
		s.exact = make(map[uint64]struct{})
	}
	s.exact[h] = struct{}{}
	if len(s.exact) > ExactLimit {
		s.estimate()
	}
	return true
}

// Remove takes h out of the set and reports whether it was there. Beyond the
// exact limit it is not known who is in the set: nothing changes.
func (s *Set) Remove(h uint64) bool {
	_, ok := s.exact[h]
	delete(s.exact, h)
	return ok
}

// estimate turns the set into its estimated form.
func (s *Set) estimate() {
	if s.hll != nil {
		return
	}
	s.hll = hyperloglog.NewNoSparse()
	for h := range s.exact {
		s.hll.InsertHash(h)
	}
	s.exact = nil
}

// Count returns the number of distinct members: exact, or estimated within
// about 2 % and then always above ExactLimit.
func (s *Set) Count() int64 {
	switch {
	case s == nil:
		return 0
	case s.hll == nil:
		return int64(len(s.exact))
	}
	return max(int64(s.hll.Estimate()), ExactLimit+1)
}

// Exact reports whether Count is exact.
func (s *Set) Exact() bool { return s == nil || s.hll == nil }

const (
	setVersion = 1
	setExact   = 0
	setHLL     = 1
	// hllSize is the encoded size: a header of 8 bytes and a byte per register.
	hllSize = 8 + 1<<hllPrecision
)

// MarshalBinary encodes the set in one canonical form: a version byte (1) and
// a kind, then either (kind 0) the hashes in ascending order, 8 bytes each,
// big endian, or (kind 1) the dense form of the HyperLogLog library.
func (s *Set) MarshalBinary() ([]byte, error) {
	if s == nil {
		return []byte{setVersion, setExact}, nil
	}
	if s.hll != nil {
		out, err := s.hll.AppendBinary([]byte{setVersion, setHLL})
		if err != nil {
			return nil, fmt.Errorf("encode set: %w", err)
		}
		return out, nil
	}
	out := make([]byte, 2, 2+8*len(s.exact))
	out[0], out[1] = setVersion, setExact
	for _, h := range slices.Sorted(maps.Keys(s.exact)) {
		out = binary.BigEndian.AppendUint64(out, h)
	}
	return out, nil
}

// UnmarshalBinary replaces the set by an encoded one. An error wraps
// ErrCorrupt and leaves the set as it was.
func (s *Set) UnmarshalBinary(data []byte) error {
	if len(data) < 2 || data[0] != setVersion || data[1] > setHLL {
		return fmt.Errorf("set: no version %d header: %w", setVersion, ErrCorrupt)
	}
	if data[1] == setHLL {
		return s.readHLL(data[2:])
	}
	return s.readExact(data[2:])
}

func (s *Set) readExact(body []byte) error {
	if len(body)%8 != 0 || len(body)/8 > ExactLimit {
		return fmt.Errorf("set: %d bytes of hashes: %w", len(body), ErrCorrupt)
	}
	read := make(map[uint64]struct{}, len(body)/8)
	for last := uint64(0); len(body) > 0; body = body[8:] {
		h := binary.BigEndian.Uint64(body)
		if h <= last && len(read) > 0 {
			return fmt.Errorf("set: hashes out of order after %d: %w", len(read), ErrCorrupt)
		}
		read[h], last = struct{}{}, h
	}
	s.exact, s.hll = read, nil
	return nil
}

func (s *Set) readHLL(body []byte) error {
	if len(body) != hllSize || body[1] != hllPrecision || body[3] != 0 {
		return fmt.Errorf("set: not a dense sketch of precision %d: %w", hllPrecision, ErrCorrupt)
	}
	var h hyperloglog.Sketch
	if err := h.UnmarshalBinary(body); err != nil {
		return fmt.Errorf("set: %w: %w", ErrCorrupt, err)
	}
	s.exact, s.hll = nil, &h
	return nil
}
