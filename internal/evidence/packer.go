package evidence

import (
	"bytes"

	"github.com/klauspost/compress/s2"
)

// Bounds of the dictionary of a packer.
const (
	dictLoads = 16       // page loads that it is made of
	dictBytes = 16 << 10 // the most of their JSON
)

// packer compresses the contents of page loads. Each alone is too small to
// compress well, but the loads of one site are alike: the first few become a
// dictionary for all that follow (package s2, Dict), which makes them a third
// smaller again. What it makes stays in memory; the store gets plain JSON. The
// zero value is ready. One goroutine uses it at a time.
type packer struct {
	sample  bytes.Buffer // JSON of the first loads, until there is a dictionary
	sampled int
	dict    *s2.Dict
	buf     []byte // for reuse
}

// pack returns data compressed, in no more memory than it needs, and the
// dictionary to read it with; nil is none.
func (p *packer) pack(data []byte) ([]byte, *s2.Dict) {
	if p.dict == nil {
		p.learn(data)
	}
	if most := s2.MaxEncodedLen(len(data)); cap(p.buf) < most {
		p.buf = make([]byte, most)
	}
	buf := p.buf[:cap(p.buf)]
	if p.dict != nil {
		return bytes.Clone(p.dict.Encode(buf, data)), p.dict
	}
	return bytes.Clone(s2.EncodeBetter(buf, data)), nil
}

// learn collects what the dictionary is made of, and makes it once there is enough.
func (p *packer) learn(data []byte) {
	if p.sample.Len()+len(data) <= dictBytes {
		p.sample.Write(data)
	}
	if p.sampled++; p.sampled < dictLoads {
		return
	}
	if p.dict = s2.MakeDict(p.sample.Bytes(), nil); p.dict == nil { // too little to learn from
		p.sampled = 0
	}
	p.sample = bytes.Buffer{}
}

// unpack is the inverse of pack.
func unpack(packed []byte, dict *s2.Dict) ([]byte, error) {
	if dict != nil {
		return dict.Decode(nil, packed)
	}
	return s2.Decode(nil, packed)
}
