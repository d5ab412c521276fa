package statbench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/stats"
)

// loading is how the loads of a site come about: each of a random user, with a
// lognormal latency, whose spread is partly the user's own.
type loading struct {
	name     string
	between  float64 // part of the variance that is between users
	factor   float64 // of the latencies of the new variant
	most     float64 // of plans in which harm may be shown; 1 = a regression
	quick    int
	teethful bool // without deflation it must fail
}

// edge is by how much a canary is slower that is just at the null: the margin of
// 5 %, in whole buckets.
var edge = stats.Edge(stats.Shift(0.05))

var loadings = []loading{
	{name: "independent loads", factor: 1, most: 0.01},
	{name: "independent loads, slower by the margin", factor: edge, most: 0.01, quick: 3},
	{name: "sticky users", between: 0.64, factor: 1, most: 0.01},
	{name: "sticky users, slower by the margin", between: 0.64, factor: edge, most: 0.01, teethful: true},
	{name: "independent loads, +60 %", factor: 1.6, most: 1},
	{name: "sticky users, +60 %", between: 0.64, factor: 1.6, most: 1},
}

const loadingUsers = 2000

// timed is a site's loads in one run, kept as the engine keeps them.
type timed struct {
	*course
	rng     *rand.Rand
	loading loading
	wave    *week
	places  []float64 // of users' hashes
	own     []float64 // users' own part of ln latency

	control   [stats.MaxBucket - stats.MinBucket + 1]int64 // its loads before this block, by bucket
	loads     int64
	threshold int // bucket; 0 = none yet
	shifts    []int
	ledger    stats.Ledger
	blocks    map[int][]stats.Block
	stages    [][2]stats.Sketch // of each stage
	last      [slotsAnHour][2]*stats.Sketch
	n, x      []float64 // control's loads by user, and those above the threshold
}

func newTimed(c *course, l loading, rng *rand.Rand) *timed {
	_, views := daily.waves()
	s := &timed{course: c, rng: rng, loading: l, wave: views, shifts: judge.Shifts(c.plan, "lcp"), blocks: map[int][]stats.Block{}}
	s.places, s.own = make([]float64, loadingUsers), make([]float64, loadingUsers)
	s.n, s.x = make([]float64, loadingUsers), make([]float64, loadingUsers)
	for i := range s.places {
		s.places[i], s.own[i] = rng.Float64(), rng.NormFloat64()*sigma*math.Sqrt(l.between)
	}
	s.stages = make([][2]stats.Sketch, len(c.stages))
	return s
}

// load makes the loads of a part of a slot at a share, and visits each with its
// arm and bucket. Then it fixes the threshold of the next block.
func (s *timed) load(at int, share, part float64, visit func(arm, bucket int)) {
	within := sigma * math.Sqrt(1-s.loading.between)
	for range poisson(s.rng, part*small/float64(slotsADay)*s.wave[at%len(s.wave)]) {
		u := s.rng.IntN(loadingUsers)
		ms := 2000 * math.Exp(s.own[u]+within*s.rng.NormFloat64())
		if s.places[u] < share {
			visit(fresh, stats.Bucket(ms*s.loading.factor))
			continue
		}
		bucket := stats.Bucket(ms)
		visit(old, bucket)
		s.control[bucket-stats.MinBucket]++
		s.loads++
		if s.threshold != 0 {
			s.n[u]++
			if bucket > s.threshold {
				s.x[u]++
			}
		}
	}
	left := int64(math.Ceil(0.75 * float64(s.loads)))
	for i, n := range s.control {
		if left -= n; left <= 0 {
			s.threshold = i + stats.MinBucket
			break
		}
	}
}

// baseline makes the loads of the week before the start, all of the old variant.
func (s *timed) baseline() {
	for at := range len(s.wave) {
		s.load(at, 0, 1, func(int, int) {})
	}
}

// step makes a slot of the plan: a closed block, in the first hour of a stage one
// for each minute.
func (s *timed) step(at, stage int) {
	var arms [2]*stats.Sketch
	for arm := range arms {
		arms[arm] = new(stats.Sketch)
	}
	blocks := 1
	if at-s.course.stages[stage].from < slotsAnHour {
		blocks = int(slotLength / time.Minute)
	}
	for range blocks {
		s.block(at, stage, 1/float64(blocks), arms)
	}
	s.last[at%slotsAnHour] = arms
	for arm := range arms {
		s.stages[stage][arm].Merge(arms[arm])
	}
}

// block makes a part of a slot as one closed block.
func (s *timed) block(at, stage int, part float64, arms [2]*stats.Sketch) {
	block, threshold := stats.Block{Interval: stage, Stage: stage}, s.threshold
	bad := make([]int64, len(s.shifts))
	s.load(at, s.course.stages[stage].share, part, func(arm, bucket int) {
		arms[arm].Add(stats.Edge(bucket))
		if arm == old {
			block.Old++
			if bucket > threshold {
				block.BadOld++
			}
			return
		}
		block.New++
		for i, shift := range s.shifts {
			if bucket > threshold+shift {
				bad[i]++
			}
		}
	})
	for i, shift := range s.shifts {
		block.BadNew = bad[i]
		s.blocks[shift] = append(s.blocks[shift], block)
	}
}

// effect is the design effect of the loads of control's users so far.
func (s *timed) effect() float64 {
	var n, x, nn, nx, xx float64
	for u := range s.n {
		n, x = n+s.n[u], x+s.x[u]
		nn, nx, xx = nn+s.n[u]*s.n[u], nx+s.n[u]*s.x[u], xx+s.x[u]*s.x[u]
	}
	return stats.LoadsPhi(x/n, xx, nx, nn, n)
}

