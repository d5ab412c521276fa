package evidence

import (
	"slices"
	"sort"

	"serin/internal/stats"
)

// What is here keeps three days of a busy site small, and quick to read:
// minutes that can no longer change are cut down (cell.shrink), their users are
// kept by the hour, and sketches of hours are merged by spells.

// spellHours is how many hours are merged into one, for long windows.
const spellHours = 6

// age frees what cells need only while they may change; now is in Unix ms.
func (s *series) age(now int64) {
	keep := s.young[:0]
	for _, c := range s.young {
		if c.dirty || c.start()+youngMS > now {
			keep = append(keep, c)
		} else {
			s.hourAt(c.minute / 60).gather(c.shrink())
		}
	}
	clear(s.young[len(keep):])
	s.young = keep
}

// gather adds users to the distinct users of the hour.
func (h *hour) gather(users []cellUser) {
	if len(users) == 0 {
		return
	}
	more := make([]uint64, len(users))
	for i, u := range users {
		more[i] = u.hash
	}
	slices.Sort(more)
	all := make([]uint64, 0, len(h.users)+len(more))
	i := 0
	for _, u := range more { // merge: both are ascending, each without repetition
		for ; i < len(h.users) && h.users[i] < u; i++ {
			all = append(all, h.users[i])
		}
		if i == len(h.users) || h.users[i] != u {
			all = append(all, u)
		}
	}
	all = append(all, h.users[i:]...)
	if cap(all) > len(all)+len(all)/8 {
		all = slices.Clone(all)
	}
	h.users = all
}

// sketchesOf adds the sketches of hours, which follow each other in s, to a list;
// spells that are over and lie wholly among them are merged once.
func (s *series) sketchesOf(hours []*hour, list []*stats.Sketch) []*stats.Sketch {
	for len(hours) > 0 {
		spell, n := hours[0].index/spellHours, 1
		for n < len(hours) && hours[n].index/spellHours == spell {
			n++
		}
		these := make([]*stats.Sketch, n)
		for i, h := range hours[:n] {
			these[i] = h.sketch
		}
		if n > 1 && s.wholeSpell(spell, n) {
			if s.spells[spell] == nil {
				if s.spells == nil {
					s.spells = map[int64]*stats.Sketch{}
				}
				s.spells[spell] = stats.Merged(these)
			}
			list = append(list, s.spells[spell])
		} else {
			list = append(list, these...)
		}
		hours = hours[n:]
	}
	return list
}

// wholeSpell reports whether n hours are all that a spell will have.
func (s *series) wholeSpell(spell int64, n int) bool {
	i := sort.Search(len(s.hours), func(i int) bool { return s.hours[i].index >= spell*spellHours })
	j := sort.Search(len(s.hours), func(i int) bool { return s.hours[i].index >= (spell+1)*spellHours })
	return j < len(s.hours) && j-i == n
}

// usersPast counts distinct users of a window that ended before the newest
// event. Where an edge cuts an hour with busy and old minutes, their users are
// added up over the minutes, at most those of the hour.
func (s *series) usersPast(from, to int64) (n int64) {
	distinct := make(map[uint64]struct{})
	visit := func(c *cell) int64 {
		for _, u := range c.users {
			if at := c.start() + int64(u.offset); at > from && c.first <= to {
				distinct[u.hash] = struct{}{}
			}
		}
		return c.distinct
	}
	var of *hour // the hour of the cells in part
	var part int64
	flush := func() {
		if of != nil {
			n, part, of = n+min(part, int64(len(of.users))), 0, nil
		}
	}
	s.walk(from, to, func(h *hour) {
		for _, c := range h.cells {
			visit(c)
		}
		for _, u := range h.users {
			distinct[u] = struct{}{}
		}
	}, func(c *cell) {
		if h := s.hourAt(c.minute / 60); h != of {
			flush()
			of = h
		}
		part += visit(c)
	})
	flush()
	return n + int64(len(distinct))
}
