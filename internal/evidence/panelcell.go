package evidence

import (
	"encoding/binary"
	"fmt"
	"math"

	"serin/internal/stats"
)

// panelCell is one step of one group of a panel.
type panelCell struct {
	n        int64 // records found
	fresh    int64 // of these, known to be of the new variant
	all      int64 // of what shares are told of, n among them
	measured int64 // of n, with a value
	sum      float64
	users    distinct
	sketch   *stats.Sketch

	packed []byte // all of it, encoded: the fields above are then empty
	dirty  bool
}

// panelCellFormat is the first byte of an encoded step; see docs/formats/evidence.md.
const panelCellFormat = 1

// encode is the step as stored: format, n, fresh, all and measured as
// uvarints, sum as eight bytes, the registers of users that are not zero
// (their number, then the distance to the last and the rank of each), and the
// length and bytes of the sketch.
func (c *panelCell) encode() []byte {
	if c.packed != nil {
		return c.packed
	}
	out := []byte{panelCellFormat}
	for _, v := range [...]int64{c.n, c.fresh, c.all, c.measured} {
		out = binary.AppendUvarint(out, uint64(v))
	}
	out = binary.BigEndian.AppendUint64(out, math.Float64bits(c.sum))
	set := 0
	for _, rank := range c.users {
		if rank > 0 {
			set++
		}
	}
	out = binary.AppendUvarint(out, uint64(set))
	last := -1
	for i, rank := range c.users {
		if rank > 0 {
			out = append(binary.AppendUvarint(out, uint64(i-last-1)), rank)
			last = i
		}
	}
	var sketch []byte
	if c.sketch != nil {
		sketch, _ = c.sketch.MarshalBinary() // it cannot fail: see stats.Sketch
	}
	out = binary.AppendUvarint(out, uint64(len(sketch)))
	return append(out, sketch...)
}

// pack keeps the step encoded.
func (c *panelCell) pack() {
	if c.packed != nil || c.dirty {
		return
	}
	*c = panelCell{packed: c.encode()}
}

// open makes the fields readable and changeable.
func (c *panelCell) open() {
	if c.packed == nil {
		return
	}
	in, err := decodePanelCell(c.packed)
	if err != nil { // never: check has read it
		in = panelCell{}
	}
	in.dirty = c.dirty
	*c = in
}

// check reports whether a stored step can be read.
func (c *panelCell) check() error {
	_, err := decodePanelCell(c.packed)
	return err
}

func decodePanelCell(data []byte) (c panelCell, err error) {
	bad := func(what string) (panelCell, error) {
		return panelCell{}, fmt.Errorf("%w: %s of a panel's step", errCell, what)
	}
	if len(data) == 0 || data[0] != panelCellFormat {
		return bad("format")
	}
	data = data[1:]
	next := func() (uint64, bool) {
		v, n := binary.Uvarint(data)
		if n <= 0 || v > math.MaxInt64 {
			return 0, false
		}
		data = data[n:]
		return v, true
	}
	for _, field := range [...]*int64{&c.n, &c.fresh, &c.all, &c.measured} {
		v, ok := next()
		if !ok {
			return bad("count")
		}
		*field = int64(v)
	}
	if len(data) < 8 {
		return bad("sum")
	}
	c.sum, data = math.Float64frombits(binary.BigEndian.Uint64(data)), data[8:]
	set, ok := next()
	if !ok || set > 1<<distinctBits {
		return bad("users")
	}
	if set > 0 {
		c.users = make(distinct, 1<<distinctBits)
	}
	for at := -1; set > 0; set-- {
		gap, ok := next()
		if !ok || len(data) == 0 || gap >= 1<<distinctBits {
			return bad("users")
		}
		if at += int(gap) + 1; at >= len(c.users) {
			return bad("users")
		}
		c.users[at], data = data[0], data[1:]
	}
	size, ok := next()
	if !ok || size != uint64(len(data)) || !c.users.valid() {
		return bad("sketch")
	}
	if size > 0 {
		c.sketch = new(stats.Sketch)
		if err := c.sketch.UnmarshalBinary(data); err != nil {
			return panelCell{}, fmt.Errorf("%w: %w", errCell, err)
		}
	}
	return c, nil
}

// plus is the sum of two steps; neither is changed.
func (c panelCell) plus(o panelCell) panelCell {
	out := panelCell{n: c.n + o.n, fresh: c.fresh + o.fresh, all: c.all + o.all, measured: c.measured + o.measured, sum: c.sum + o.sum,
		users: c.users.merge(o.users), sketch: c.sketch}
	if o.sketch != nil {
		if out.sketch == nil {
			out.sketch = new(stats.Sketch)
		} else {
			out.sketch = out.sketch.Clone()
		}
		out.sketch.Merge(o.sketch)
	}
	return out
}
