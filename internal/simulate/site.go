package simulate

import (
	"math"
	"math/rand/v2"
	"sort"
	"time"

	"serin/internal/stats"
)

// arm is an index: the new or the old variant.
type arm int

const (
	fresh arm = iota
	old
)

// Effect is what is wrong with the new variant. The zero Effect is nothing.
type Effect struct {
	Errors  float64 `json:"errors,omitempty"`  // factor of all error and failure counts; 0 = 1
	Latency float64 `json:"latency,omitempty"` // factor of all latencies; 0 = 1
}

func (e Effect) errors() float64 {
	if e.Errors == 0 {
		return 1
	}
	return e.Errors
}

func (e Effect) latency() float64 {
	if e.Latency == 0 {
		return 1
	}
	return e.Latency
}

// site is the traffic of one run, made as time goes on. Ages are times since
// the start.
type site struct {
	*world
	rng    *rand.Rand
	effect Effect

	made      time.Duration // data are there until here
	users     [2]int64      // of each arm, now
	means     alike         // of their own slowness
	intervals []interval
	tracks    [2][]track   // by arm and counted model
	loads     [2][]series  // by arm and timed model
	tallies   []tally      // by counted model
	occupied  []*occupancy // by counted model: of heavy streams, the first model with all events of the same
	blocks    []blocks     // by timed model
	ratios    map[*model]*blocks
	blockAt   time.Duration // begin of the open block
	pasts     map[*model]*past
}

// interval is a time of constant shares.
type interval struct {
	from  time.Duration
	stage int
	share float64
	users [2]int64
}

// track is the events of one metric and arm, in the order of time.
type track struct {
	at   []time.Duration
	user []int64 // -1: of a heavy stream, see occupancy
	sum  []int64 // events until this one
}

func (t *track) add(at time.Duration, user, n int64) {
	t.at, t.user = append(t.at, at), append(t.user, user)
	t.sum = append(t.sum, n+t.total(len(t.sum)))
}

func (t *track) total(n int) int64 {
	if n == 0 {
		return 0
	}
	return t.sum[n-1]
}

// span returns the indices of the events in (from, to].
func (t *track) span(from, to time.Duration) (int, int) {
	return sort.Search(len(t.at), func(i int) bool { return t.at[i] > from }),
		sort.Search(len(t.at), func(i int) bool { return t.at[i] > to })
}

func (t *track) count(from, to time.Duration) int64 {
	i, j := t.span(from, to)
	return t.total(j) - t.total(i)
}

// distinct counts the users with an event in (from, to], at most all.
func (t *track) distinct(from, to time.Duration, all int64) int64 {
	i, j := t.span(from, to)
	seen := make(map[int64]struct{}, j-i)
	for ; i < j; i++ {
		seen[t.user[i]] = struct{}{}
	}
	return min(all, int64(len(seen)))
}

// distinct counts the users of an arm with an event of a counted metric in
// (from, to]. Of a heavy stream, to is now: not before what was asked last.
func (s *site) distinct(m *model, a arm, from, to time.Duration) int64 {
	o := s.occupied[m.same]
	if o == nil {
		return s.tracks[a][m.index].distinct(from, to, s.users[a])
	}
	o.until(s, s.counted[m.same], to)
	return min(o.arms[a].since(from), s.tracks[a][m.index].count(from, to))
}

// series is how many loads of one timed metric and arm lay below its true
// quantile, step by step, cumulated.
type series struct {
	at       []time.Duration
	n, below []int64
}

func (s *series) add(at time.Duration, n, below int64) {
	if k := len(s.n); k > 0 {
		n, below = n+s.n[k-1], below+s.below[k-1]
	}
	s.at, s.n, s.below = append(s.at, at), append(s.n, n), append(s.below, below)
}

func (s *series) window(from, to time.Duration) (n, below int64) {
	i := sort.Search(len(s.at), func(i int) bool { return s.at[i] > from })
	j := sort.Search(len(s.at), func(i int) bool { return s.at[i] > to })
	if j <= i {
		return 0, 0
	}
	n, below = s.n[j-1], s.below[j-1]
	if i > 0 {
		n, below = n-s.n[i-1], below-s.below[i-1]
	}
	return n, below
}

func newSite(w *world, e Effect, rng *rand.Rand) *site {
	s := &site{world: w, rng: rng, effect: e, tallies: make([]tally, len(w.counted)), occupied: make([]*occupancy, len(w.counted)), blocks: make([]blocks, len(w.timed)), ratios: map[*model]*blocks{}}
	s.users[old] = w.users
	for a := range s.tracks {
		s.tracks[a] = make([]track, len(w.counted))
		s.loads[a] = make([]series, len(w.timed))
	}
	for _, m := range w.counted {
		if w.streams[m.stream].heavy && m.same == m.index {
			s.occupied[m.index] = newOccupancy(rng)
		}
	}
	for _, m := range w.timed {
		if m.compared {
			s.blocks[m.index].begin(s, m)
		}
	}
	for _, m := range w.models {
		if m.kind == divided && m.compared {
			s.ratios[m] = &blocks{}
		}
	}
	return s
}

// enter begins a stage: the share of new rises, in the order of hashes.
func (s *site) enter(stage int, share float64) {
	var was float64
	if n := len(s.intervals); n > 0 {
		was = s.intervals[n-1].share
	}
	if share > was {
		moved := binomial(s.rng, s.users[old], (share-was)/(1-was))
		if s.traffic.Sticky > 0 {
			s.means.move(s, moved)
		}
		s.users[fresh], s.users[old] = s.users[fresh]+moved, s.users[old]-moved
	}
	s.closeBlocks(s.made)
	if len(s.intervals) > 0 { // what happened is of the interval in which it did
		for _, m := range s.counted {
			if m.compared {
				s.take(m, s.made)
			}
		}
	}
	s.intervals = append(s.intervals, interval{from: s.made, stage: stage, share: share, users: s.users})
}