// timedEvidence is a timed site as the judge sees it at an instant.
type timedEvidence struct {
	given
	s     *timed
	stage int
}

func (s *timed) evidence(stage int, phi float64) timedEvidence {
	e := timedEvidence{s: s, stage: stage}
	e.tests = judge.Tests{Odds: s.odds(stage), Stage: s.stageNumbers(stage), Began: s.began(stage), Shifted: s.blocks, Ledger: &s.ledger, Phi: phi}
	return e
}

// Window implements judge.Evidence: of the last hour, or since a stage began.
func (e timedEvidence) Window(_ string, g judge.Group, from, to time.Time) judge.Window {
	arm := fresh
	if g == judge.AssignedOld {
		arm = old
	}
	sum := new(stats.Sketch)
	if to.Sub(from) <= time.Hour {
		for _, arms := range e.s.last {
			sum.Merge(arms[arm])
		}
	} else {
		for stage := e.stage; stage >= 0 && !e.s.course.stages[stage].began.Before(from); stage-- {
			sum.Merge(&e.s.stages[stage][arm])
		}
	}
	return judge.Window{Sketch: sum, Count: sum.Count(), Active: activeUsers, Covered: to.Sub(from), Known: true, Last: to}
}

// timing is what became of a run by the shipped judge, and without deflation.
type timing struct{ shipped, raw outcome }

// carryTimed takes a site through the plan, judged every three hours. z is when
// the z-test of a textbook would have rolled back, 0 = never.
func carryTimed(c *course, l loading, rng *rand.Rand) (out timing, z int) {
	s := newTimed(c, l, rng)
	s.baseline()
	for stage, leg := range c.stages {
		for at := leg.from; at < leg.to; at++ {
			s.step(at, stage)
			if (at+1)%(3*slotsAnHour) != 0 {
				continue
			}
			if z == 0 && s.exceeds(stage) {
				z = at + 1
			}
			if l.between > 0 && out.raw.harm == 0 {
				s.judge(&out.raw, stage, at+1, 1)
			}
			s.judge(&out.shipped, stage, at+1, s.effect())
		}
	}
	return out, z
}

// judge asks the shipped judge, until it acts.
func (s *timed) judge(o *outcome, stage, slot int, phi float64) {
	if o.acted > 0 {
		return
	}
	v, _ := judge.Judge(s.plan, s.plan.Rollback, judge.Guard, s.place(stage), s.evidence(stage, phi), nil, start.Add(time.Duration(slot)*slotLength))
	if o.harm == 0 && (v[0].Harm || v[0].Status == judge.Met) {
		o.harm = slot
	}
	if v[0].Status == judge.Met {
		o.acted = slot
	}
}

// exceeds is the z-test of two shares at p < 0.01, one-sided: loads above the
// shifted threshold against control's above its own, in this stage.
func (s *timed) exceeds(stage int) bool {
	var a, n, c, m float64
	for _, b := range stats.BlocksOf(s.blocks[stats.Shift(s.plan.Judge.Margin)], stage) {
		a, n, c, m = a+float64(b.BadNew), n+float64(b.New), c+float64(b.BadOld), m+float64(b.Old)
	}
	p := (a + c) / (n + m)
	return n > 0 && m > 0 && a/n-c/m > 2.326*math.Sqrt(p*(1-p)*(1/n+1/m))
}

// TestLatency carries plans through that compare p75, with loads that are
// independent and with users of whom some are always slow: harm is shown in at
// most 1 % of healthy plans, plus three standard errors.
func TestLatency(t *testing.T) {
	out := &table{section: "latency", head: []string{"p75, 20 k views, rule +30 %", "plans", "rolled back (harm shown)", "delay", "not deflated", "repeated z"}}
	c := newCourse(stagedPlan(t, "lcp > +30% vs control over 1h"))
	for i, l := range loadings {
		n := runs(t, l.quick)
		if n == 0 {
			out.add(l.name, "0", "", "", "", "")
			continue
		}
		timings, zs := make([]timing, n), make([]int, n)
		all(n, func(k int) { timings[k], zs[k] = carryTimed(c, l, newRand(uint64(700+i), k)) })
		l.judge(t, out, timings, zs)
	}
	out.publish(t)
}

func (l loading) judge(t *testing.T, out *table, timings []timing, zs []int) {
	n := len(timings)
	acted := share(n, func(i int) bool { return timings[i].shipped.acted > 0 })
	harm := share(n, func(i int) bool { return timings[i].shipped.harm > 0 })
	raw := share(n, func(i int) bool { return timings[i].raw.harm > 0 })
	z := share(n, func(i int) bool { return zs[i] > 0 })
	delay := ""
	if l.most == 1 {
		var when []float64
		for _, o := range timings {
			when = append(when, hours(o.shipped.acted))
		}
		delay = fmt.Sprintf("%.3g h", median(when))
	}
	undeflated := ""
	if l.between > 0 {
		undeflated = percent(raw)
	}
	out.add(l.name, fmt.Sprint(n), fmt.Sprintf("%s (%s)", percent(acted), percent(harm)), delay, undeflated, percent(z))
	limit := upTo(l.most, n)
	if l.most < 1 && (harm > limit || acted > limit) {
		t.Errorf("%s: harm was shown in %s of %d plans, at most %s may be", l.name, percent(harm), n, percent(limit))
	}
	if l.most == 1 && acted < 0.99 {
		t.Errorf("%s: only %s of %d plans were rolled back", l.name, percent(acted), n)
	}
	if l.teethful && raw <= limit {
		t.Errorf("%s: without deflation the gate is passed: %s of %d plans", l.name, percent(raw), n)
	}
}
