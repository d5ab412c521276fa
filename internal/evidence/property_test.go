package evidence

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/judge"
	"serin/internal/stats"
	"serin/internal/telemetry"
)

// raw is what the property test remembers of an event.
type raw struct {
	at    time.Time
	user  string
	arm   telemetry.Arm
	error bool
	lcp   float64
}

// TestAgainstRecount compares windows with a recount of the raw events, for
// random streams with duplicates, stage changes and restarts.
func TestAgainstRecount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := newRig(t, nil)
		defer func() { g.stop(); g.stop = func() {} }()
		var all []raw
		var sent []telemetry.Event
		steps := rapid.IntRange(1, 60).Draw(rt, "steps")
		for i := range steps {
			g.clock.Advance(time.Duration(rapid.IntRange(0, 400_000).Draw(rt, "ms")) * time.Millisecond)
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				g.restart()
			case 1:
				g.target.Split = g.target.Plan.Split(75_000)
				g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Odds: 3, From: g.clock.Now()})
				g.watch()
			case 2:
				if len(sent) > 0 {
					g.send(sent[rapid.IntRange(0, len(sent)-1).Draw(rt, "again")])
				}
			default:
				user := fmt.Sprint("u", rapid.IntRange(0, 12).Draw(rt, "user"))
				e, r := g.failure(user, "error"), raw{user: user, error: true}
				if rapid.Bool().Draw(rt, "page") {
					r.error, r.lcp = false, rapid.Float64Range(1, 9000).Draw(rt, "lcp")
					e = g.page(user, r.lcp)
				}
				e.ID = fmt.Sprint("id", i)
				g.send(e)
				sent = append(sent, e)
				r.at = g.clock.Now()
				r.arm = (&telemetry.Target{Split: g.target.Split}).Assign(user)
				all = append(all, r)
			}
		}
		now := g.clock.Now()
		span := time.Duration(rapid.IntRange(1, 7_200_000).Draw(rt, "span")) * time.Millisecond
		for range 2 {
			compareWithRecount(rt, g, all, now.Add(-span), now)
			compareWithRecount(rt, g, all, now.Add(-2*span), now.Add(-span))
			g.restart()
		}
	})
}

func compareWithRecount(rt *rapid.T, g *rig, all []raw, from, to time.Time) {
	rt.Helper()
	v := g.view()
	for _, group := range []judge.Group{judge.Exposed, judge.AssignedNew, judge.AssignedOld} {
		var errors int64
		users, active := map[string]bool{}, map[string]bool{}
		minutes := new(stats.Sketch)
		for _, r := range all {
			if r.arm != group.Arm() || !r.at.After(from) || r.at.After(to) {
				continue
			}
			active[r.user] = true
			if r.error {
				errors++
				users[r.user] = true
			} else {
				minutes.Add(r.lcp)
			}
		}
		w := v.Window("errors", group, from, to)
		got := []int64{w.Count, w.Active, v.Window("lcp", group, from, to).Count}
		want := []int64{errors, int64(len(active)), minutes.Count()}
		if to.Equal(g.clock.Now()) {
			got, want = append(got, w.Users), append(want, int64(len(users)))
		} else { // past windows see a user once a minute: active may miss an edge
			got[1], want[1] = 0, 0
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Fatalf("group %d (%v, %v]: count, active, loads, users: %s", group, from, to, d)
		}
	}
}
