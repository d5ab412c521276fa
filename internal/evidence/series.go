package evidence

import (
	"sort"

	"serin/internal/judge"
	"serin/internal/stats"
)

// youngMS is how long after its minute a cell may still change.
const youngMS = 15 * minuteMS

// openEnd is the end of a window that reaches to the newest event.
const openEnd = int64(1) << 62

// series is one metric of one group: its cells, grouped by the hour.
type series struct {
	sketched bool
	hours    []*hour // ascending
	last     map[uint64]*lastSeen
	peaks    map[int64]int64 // five-minute block -> distinct users
	young    []*cell         // cells that may still change
	newest   int64           // arrival of the newest event, Unix ms; 0 = none

	// Where the last sample went: most go to the same cell as the one before.
	lastHour *hour
	lastCell *cell

	spells map[int64]*stats.Sketch // merged hours of spells that are over, made when read
}

// lastSeen is where the newest event of a user is.
type lastSeen struct {
	cell *cell
	at   int64
	i    int // the user's place in cell.users, when it was seen there
}

// hour is the roll-up of its cells.
type hour struct {
	index       int64 // Unix hours
	first, last int64
	count       int64
	sum         float64
	latest      int64
	sketch      *stats.Sketch
	cells       []*cell  // ascending by minute, attempt, interval
	users       []uint64 // ascending: distinct users of cells whose list was cut
}

func (s *series) hourAt(index int64) *hour {
	if n := len(s.hours); n > 0 && s.hours[n-1].index == index {
		return s.hours[n-1]
	}
	i := sort.Search(len(s.hours), func(i int) bool { return s.hours[i].index >= index })
	if i < len(s.hours) && s.hours[i].index == index {
		return s.hours[i]
	}
	h := &hour{index: index}
	s.hours = append(s.hours, nil)
	copy(s.hours[i+1:], s.hours[i:])
	s.hours[i] = h
	return h
}

func (c *cell) before(minute int64, attempt, interval int) bool {
	if c.minute != minute {
		return c.minute < minute
	}
	if c.attempt != attempt {
		return c.attempt < attempt
	}
	return c.interval < interval
}

// cellAt finds or makes a cell.
func (s *series) cellAt(minute int64, attempt, interval int) (*hour, *cell) {
	if c := s.lastCell; c != nil && c.minute == minute && c.attempt == attempt && c.interval == interval {
		return s.lastHour, c
	}
	s.lastHour, s.lastCell = s.findCell(minute, attempt, interval)
	return s.lastHour, s.lastCell
}

func (s *series) findCell(minute int64, attempt, interval int) (*hour, *cell) {
	h := s.hourAt(minute / 60)
	i := len(h.cells)
	for i > 0 && !h.cells[i-1].before(minute, attempt, interval) {
		i--
	}
	if i < len(h.cells) {
		if c := h.cells[i]; c.minute == minute && c.attempt == attempt && c.interval == interval {
			return h, c
		}
	}
	c := &cell{minute: minute, attempt: attempt, interval: interval}
	h.cells = append(h.cells, nil)
	copy(h.cells[i+1:], h.cells[i:])
	h.cells[i] = c
	s.young = append(s.young, c)
	return h, c
}

// sample is one event as a series sees it.
type sample struct {
	at       int64 // arrival, Unix ms
	n        int64 // events it stands for, each of value
	value    float64
	measured bool   // value counts in sum and sketch
	user     uint64 // hash, 0 = none
}

// add counts one sample and returns its cell.
func (s *series) add(attempt, interval int, v sample) *cell {
	c, _ := s.put(attempt, interval, v)
	return c
}

