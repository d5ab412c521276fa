package statbench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/stats"
)

// proving is a plan of one stage whose gate asks for proof that errors are not
// more than 5 % above control's.
type proving struct {
	plan   *plan.Plan
	course *course
}

func newProving(t testing.TB) *proving {
	p := parsed(t, `serin: 1
plan: proving
timezone: UTC
flag: { key: proving }
stages: [{ stage: half, traffic: 50%, bake: 24h, proceed: [errors <= +5% vs control] }]
rollback: [errors > +50% vs control over 1h]
`)
	return &proving{p, newCourse(p)}
}

// proofUsers are the audience of the stage.
const proofUsers = 20_000

// crowded are users who err again and again.
type crowded struct {
	events []int32
	fresh  []bool
}

// run lets every user err perUser times in the day on average, those on new theta
// times as often, and reports whether the gate was ever met at the end of an
// hour: by what ships, and by the test on affected users alone.
func (v *proving) run(rng *rand.Rand, perUser, theta float64) (alone, shipped bool) {
	s := &crowded{events: make([]int32, proofUsers), fresh: make([]bool, proofUsers)}
	for i := range s.fresh {
		s.fresh[i] = rng.Float64() < v.course.stages[0].share
	}
	for hour := 1; hour <= 24 && !(alone && shipped); hour++ {
		s.hour(rng, perUser/24, theta)
		now := start.Add(time.Duration(hour) * time.Hour)
		alone = alone || v.met(s, activeUsers, now) // as if hardly anybody were affected
		shipped = shipped || v.met(s, proofUsers/2, now)
	}
	return alone, shipped
}

// met asks the shipped judge, when so many of control's users were there.
func (v *proving) met(s *crowded, active int64, now time.Time) bool {
	verdicts, _ := judge.Judge(v.plan, v.plan.Stages[0].Proceed, judge.Gate, v.course.place(0), s.evidence(v.course, active), nil, now)
	return verdicts[0].Status == judge.Met
}

func (s *crowded) hour(rng *rand.Rand, mean, theta float64) {
	for i := range s.events {
		m := mean
		if s.fresh[i] {
			m *= theta
		}
		s.events[i] += int32(poisson(rng, m))
	}
}

// evidence counts affected users, and events with their design effect.
func (s *crowded) evidence(c *course, active int64) given {
	var users, events [2]int64
	var squares float64
	for i, n := range s.events {
		if n == 0 {
			continue
		}
		arm := old
		if s.fresh[i] {
			arm = fresh
		}
		users[arm]++
		events[arm] += int64(n)
		squares += float64(n) * float64(n)
	}
	w := func(arm int) judge.Window {
		return judge.Window{Count: events[arm], Users: users[arm], Active: active}
	}
	return given{judge.Tests{
		Odds: c.odds(0), Stage: c.stageNumbers(0), Began: c.began(0),
		Cells:     []stats.UserCell{{Last: -1, New: users[fresh], Old: users[old]}},
		EventsNew: events[fresh], EventsOld: events[old], Phi: stats.EventsPhi(squares, float64(events[fresh]+events[old])),
	}, map[string][3]judge.Window{"errors": {judge.AssignedNew: w(fresh), judge.AssignedOld: w(old)}}}
}

// perUser is how often a user errs of whom so many are affected.
func perUser(affected float64) float64 { return -math.Log1p(-affected) }

// brokenSaturation proves "not worse than 5 %" on affected users, of whom nearly
// all are, while the new variant's events are more by just that.
func brokenSaturation(t *testing.T, n int) (broken, right float64) {
	v := newProving(t)
	return pair(n, 314, func(rng *rand.Rand) (alone, shipped bool) { return v.run(rng, perUser(0.98), 1.05) })
}

// TestProof holds false proofs: a gate that asks for "not worse than 5 %" is met
// in at most judge.false_proceed = 5 % of stages in which events are worse by
// just that, however many users are affected.
func TestProof(t *testing.T) {
	out := &table{section: "proof", head: []string{"users affected in a day", "stages", "proved at +5 %", "on users alone", "proved when nothing changed"}}
	v := newProving(t)
	for i, affected := range []float64{0.05, 0.33, 0.46, 0.67, 0.98} {
		quick := 0
		if affected == 0.67 {
			quick = 5
		}
		n := runs(t, quick)
		if n == 0 {
			out.add(percent(affected), "0", "", "", "")
			continue
		}
		alone, wrong := pair(n, uint64(800+i), func(rng *rand.Rand) (bool, bool) { return v.run(rng, perUser(affected), 1.05) })
		_, proved := pair(n, uint64(810+i), func(rng *rand.Rand) (bool, bool) { return v.run(rng, perUser(affected), 1) })
		out.add(percent(affected), fmt.Sprint(n), percent(wrong), percent(alone), percent(proved))
		if limit := upTo(v.plan.Judge.FalseProceed, n); wrong > limit {
			t.Errorf("%s of users affected: proved in %s of %d stages although events are worse by the margin, at most %s may be", percent(affected), percent(wrong), n, percent(limit))
		}
	}
	out.publish(t)
}
