package statbench

import (
	"fmt"
	"testing"
)

// effect is a row of the table of sizes: a true factor of errors against a limit.
type effect struct {
	name    string
	limit   string // of the plan's rule
	alone   bool   // the only compared metric, with the whole budget; else it has a fifth, as in the shipped plan
	views   float64
	theta   float64
	onset   int // slot
	quick   int
	every   int // slots between looks; 0 = the plan's checks
	crowd   func(views float64) crowd
	most    float64 // of plans that may be rolled back; 1 = all should be
	harmful bool    // harm may be shown
}

// lateOnset is the begin of the stage of 50 %.
const lateOnset = 864

// heavy are 20,000 users of whom 5 % err in an hour, whatever the size of the
// site.
func heavy(float64) crowd { return crowd{users: 20_000, burst: 1} }

// heavyViews is how many page views a day make 5 % of heavy's users err an hour.
const heavyViews = 24 * 0.05 * 20_000 / errorsPerView

func once(views float64) crowd { return crowds(views)[0] }

func sticky(views float64) crowd { return crowds(views)[2] }

var effects = []effect{
	{name: "better canary, errors ×0.5, each user once", limit: "50%", views: large, theta: 0.5, crowd: once},
	{name: "better canary, errors ×0.5, few users have most", limit: "50%", views: large, theta: 0.5, crowd: sticky},
	{name: "better canary, errors ×0.5, 20,000 users, 5 % err an hour", limit: "50%", views: heavyViews, theta: 0.5, crowd: heavy, every: slotsAnHour, quick: 3},
	{name: "better canary, errors ×0.3, 20,000 users, 5 % err an hour", limit: "50%", views: heavyViews, theta: 0.3, crowd: heavy, every: slotsAnHour},
	{name: "half the limit: +25 % of 50 %, 20 k views", limit: "50%", views: small, theta: 1.25, crowd: once, most: 0.05, harmful: true},
	{name: "half the limit: +25 % of 50 %, 2 M views", limit: "50%", views: large, theta: 1.25, crowd: once, most: 0.05, harmful: true, quick: 40},
	{name: "half the limit: +25 % of 50 %, 2 M views, the only compared metric", limit: "50%", alone: true, views: large, theta: 1.25, crowd: once, most: 0.05, harmful: true},
	{name: "half the limit: +15 % of 30 %, 2 M views", limit: "30%", views: large, theta: 1.15, crowd: once, most: 0.05, harmful: true},
	{name: "half the limit from the stage of 50 % on, 2 M views", limit: "50%", views: large, theta: 1.25, onset: lateOnset, crowd: once, most: 0.05, harmful: true},
	{name: "half the limit: +25 % of 50 %, 2 M views, few users have most", limit: "50%", views: large, theta: 1.25, crowd: sticky, most: 0.05, harmful: true},
	{name: "twice the limit: +100 % of 50 %, 2 M views", limit: "50%", views: large, theta: 2, crowd: once, most: 1, harmful: true, quick: 20},
	{name: "twice the limit: +100 % of 50 %, 2 M views, the only compared metric", limit: "50%", alone: true, views: large, theta: 2, crowd: once, most: 1, harmful: true},
	{name: "twice the limit: +60 % of 30 %, 2 M views", limit: "30%", views: large, theta: 1.6, crowd: once, most: 1, harmful: true},
	{name: "twice the limit from the stage of 50 % on, 2 M views", limit: "50%", views: large, theta: 2, onset: lateOnset, crowd: once, most: 1, harmful: true},
}

// slowdown is how much longer the guard's four conditions may take than the
// first alone, which only shows harm, at twice the limit and with the shipped
// plan's part of the budget. A metric that has all of it shows harm sooner, and
// then waits longer for the other three.
const slowdown = 1.3

// TestSize holds what the guard makes of effects of different size: a better
// canary is never condemned, half the limit is rolled back in at most 5 % of
// plans, twice the limit always and not much later than harm is shown.
func TestSize(t *testing.T) {
	out := &table{section: "size", head: []string{"true effect, weekend doubled", "plans", "rolled back", "at most", "harm shown", "delay: harm shown, rolled back"}}
	fifth := map[string]float64{"errors": newShipped(t).level}
	for i, e := range effects {
		n := runs(t, e.quick)
		if n == 0 {
			out.add(e.name, "0", "", "", "", "")
			continue
		}
		c := newCourse(stagedPlan(t, "errors > +"+e.limit+" vs control over 1h"))
		if e.every > 0 {
			c = c.only(e.every)
		}
		tr := site(weekend, e.views, e.crowd(e.views), e.theta)
		tr.onset = e.onset
		results := cell(uint64(600+i), n, c, tr, func() ([]bench, []*tally) {
			j := newTested(oncePerStart)
			if !e.alone {
				j.levels = fifth
			}
			return []bench{j}, []*tally{j.tally}
		})
		e.judge(t, out, results)
	}
	out.publish(t)
}

// judge adds the row and holds it to its limits.
func (e effect) judge(t *testing.T, out *table, results [][]outcome) {
	n := len(results)
	acted := share(n, func(i int) bool { return results[i][0].acted > 0 })
	harm := share(n, func(i int) bool { return results[i][0].harm > 0 })
	var toHarm, toAct []float64
	for i := range results {
		if o := results[i][0]; o.acted > e.onset && o.harm > e.onset {
			toHarm, toAct = append(toHarm, hours(o.harm-e.onset)), append(toAct, hours(o.acted-e.onset))
		}
	}
	limit, times := percent(upTo(e.most, n)), ""
	if len(toAct) > 1 && e.most == 1 {
		shown, _ := meanOf(toHarm)
		took, _ := meanOf(toAct)
		times = fmt.Sprintf("%.3g h, %.3g h", shown, took)
		if took > slowdown*shown && !e.alone {
			t.Errorf("%s: rolled back after %.3g h, harm was shown after %.3g h: more than %g times", e.name, took, shown, slowdown)
		}
	}
	if e.most == 1 {
		limit = ""
	}
	out.add(e.name, fmt.Sprint(n), percent(acted), limit, percent(harm), times)
	switch {
	case e.most == 1 && acted < 1:
		t.Errorf("%s: only %s of %d plans were rolled back", e.name, percent(acted), n)
	case acted > upTo(e.most, n):
		t.Errorf("%s: %s of %d plans were rolled back, at most %s may be", e.name, percent(acted), n, limit)
	case !e.harmful && harm > 0:
		t.Errorf("%s: harm was shown in %s of %d plans", e.name, percent(harm), n)
	}
}
