package statbench

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/stats"
)

// The arms, as indices.
const (
	fresh = iota
	old
)

// slot is what happened in five minutes.
type slot struct {
	units    [2]int32 // affected users, or incidents of users who err again, by arm
	events   [2]int32
	p1       int32 // events of the new arm that are p1
	from, to int32 // of world.who; the same = users who err once
}

// world is one run of a plan: what its users met, made slot by slot, and all
// judges look at the same.
type world struct {
	*course
	rng    *rand.Rand
	wave   *week
	crowd  crowd
	perDay float64 // incidents of control at 100 %
	theta  float64 // factor of the incidents of the new arm
	onset  int     // slot from which on theta holds; before it is 1

	slots   []slot
	who     []int32 // users of incidents, slot after slot
	keys    uint64  // by which users are placed
	stage   int
	tallies []*tally
	stamp   []int32 // by user: the last count of distinct users he was seen in
	stamps  int32
}

// traffic is what makes a world.
type traffic struct {
	wave   *week
	crowd  crowd
	perDay float64
	theta  float64
	onset  int
}

// site is traffic of so many page views a day.
func site(s shape, views float64, c crowd, theta float64) traffic {
	errors, _ := s.waves()
	return traffic{wave: errors, crowd: c, perDay: views * errorsPerView, theta: theta}
}

func newWorld(c *course, t traffic, rng *rand.Rand, tallies ...*tally) *world {
	w := &world{course: c, rng: rng, wave: t.wave, crowd: t.crowd, perDay: t.perDay, theta: t.theta, onset: t.onset, keys: rng.Uint64(), tallies: tallies}
	w.slots = make([]slot, 0, len(c.checks))
	if t.crowd.users > 0 {
		w.stamp = make([]int32, t.crowd.users)
	}
	for _, y := range tallies {
		y.begin(len(c.stages), t.crowd.users)
	}
	return w
}

// place is the position of a user's hash: new while below the share.
func (w *world) place(user int32) float64 {
	x := w.keys + uint64(user)*0x9e3779b97f4a7c15 // SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return float64((x^x>>31)>>11) / (1 << 53)
}

// arm is that of a user at the present share.
func (w *world) arm(user int32) int {
	if w.place(user) < w.leg().share {
		return fresh
	}
	return old
}

func (w *world) leg() leg { return w.stages[w.stage] }

// now is how many slots have passed.
func (w *world) now() int { return len(w.slots) }

func (w *world) over() bool { return w.now() == len(w.checks) }

// due reports whether a check is due at the end of the last slot.
func (w *world) due() bool { return w.checks[w.now()-1] }

// step makes the next slot.
func (w *world) step() {
	at := w.now()
	for at >= w.leg().to {
		w.stage++
	}
	theta := w.theta
	if at < w.onset {
		theta = 1
	}
	mean := w.perDay / float64(slotsADay) * w.wave[at%len(w.wave)]
	s := slot{from: int32(len(w.who)), to: int32(len(w.who))}
	if w.crowd.users == 0 {
		w.strangers(&s, mean, theta)
	} else {
		w.regulars(&s, mean, theta)
	}
	w.slots = append(w.slots, s)
}

// p1Share is how many events are of the gravest kind.
const p1Share = 0.01

// strangers are users who err once in their life.
func (w *world) strangers(s *slot, mean, theta float64) {
	share := w.leg().share
	s.units = [2]int32{int32(poisson(w.rng, mean*share*theta)), int32(poisson(w.rng, mean*(1-share)))}
	s.events = s.units
	for range s.units[fresh] {
		if w.rng.Float64() < p1Share {
			s.p1++
		}
	}
	for _, y := range w.tallies {
		c := &y.cells[w.stage][0]
		c[fresh], c[old] = c[fresh]+int64(s.units[fresh]), c[old]+int64(s.units[old])
	}
}

