package simulate

import (
	"time"

	"serin/internal/stats"
)

// tally is the test data of a counted metric.
type tally struct {
	done    [2]int // events taken in
	users   map[int64]counting
	stage   int     // that squares are of
	squares float64 // Σ x² over users, x = events of the stage
	cells   map[[2]int]*[2]int64
}

// counting is the stage in which a user counted last, and their events of it.
type counting struct{ stage, events int }

// cell is how many users of each arm counted in an interval who counted last in
// a stage, -1 = never.
func (t *tally) cell(interval, last int) *[2]int64 {
	k := [2]int{interval, last}
	if t.cells == nil {
		t.cells = map[[2]int]*[2]int64{}
	}
	if t.cells[k] == nil {
		t.cells[k] = new([2]int64)
	}
	return t.cells[k]
}

// tally is the test data of a metric: that of the first one which has the same
// events.
func (s *site) tally(m *model) *tally { return &s.tallies[m.same] }

// take counts the affected users of a metric up to an age.
func (s *site) take(m *model, to time.Duration) {
	if o := s.occupied[m.same]; o != nil {
		o.until(s, s.counted[m.same], to)
		return
	}
	t := s.tally(m)
	if t.users == nil {
		t.users = map[int64]counting{}
	}
	n := len(s.intervals) - 1
	stage := s.intervals[n].stage
	if t.stage != stage {
		t.stage, t.squares = stage, 0
	}
	for a := range s.tracks {
		tr := &s.tracks[a][m.same]
		for ; t.done[a] < len(tr.at) && tr.at[t.done[a]] <= to; t.done[a]++ {
			user := tr.user[t.done[a]]
			u, seen := t.users[user]
			if !seen {
				u.stage = -1
			}
			if u.stage < stage {
				t.cell(n, u.stage)[a]++
				u = counting{stage: stage}
			}
			t.squares += float64(2*u.events + 1)
			u.events++
			t.users[user] = u
		}
	}
}

// bursts is the design effect of the events of the present stage, until now: all
// of one user's are of one arm. Where users are not told apart it is that of an
// arm's events at random among its users, n + n(n-1)/users for the sum of squares.
func (s *site) bursts(m *model, now time.Duration) float64 {
	in := s.intervals[len(s.intervals)-1]
	var sum, squares float64
	for a := range s.tracks {
		if n := float64(s.countOf(m, arm(a), in.from, now)); n > 0 {
			sum, squares = sum+n, squares+n+n*(n-1)/float64(in.users[a])
		}
	}
	if m.kind == counted && s.occupied[m.same] == nil {
		s.take(m, now)
		squares = s.tally(m).squares
	}
	return stats.EventsPhi(squares, sum)
}
