package evidence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"serin/internal/stats"
)

// Bounds of one cell.
const (
	// maxOffsets is how many arrival offsets a cell keeps, so that the edge of
	// a window can pass through it exactly. What comes after is spread evenly.
	maxOffsets = 64
	// agedOffsets is how many offsets and users a cell may keep once it can no
	// longer change: rare events stay exact, of others an edge spreads the minute.
	agedOffsets = 16
	// maxCellUsers is how many distinct users of one minute are kept in a cell.
	maxCellUsers = 100_000
)

const (
	minuteMS = 60_000
	hourMS   = 60 * minuteMS
	blockMS  = 5 * minuteMS
)

// cellUser is a user who was seen in a cell, and the offset of the last time.
type cellUser struct {
	hash   uint64
	offset uint16
}

// cell is one minute of one series within one allocation interval.
type cell struct {
	attempt, interval int
	minute            int64 // Unix minutes
	first, last       int64 // arrival, Unix ms
	count             int64
	sum               float64
	sketch            *stats.Sketch
	packed            []byte   // the sketch of an aged cell, encoded
	offsets           []uint16 // ms within the minute, ascending, of the first events
	users             []cellUser
	distinct          int64 // users, once their list was cut
	cut               bool  // users was cut in memory: not to be encoded again

	// latest is the number of users whose newest event in the series is here.
	latest int64
	index  map[uint64]int // position in users, while the cell is young
	dirty  bool
	queued bool // among the dirtyCells of its rollout
}

func (c *cell) start() int64 { return c.minute * minuteMS }

// countIn returns the number of events in (from, to], Unix ms.
func (c *cell) countIn(from, to int64) int64 {
	if c.first > from && c.last <= to {
		return c.count
	}
	if c.last <= from || c.first > to {
		return 0
	}
	lo := sort.Search(len(c.offsets), func(i int) bool { return c.start()+int64(c.offsets[i]) > from })
	hi := sort.Search(len(c.offsets), func(i int) bool { return c.start()+int64(c.offsets[i]) > to })
	n := int64(max(hi-lo, 0))
	rest := c.count - int64(len(c.offsets))
	if rest <= 0 {
		return n
	}
	begin := c.first
	if len(c.offsets) > 0 {
		begin = c.start() + int64(c.offsets[len(c.offsets)-1])
	}
	overlap := min(c.last, to) - max(begin, from)
	if whole := c.last - begin; whole > 0 && overlap > 0 {
		n += int64(math.Round(float64(rest) * float64(overlap) / float64(whole)))
	} else if whole <= 0 && begin > from && begin <= to {
		n += rest
	}
	return n
}

// touch notes an event of n units at arrival at.
func (c *cell) touch(at, n int64) {
	if c.count == 0 || at < c.first {
		c.first = at
	}
	c.last = max(c.last, at)
	c.count += n
	c.dirty = true
	if len(c.offsets) < maxOffsets && n == 1 {
		off := uint16(at - c.start())
		i := sort.Search(len(c.offsets), func(i int) bool { return c.offsets[i] > off })
		c.offsets = append(c.offsets, 0)
		copy(c.offsets[i+1:], c.offsets[i:])
		c.offsets[i] = off
	}
}

// see notes that a user was active in the cell at arrival at, and returns the
// user's place in users; a large number where there was no room.
func (c *cell) see(hash uint64, at int64) int {
	off := uint16(at - c.start())
	if i, ok := c.index[hash]; ok {
		c.users[i].offset = max(c.users[i].offset, off)
		return i
	}
	if len(c.users) >= maxCellUsers {
		return maxCellUsers
	}
	if c.index == nil {
		c.index = make(map[uint64]int)
	}
	c.index[hash] = len(c.users)
	c.users = append(c.users, cellUser{hash, off})
	return len(c.users) - 1
}