// regulars are the incidents of users who may have erred before. Those of the
// arm with less are thinned out.
func (w *world) regulars(s *slot, mean, theta float64) {
	most := max(theta, 1)
	for range poisson(w.rng, mean*most) {
		user := w.crowd.pick(w.rng)
		n := w.crowd.events(w.rng)
		arm := w.arm(user)
		if arm == fresh && w.rng.Float64()*most >= theta || arm == old && w.rng.Float64()*most >= 1 {
			continue
		}
		w.who = append(w.who, user)
		s.units[arm]++
		s.events[arm] += n
		for range n {
			if arm == fresh && w.rng.Float64() < p1Share {
				s.p1++
			}
		}
		for _, y := range w.tallies {
			y.count(w.stage, user, arm, n)
		}
	}
	s.to = int32(len(w.who))
}

// affected are the distinct users with an event in slots [from, to).
func (w *world) affected(from, to int) (n [2]int64) {
	from = max(from, w.leg().from) // the judge cuts windows to the interval; so do the others
	w.stamps++
	for i := from; i < to; i++ {
		s := &w.slots[i]
		if s.from == s.to {
			n[fresh], n[old] = n[fresh]+int64(s.units[fresh]), n[old]+int64(s.units[old])
			continue
		}
		for _, user := range w.who[s.from:s.to] {
			if w.stamp[user] != w.stamps {
				w.stamp[user] = w.stamps
				n[w.arm(user)]++
			}
		}
	}
	return n
}

// counting is how a tally counts users: once per start, which is right, or in a
// way that breaks it.
type counting int

const (
	oncePerStart counting = iota
	everyEvent            // every event a unit
	oncePerAttempt
)

// tally is the test data of counts, as the engine keeps them: for each user the
// last stage in which he counted.
type tally struct {
	how   counting
	last  []int8
	cells [][][2]int64 // [stage][last+1], by arm
}

func (y *tally) begin(stages, users int) {
	y.last = make([]int8, users)
	for i := range y.last {
		y.last[i] = -1
	}
	y.cells = make([][][2]int64, stages)
	for i := range y.cells {
		y.cells[i] = make([][2]int64, stages)
	}
}

// count takes an incident of n events in.
func (y *tally) count(stage int, user int32, arm int, n int32) {
	last := int(y.last[user])
	switch {
	case y.how == everyEvent:
		y.cells[stage][0][arm] += int64(n)
		return
	case last == stage, y.how == oncePerAttempt && last >= 0:
		return
	}
	y.cells[stage][last+1][arm]++
	y.last[user] = int8(stage)
}

// userCells is the tally as the judge reads it.
func (y *tally) userCells() []stats.UserCell {
	var out []stats.UserCell
	for stage, row := range y.cells {
		for l, n := range row {
			if n != [2]int64{} {
				out = append(out, stats.UserCell{Interval: stage, Last: l - 1, New: n[fresh], Old: n[old]})
			}
		}
	}
	return out
}

// TestTally: what the judge is given of users who err again and again is what
// "each user once per start" says, counted the long way.
func TestTally(t *testing.T) {
	y := &tally{}
	w := newWorld(onErrors(t), site(weekend, small, crowds(small)[2], 1.5), newRand(1, 1), y)
	for !w.over() {
		w.step()
	}
	s := stats.Starts{Odds: w.odds(w.stage), Stage: w.stageNumbers(w.stage), Cells: y.userCells(), Planned: len(w.stages)}
	total := int64(0)
	for from := range w.stages {
		want := make([]stats.Stratum, len(w.stages))
		seen := map[int32]bool{}
		for stage := range w.stages {
			want[stage].Odds = s.Odds[stage]
			for at := w.stages[stage].from; at < w.stages[stage].to && stage >= from; at++ {
				for _, user := range w.who[w.slots[at].from:w.slots[at].to] {
					switch {
					case seen[user]:
						continue
					case w.place(user) < w.stages[stage].share:
						want[stage].New++
					default:
						want[stage].Old++
					}
					seen[user] = true
					total++
				}
			}
		}
		if diff := cmp.Diff(want, s.Strata(from)); diff != "" {
			t.Errorf("start %d:\n%s", from, diff)
		}
	}
	if total < 100 {
		t.Errorf("only %d users counted: nothing was tested", total)
	}
}