// put is add; again reports whether the newest event of the sample's user was
// in the cell already.
func (s *series) put(attempt, interval int, v sample) (c *cell, again bool) {
	h, c := s.cellAt(v.at/minuteMS, attempt, interval)
	c.touch(v.at, v.n)
	s.rollUp(h, v.at)
	if len(s.spells) > 0 {
		delete(s.spells, h.index/spellHours)
	}
	h.count += v.n
	if v.measured {
		c.sum += v.value * float64(v.n)
		h.sum += v.value * float64(v.n)
		if s.sketched {
			if c.packed != nil { // a late event, into an old minute
				c.open()
				s.young = append(s.young, c)
			}
			if c.sketch == nil {
				c.sketch = new(stats.Sketch)
			}
			c.sketch.AddN(v.value, v.n)
			if h.sketch == nil {
				h.sketch = new(stats.Sketch)
			}
			h.sketch.AddN(v.value, v.n)
		}
	}
	if v.user != 0 {
		again = s.see(c, v.user, v.at)
	}
	return c, again
}

// see notes a user in c, which is the cell of at, and reports whether that is
// where the user's newest event was before.
func (s *series) see(c *cell, user uint64, at int64) (again bool) {
	prev := s.last[user]
	if prev == nil || prev.cell != c || prev.i >= len(c.users) || c.users[prev.i].hash != user {
		i := c.see(user, at)
		s.seen(prev, c, user, at, i)
		return false
	}
	if at > prev.at { // of the same minute: no other block, no other cell
		prev.at = at
		c.users[prev.i].offset = uint16(at - c.start())
	}
	return true
}

func addTo(s *stats.Sketch, v float64) *stats.Sketch {
	if s == nil {
		s = new(stats.Sketch)
	}
	s.Add(v)
	return s
}

func (s *series) rollUp(h *hour, at int64) {
	if h.first == 0 || at < h.first {
		h.first = at
	}
	h.last = max(h.last, at)
	s.newest = max(s.newest, at)
}

// seen moves a user's newest event, which was at prev, to c, where the user
// has place i.
func (s *series) seen(prev *lastSeen, c *cell, user uint64, at int64, i int) {
	if s.last == nil {
		s.last, s.peaks = make(map[uint64]*lastSeen), make(map[int64]int64)
	}
	if prev == nil || prev.at/blockMS < at/blockMS {
		s.peaks[at/blockMS]++
	}
	if prev == nil {
		prev = &lastSeen{}
		s.last[user] = prev
	} else if prev.at > at {
		return
	} else {
		prev.cell.latest--
		s.hourAt(prev.cell.minute/60).latest--
	}
	*prev = lastSeen{c, at, i}
	c.latest++
	s.hourAt(c.minute/60).latest++
}

// load puts a stored cell back; cells come oldest first. now is in Unix ms.
func (s *series) load(c *cell, now int64) {
	h := s.hourAt(c.minute / 60)
	h.cells = append(h.cells, c)
	s.rollUp(h, c.first)
	s.rollUp(h, c.last)
	h.count += c.count
	h.sum += c.sum
	if c.sketch != nil {
		if h.sketch == nil {
			h.sketch = new(stats.Sketch)
		}
		h.sketch.Merge(c.sketch)
	}
	for i, u := range c.users {
		s.seen(s.last[u.hash], c, u.hash, c.start()+int64(u.offset), i)
	}
	if c.start()+youngMS <= now {
		h.gather(c.shrink())
		return
	}
	c.index = make(map[uint64]int, len(c.users))
	for i, u := range c.users {
		c.index[u.hash] = i
	}
	s.young = append(s.young, c)
}

// replace takes the value old out of a cell and puts value in its place; it
// returns the cell, nil when it can no longer be changed.
func (s *series) replace(minute int64, attempt, interval int, old, value float64) *cell {
	i := sort.Search(len(s.hours), func(i int) bool { return s.hours[i].index >= minute/60 })
	if i == len(s.hours) || s.hours[i].index != minute/60 {
		return nil
	}
	h := s.hours[i]
	for _, c := range h.cells {
		if c.minute != minute || c.attempt != attempt || c.interval != interval || c.cut || s.sketched && c.values() == nil {
			continue
		}
		c.open()
		c.sum += value - old
		h.sum += value - old
		if s.sketched {
			c.sketch, h.sketch = swap(c.sketch, old, value), swap(h.sketch, old, value)
			delete(s.spells, h.index/spellHours)
		}
		c.dirty = true
		s.young = append(s.young, c)
		return c
	}
	return nil
}