// shrink frees what only a cell that can still change needs, and returns the
// users whose list it cut.
func (c *cell) shrink() (cut []cellUser) {
	c.index = nil
	if c.offsets = slices.Clip(c.offsets); len(c.offsets) > agedOffsets {
		c.offsets = nil
	}
	if len(c.users) > agedOffsets {
		cut, c.distinct, c.cut = c.users, int64(len(c.users)), true
		c.users = nil
	}
	if c.sketch != nil {
		if data, err := c.sketch.MarshalBinary(); err == nil {
			c.packed, c.sketch = slices.Clip(data), nil
		}
	}
	return cut
}

// values is the cell's sketch, nil if it has none. It is not to be changed.
func (c *cell) values() *stats.Sketch {
	if c.packed == nil {
		return c.sketch
	}
	s := new(stats.Sketch)
	if err := s.UnmarshalBinary(c.packed); err != nil {
		panic("evidence: own sketch cannot be read: " + err.Error()) // shrink wrote it
	}
	return s
}

// open makes the cell changeable again.
func (c *cell) open() {
	c.sketch, c.packed = c.values(), nil
}

const cellVersion = 1

// encode writes the cell as docs/formats/evidence.md describes.
func (c *cell) encode() ([]byte, error) {
	b := make([]byte, 0, 32+3*len(c.offsets)+11*len(c.users))
	b = append(b, cellVersion)
	b = binary.AppendUvarint(b, uint64(c.count))
	b = binary.AppendUvarint(b, uint64(max(c.first-c.start(), 0)))
	b = binary.AppendUvarint(b, uint64(max(c.last-c.start(), 0)))
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(c.sum))
	b = binary.AppendUvarint(b, uint64(len(c.offsets)))
	for _, o := range c.offsets {
		b = binary.AppendUvarint(b, uint64(o))
	}
	b = binary.AppendUvarint(b, uint64(len(c.users)))
	for _, u := range c.users {
		b = binary.LittleEndian.AppendUint64(b, u.hash)
		b = binary.AppendUvarint(b, uint64(u.offset))
	}
	if c.packed != nil {
		return append(b, c.packed...), nil
	}
	if c.sketch == nil {
		return b, nil
	}
	s, err := c.sketch.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode sketch: %w", err)
	}
	return append(b, s...), nil
}

// errCell is wrapped by every decoding error of this package.
var errCell = errors.New("corrupt evidence row")

// decodeCell reads what encode wrote; the key fields are the caller's.
func decodeCell(c *cell, data []byte) error {
	r := reader{data: data}
	if v := r.byte(); v != cellVersion && r.err == nil {
		return fmt.Errorf("%w: version %d of a cell", errCell, v)
	}
	c.count = int64(r.uvarint())
	c.first = c.start() + r.offset()
	c.last = c.start() + r.offset()
	c.sum = math.Float64frombits(r.uint64())
	n := r.length(1)
	c.offsets = make([]uint16, n)
	for i := range c.offsets {
		c.offsets[i] = uint16(r.offset())
	}
	n = r.length(9)
	c.users = make([]cellUser, n)
	for i := range c.users {
		c.users[i] = cellUser{r.uint64(), uint16(r.offset())}
	}
	if r.err != nil {
		return r.err
	}
	if len(r.data) > 0 {
		c.sketch = new(stats.Sketch)
		if err := c.sketch.UnmarshalBinary(r.data); err != nil {
			return fmt.Errorf("%w: %w", errCell, err)
		}
	}
	return nil
}

// reader takes values off the front of data until the first error.
type reader struct {
	data []byte
	err  error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w: it ends too early", errCell)
	}
	r.data = nil
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.fail()
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) uint64() uint64 {
	if len(r.data) < 8 {
		r.fail()
		return 0
	}
	v := binary.LittleEndian.Uint64(r.data)
	r.data = r.data[8:]
	return v
}

// offset reads milliseconds within a minute.
func (r *reader) offset() int64 {
	v := r.uvarint()
	if v >= minuteMS {
		r.fail()
		return 0
	}
	return int64(v)
}

// length reads a number of elements of at least size bytes each.
func (r *reader) length(size int) int {
	v := r.uvarint()
	if v > uint64(len(r.data)/size) {
		r.fail()
		return 0
	}
	return int(v)
}
