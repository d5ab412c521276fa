package flag

import "math/bits"

// hashState is murmur3_x86_32 (Austin Appleby, MurmurHash3.cpp) with hash
// seed 0, fed piece by piece. It is a value: copies go on by themselves, so
// the state after a constant prefix is computed once, and hashing allocates
// nothing. The zero value is ready.
type hashState struct {
	h    uint32 // after the whole blocks
	tail uint32 // bytes of the open block, the first lowest
	n    uint32 // bytes fed
}

const (
	murmurC1 = 0xcc9e2d51
	murmurC2 = 0x1b873593
)

func murmurBlock(h, k uint32) uint32 {
	h ^= bits.RotateLeft32(k*murmurC1, 15) * murmurC2
	return bits.RotateLeft32(h, 13)*5 + 0xe6546b64
}

// add feeds the UTF-8 bytes of text.
func (s hashState) add(text string) hashState {
	i := 0
	for ; s.n&3 != 0 && i < len(text); i++ {
		s = s.addByte(text[i])
	}
	h := s.h
	for ; i+4 <= len(text); i += 4 {
		b := text[i : i+4]
		h = murmurBlock(h, uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)
		s.n += 4
	}
	s.h = h
	for ; i < len(text); i++ {
		s = s.addByte(text[i])
	}
	return s
}

func (s hashState) addByte(c byte) hashState {
	s.tail |= uint32(c) << (8 * (s.n & 3))
	s.n++
	if s.n&3 == 0 {
		s.h, s.tail = murmurBlock(s.h, s.tail), 0
	}
	return s
}

// sum finishes a copy of the state.
func (s hashState) sum() uint32 {
	h := s.h
	if s.n&3 != 0 {
		h ^= bits.RotateLeft32(s.tail*murmurC1, 15) * murmurC2
	}
	h ^= s.n
	h ^= h >> 16
	h *= 0x85ebca6b
	h ^= h >> 13
	h *= 0xc2b2ae35
	return h ^ h>>16
}

// bucket maps the hash to 0 … total-1 (flagd's fractional, version 2).
func (s hashState) bucket(total uint64) uint64 { return uint64(s.sum()) * total >> 32 }