// swap returns s with one value in the bucket of old replaced by value.
func swap(s *stats.Sketch, old, value float64) *stats.Sketch {
	out, gone := new(stats.Sketch), stats.Bucket(old)
	s.Each(func(bucket int, n int64) {
		if bucket == gone {
			n--
		}
		out.AddN(stats.Edge(bucket), n)
	})
	out.Add(value)
	return out
}

// count returns the events in (from, to].
func (s *series) countIn(from, to int64) (n int64) {
	s.walk(from, to, func(h *hour) { n += h.count }, func(c *cell) { n += c.countIn(from, to) })
	return n
}

// walk visits whole hours inside (from, to] and the cells of the others that
// may reach into it.
func (s *series) walk(from, to int64, whole func(*hour), part func(*cell)) {
	i := sort.Search(len(s.hours), func(i int) bool { return (s.hours[i].index+1)*hourMS > from })
	for _, h := range s.hours[i:] {
		switch {
		case h.index*hourMS > to:
			return
		case h.first > from && h.last <= to:
			whole(h)
		default:
			for _, c := range h.cells {
				if c.last > from && c.first <= to {
					part(c)
				}
			}
		}
	}
}

// window reads the whole window. The sketch and the sum take only cells that
// lie wholly inside; counts and users are exact at the edges (see cell).
func (s *series) window(from, to int64) judge.Window {
	var w judge.Window
	if s == nil {
		return w
	}
	if to >= s.newest {
		to = openEnd
	}
	var last int64
	var hours []*hour
	var sketches []*stats.Sketch
	s.walk(from, to, func(h *hour) {
		w.Count, w.Sum, w.Users = w.Count+h.count, w.Sum+h.sum, w.Users+h.latest
		if h.sketch != nil {
			hours = append(hours, h)
		}
		last = max(last, h.last)
	}, func(c *cell) {
		n := c.countIn(from, to)
		w.Count += n
		if n > 0 {
			last = max(last, min(c.last, to))
		}
		if n == c.count {
			w.Sum += c.sum
			sketches = append(sketches, c.values())
		} else if c.count > 0 && !s.sketched {
			w.Sum += c.sum * float64(n) / float64(c.count)
		}
		w.Users += s.usersIn(c, from, to)
	})
	w.Sketch = stats.Merged(s.sketchesOf(hours, sketches))
	if to != openEnd {
		w.Users = s.usersPast(from, to)
	}
	w.Known, w.Last = w.Count > 0, fromMS(last)
	if w.Sketch.Count() == 0 {
		w.Sketch = nil
	}
	return w
}

// usersIn counts the users whose newest event is in c and after from.
func (s *series) usersIn(c *cell, from, to int64) (n int64) {
	if c.first > from && c.last <= to {
		return c.latest
	}
	for _, u := range c.users {
		if l := s.last[u.hash]; l != nil && l.cell == c && l.at > from && l.at <= to {
			n++
		}
	}
	if c.cut { // an old, busy minute: spread evenly
		n = c.latest * c.countIn(from, to) / max(c.count, 1)
	}
	return n
}

// peak is the highest five-minute count of distinct users that began in (from, to].
func (s *series) peak(from, to int64) (best int64) {
	if s == nil || len(s.hours) == 0 {
		return 0
	}
	from = max(from, s.hours[0].first-blockMS)
	for b := (from + blockMS - 1) / blockMS; b <= to/blockMS && b <= s.newest/blockMS; b++ {
		best = max(best, s.peaks[b])
	}
	return best
}

// heard is when the newest event of a user arrived, Unix ms; 0 = never.
func (s *series) heard(user uint64) int64 {
	if l := s.last[user]; l != nil {
		return l.at
	}
	return 0
}
