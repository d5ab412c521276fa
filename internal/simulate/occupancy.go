package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// occupancy is who of each arm the events of a heavy stream fell on. Nobody is
// told apart: users are counted by how long ago they last had an event, which is
// what both windows and stages ask for. An event is as likely of one user of the
// arm as of another, so who is hit is drawn from these counts without replacement,
// and they are what drawing event by event would make of them.
//
// Its random numbers are its own and it goes through the events in their order, so
// that the answer does not depend on when it is asked.
type occupancy struct {
	interval int    // in which the events taken in last were
	done     [2]int // events taken in, by arm
	arms     [2]recency
}

// recency is the users of one arm by their last event. The two parts make up all
// of its users.
type recency struct {
	rng   *rand.Rand
	users int64
	spare []int64 // without an event in this arm, by the stage of their last in the other, plus 1; [0]: never
	last  []group // the others, ascending
	limit int     // length at which groups are merged
}

// group is n users whose last event lies in (begin, end], in one stage.
type group struct {
	begin, end time.Duration
	stage      int
	n          int64
}

func newOccupancy(rng *rand.Rand) *occupancy {
	o := &occupancy{}
	for a := range o.arms {
		o.arms[a].rng = rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	}
	return o
}

// until takes in the events of a metric up to an age, and counts affected users
// in its tally. It only goes forwards.
func (o *occupancy) until(s *site, m *model, to time.Duration) {
	if o.arms[old].spare == nil {
		for a := range o.arms {
			o.arms[a].users = s.intervals[0].users[a]
			o.arms[a].spare = []int64{o.arms[a].users}
		}
	}
	for ; o.interval+1 < len(s.intervals) && s.intervals[o.interval+1].from < to; o.interval++ {
		next := s.intervals[o.interval+1]
		o.hit(s, m, next.from)
		o.move(next.users[fresh] - o.arms[fresh].users)
	}
	o.hit(s, m, to)
}

// hit takes in the events of the present interval up to an age.
func (o *occupancy) hit(s *site, m *model, to time.Duration) {
	stage, t := s.intervals[o.interval].stage, s.tally(m)
	for a := range o.arms {
		r, tr := &o.arms[a], &s.tracks[a][m.same]
		for ; o.done[a] < len(tr.at) && tr.at[o.done[a]] <= to; o.done[a]++ {
			i := o.done[a]
			g := group{begin: tr.at[i] - shortestBlock, end: tr.at[i], stage: stage}
			if i > 0 {
				g.begin = max(g.begin, tr.at[i-1])
			}
			g.n = occupied(r.rng, tr.sum[i]-tr.total(i), r.users)
			r.draw(g.n, func(last int, n int64) {
				if last < stage {
					t.cell(o.interval, last)[a] += n
				}
			})
			r.add(g)
		}
	}
}

// move takes users from the old arm to the new one.
func (o *occupancy) move(n int64) {
	from, to := &o.arms[old], &o.arms[fresh]
	from.draw(n, func(last int, n int64) {
		for len(to.spare) < last+2 {
			to.spare = append(to.spare, 0)
		}
		to.spare[last+1] += n
	})
	from.users, to.users = from.users-n, to.users+n
}

// fewDrawn is the number of users up to which they are drawn one by one.
const fewDrawn = 16

// draw takes n different users out, and tells by how many of them the stage of
// their last event was, -1 for none.
func (r *recency) draw(n int64, took func(last int, n int64)) {
	rest := r.users
	if n <= fewDrawn {
		for ; n > 0; n, rest = n-1, rest-1 {
			took(r.one(r.rng.Int64N(rest)), 1)
		}
		return
	}
	some := func(of *int64, last int) {
		k := hypergeometric(r.rng, rest, *of, n)
		rest, n, *of = rest-*of, n-k, *of-k
		if k > 0 {
			took(last, k)
		}
	}
	for i := range r.spare {
		some(&r.spare[i], i-1)
	}
	for i := range r.last {
		some(&r.last[i].n, r.last[i].stage)
	}
}

