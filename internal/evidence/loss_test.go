package evidence

import (
	"context"
	"fmt"
	"testing"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// TestLossByArm: people are served the flag; telemetry of a part of them never
// arrives. What counts is whether the part differs between the arms.
func TestLossByArm(t *testing.T) {
	for _, c := range []struct {
		name     string
		new, old int // of 100 users, silent ones
		hidden   bool
		restart  bool
		want     bool
	}{
		{name: "alike", new: 20, old: 20},
		{name: "canary lost", new: 50, old: 20, want: true},
		{name: "control lost", new: 10, old: 40, want: true},
		{name: "after a restart", new: 50, old: 20, restart: true, want: true},
		{name: "servers only, no users ever", new: 100, old: 100},
		{name: "named by the plan", new: 50, old: 20, hidden: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, nil)
			if c.hidden {
				for n := range 1600 {
					g.target.Split.Include.Users = append(g.target.Split.Include.Users, fmt.Sprint("u", n))
				}
				g.watch()
			}
			assign := telemetry.Target{Split: g.target.Split}
			for hour := range 4 {
				for n := range 400 {
					user := fmt.Sprint("u", hour*400+n)
					for range 2 { // evaluations repeat
						g.e.Evaluated(context.Background(), "f", flag.Context{"targetingKey": user}, flag.Evaluation{}, false)
					}
					silent := c.old
					if assign.Assign(user) == telemetry.New {
						silent = c.new
					}
					if n*37%100 >= silent {
						g.send(g.failure(user, "info"))
					}
				}
				for range 12 {
					g.clock.Advance(5 * time.Minute)
					g.send(g.failure("u0", "info"))
					g.send(g.failure("u0", "info")) // the tick before has been worked off
				}
			}
			if c.restart {
				g.restart()
			}
			if got := g.view().Data().LossByArm; got != c.want {
				g.e.mu.Lock()
				defer g.e.mu.Unlock()
				t.Errorf("got %v, want %v: %+v", got, c.want, g.e.rollouts["demo-1"].loss)
			}
			g.target.Attempt++
			g.target.Intervals = []Interval{{Attempt: 2, Odds: 1, From: g.clock.Now()}}
			g.watch()
			if g.view().Data().LossByArm {
				t.Error("a new attempt begins anew")
			}
		})
	}
}

func TestLossesRefuseRubbish(t *testing.T) {
	g := newRig(t, nil)
	if got := takeLosses(map[string]store.Value{lossPrefix + "x": {Text: "{"}, lossPrefix + "y": {Text: `{"attempt":2}`}}, g.e.log); len(got) != 1 || got["y"].Attempt != 2 {
		t.Errorf("%+v", got)
	}
}

// TestAlarmsStand: what was alarmed of stands until the attempt ends, though the
// numbers become even again and the process begins anew.
func TestAlarmsStand(t *testing.T) {
	g := newRig(t, nil)
	hour := func(silentNew, silentOld int64) {
		g.e.mu.Lock()
		l := &g.e.rollouts["demo-1"].loss
		l.Attempt, l.Runs = 1, 1
		l.Closed = append(l.Closed, stats.Block{New: 200, BadNew: silentNew, Old: 200, BadOld: silentOld})
		l.judge()
		l.dirty = true
		g.e.mu.Unlock()
	}
	for range 2 {
		hour(80, 40)
	}
	if !g.view().Data().LossByArm {
		t.Fatal("no alarm of 80 against 40 of 200")
	}
	for range 12 {
		hour(40, 40)
	}
	g.clock.Advance(time.Minute)
	g.send(g.failure("u0", "info"))
	g.restart()
	if !g.view().Data().LossByArm {
		t.Error("the alarm of lost telemetry is gone")
	}
	see := func(fresh, old int) {
		g.e.mu.Lock()
		defer g.e.mu.Unlock()
		r := g.e.rollouts["demo-1"]
		r.sight(1, 0, judge.AssignedNew, 1) // there are counts
		n := r.ratio.counts[0]
		n[0], n[1] = n[0]+int64(fresh), n[1]+int64(old)
		r.settle(toMS(g.clock.Now()))
	}
	see(640, 460)
	if !g.view().Data().Mismatch {
		t.Fatal("640 against 460 of an even split is no alarm")
	}
	see(2000, 2000)
	if !g.view().Data().Mismatch {
		t.Error("the alarm of group sizes is gone")
	}
	g.clock.Advance(time.Minute)
	g.send(g.failure("u0", "info"))
	g.restart()
	if !g.view().Data().Mismatch {
		t.Error("the alarm of group sizes is gone after a restart")
	}
}