// part is an arm's part of the audience.
func (s *site) part(a arm) float64 { return float64(s.users[a]) / float64(s.world.users) }

// until makes the data up to an age.
func (s *site) until(to time.Duration) {
	for s.made < to {
		next := min(to, s.made-s.made%s.step+s.step)
		s.events(s.made, next)
		s.measure(s.made, next)
		s.made = next
		if next%s.step == 0 && next-s.blockAt >= s.blockLength() {
			s.closeBlocks(next)
		}
	}
}

// events makes the events of (from, to].
func (s *site) events(from, to time.Duration) {
	days := s.cycle.errorsIn(from, to)
	for i := range s.streams {
		st := &s.streams[i]
		for a := range s.tracks {
			mean := st.perDay * days * s.part(arm(a))
			if arm(a) == fresh {
				mean *= s.effect.errors()
			}
			if st.heavy {
				s.bulk(st, a, mean, from, to)
				continue
			}
			s.singly(st, a, poisson(s.rng, mean), from, to)
		}
	}
}

// singly adds n events one by one, each at its time and of its user.
func (s *site) singly(st *stream, a int, n int64, from, to time.Duration) {
	var first time.Duration
	for k := range n {
		// the order statistics of n uniform times, one after the other
		left := float64(n - k)
		gap := 1 - math.Pow(1-s.rng.Float64(), 1/left)
		first += time.Duration(gap * float64(to-from-first))
		user := s.rng.Int64N(max(1, s.users[a]))
		if arm(a) == old {
			user += s.users[fresh]
		}
		for _, m := range st.tracks {
			if m.mark >= 1 || s.rng.Float64() < m.mark {
				s.tracks[a][m.index].add(from+first, user, 1)
			}
		}
	}
}

// bulk adds many events at once, by blocks of five minutes.
func (s *site) bulk(st *stream, a int, mean float64, from, to time.Duration) {
	pieces := max(1, int((to-from)/shortestBlock))
	for k := range pieces {
		n := poisson(s.rng, mean/float64(pieces))
		at := from + time.Duration(k+1)*(to-from)/time.Duration(pieces)
		for _, m := range st.tracks {
			if marked := binomial(s.rng, n, m.mark); marked > 0 {
				s.tracks[a][m.index].add(at, -1, marked)
			}
		}
	}
}

// measure makes the loads of (from, to].
func (s *site) measure(from, to time.Duration) {
	views := s.traffic.ViewsPerDay * s.cycle.viewsIn(from, to)
	for _, m := range s.timed {
		for a := range s.loads {
			mean := views * s.part(arm(a))
			if !m.compared {
				below := poisson(s.rng, mean*m.metric.Q)
				s.loads[a][m.index].add(to, below+poisson(s.rng, mean*(1-m.metric.Q)), below)
				continue
			}
			n, below := s.blocks[m.index].draw(s, arm(a), mean)
			s.loads[a][m.index].add(to, n, below)
		}
	}
}

// level is the true quantile of a timed metric in an arm.
func (s *site) level(m *model, a arm) float64 {
	if a == fresh {
		return m.level * s.effect.latency() * s.shift(m, fresh)
	}
	return m.level * s.shift(m, old)
}

// estimate is the quantile that a window shows, of n loads of which below lay
// at or below the true quantile.
func (s *site) estimate(m *model, a arm, n, below int64) float64 {
	q, half := m.metric.Q, 0.5/float64(n)
	p := min(max(2*q-float64(below)/float64(n), half), 1-half)
	return s.level(m, a) * math.Exp(s.traffic.Spread*(quantile(p)-quantile(q)))
}

// blockLength is how long the open block is to be. It grows with the age of its
// stage, and is fixed before the block begins.
func (s *site) blockLength() time.Duration {
	const part, most = 12, 12 * time.Hour
	age := s.blockAt - s.intervals[len(s.intervals)-1].from
	length := s.block
	for 2*length <= min(age/part, most) {
		length *= 2
	}
	return length
}

// closeBlocks ends the open blocks at an age.
func (s *site) closeBlocks(at time.Duration) {
	if n := len(s.intervals); n > 0 && at > s.blockAt {
		for _, m := range s.timed {
			if m.compared {
				s.blocks[m.index].close(s, m, n-1)
			}
		}
		for m, b := range s.ratios {
			b.add(0, stats.Block{
				Interval: n - 1, Stage: s.intervals[n-1].stage,
				BadNew: s.countOf(m.of, fresh, s.blockAt, at), New: s.countOf(m.per, fresh, s.blockAt, at),
				BadOld: s.countOf(m.of, old, s.blockAt, at), Old: s.countOf(m.per, old, s.blockAt, at),
			})
		}
	}
	s.blockAt = at
}

// countOf counts a counted metric, or one that is as many as there are views.
func (s *site) countOf(m *model, a arm, from, to time.Duration) int64 {
	if m.kind == counted {
		return s.tracks[a][m.index].count(from, to)
	}
	return int64(math.Round(s.traffic.ViewsPerDay * s.of(a, from, to, s.cycle.viewsIn)))
}

// of is an arm's part of the days of traffic between two ages, as many users as
// it had at each time.
func (s *site) of(a arm, from, to time.Duration, days func(from, to time.Duration) float64) float64 {
	var sum float64
	for i, in := range s.intervals {
		end := to
		if i+1 < len(s.intervals) {
			end = min(to, s.intervals[i+1].from)
		}
		if begin := max(from, in.from); begin < end {
			sum += days(begin, end) * float64(in.users[a])
		}
	}
	return sum / float64(s.world.users)
}