// one takes out the k-th user, and returns the stage of their last event.
func (r *recency) one(k int64) int {
	for i, n := range r.spare {
		if k < n {
			r.spare[i]--
			return i - 1
		}
		k -= n
	}
	for i := range r.last {
		if k < r.last[i].n {
			r.last[i].n--
			return r.last[i].stage
		}
		k -= r.last[i].n
	}
	panic("simulate: more users were drawn than there are")
}

// resolution is how much longer ago than it is long a merged group is: within it
// last events are taken to be spread evenly.
const resolution = 12

// add puts the newest group in, and merges old ones now and then.
func (r *recency) add(g group) {
	r.last = append(r.last, g)
	if len(r.last) < r.limit {
		return
	}
	out := r.last[:0]
	for _, old := range r.last {
		if old.n == 0 {
			continue
		}
		if k := len(out) - 1; k >= 0 && out[k].stage == old.stage && resolution*(old.end-out[k].begin) <= g.end-old.end {
			out[k].end, out[k].n = old.end, out[k].n+old.n
			continue
		}
		out = append(out, old)
	}
	const room = 32
	r.last, r.limit = out, len(out)+room
}

// since is how many users had an event after an age.
func (r *recency) since(from time.Duration) int64 {
	var n float64
	for i := len(r.last) - 1; i >= 0 && r.last[i].end > from; i-- {
		g := &r.last[i]
		part := 1.0
		if g.begin < from {
			part = float64(g.end-from) / float64(g.end-g.begin)
		}
		n += part * float64(g.n)
	}
	return int64(math.Round(n))
}

// manyOccupied is the number of events, or of users, up to which they are drawn
// one by one.
const manyOccupied = 128

// occupied draws how many different users n events have, each of any of users
// (Johnson and Kotz, "Urn Models and Their Application", 1977, 3.2): of many by
// the normal approximation, or where hardly anybody has two events, or hardly
// anybody none, by that these few are Poisson.
func occupied(rng *rand.Rand, n, users int64) int64 {
	if min(n, users) <= manyOccupied {
		var k int64
		for ; n > 0 && k < users; n-- {
			if rng.Int64N(users) >= k {
				k++
			}
		}
		return k
	}
	const few = 10
	u, events := float64(users), float64(n)
	none := u * math.Exp(events*math.Log1p(-1/u)) // users without an event
	mean := u - none
	switch {
	case events-mean < few:
		return max(1, n-poisson(rng, events-mean))
	case none < few:
		return max(1, users-poisson(rng, none))
	}
	two := u * math.Exp(events*math.Log1p(-2/u)) // (users - 1) of which: pairs without
	variance := none - two + none*none*math.Expm1(events*math.Log1p(-1/((u-1)*(u-1))))
	k := int64(math.Round(mean + math.Sqrt(max(0, variance))*rng.NormFloat64()))
	return min(max(k, 1), n, users)
}

// hypergeometric draws how many of n, taken without replacement from all, are of
// the marked: by inversion, of many by the normal approximation.
func hypergeometric(rng *rand.Rand, all, marked, n int64) int64 {
	switch {
	case marked <= 0 || n <= 0:
		return 0
	case marked >= all:
		return n
	case n >= all:
		return marked
	case 2*marked > all:
		return n - hypergeometric(rng, all, all-marked, n)
	case 2*n > all:
		return marked - hypergeometric(rng, all, marked, all-n)
	}
	const few = 12
	a, g, d := float64(all), float64(marked), float64(n)
	mean := d * g / a
	if mean >= few {
		sd := math.Sqrt(mean * (1 - g/a) * (a - d) / (a - 1))
		k := int64(math.Round(mean + sd*rng.NormFloat64()))
		return min(max(k, 0), marked, n)
	}
	p := math.Exp(stirling(a-g) + stirling(a-d) - stirling(a-g-d) - stirling(a)) // that none is
	var k int64
	for left := rng.Float64(); left >= p && k < min(marked, n); k++ {
		left -= p
		f := float64(k)
		p *= (g - f) * (d - f) / ((f + 1) * (a - g - d + f + 1))
	}
	return k
}

// stirling is ln x! but for a constant.
func stirling(x float64) float64 {
	const atZero = -0.9189385332046727 // -ln √(2π)
	if x < 1 {
		return atZero
	}
	return (x+0.5)*math.Log(x) - x + 1/(12*x) - 1/(360*x*x*x)
}
