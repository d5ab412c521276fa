package controller_test

import (
	"math"
	"regexp"
	"testing/synctest"
	"time"

	"serin/internal/rollout"
)

// lcpNotice is the notice of a roll back for latency.
var lcpNotice = regexp.MustCompile(`^rolled back: lcp \+[3-9][0-9] % vs control over 1h, limit \+30 %$`)

// lowered are rollouts that are rolled back or not.
var lowered = []scenario{
	{
		name:    "S2a regression at a raise",
		prepare: everybody,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:00")
			r.slower = 1.6
			r.drive("2:40")
			r.rolledBackForLCP()
			r.exposure(0)
			r.slower, r.every = 1, few
			r.drive("26:40")
			messages := r.team.messages()
			if last := messages[len(messages)-1].Title; !lcpNotice.MatchString(last) {
				r.Errorf("the last notice is %q", last)
			}
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			2:10-2:30 rolled_back lcp > +30% vs reference over 1h`,
	},
	{
		name: "S9b the sixth event rolls back on its arrival",
		do: func(r *rig) {
			r.singles("0:10", "0:12", "0:30", "0:40", "0:50")
			r.drive("0:55")
			r.exposure(10)
			r.send(r.p1(1)...)
			synctest.Wait()
			r.exposure(0)
			e := r.of(rollout.RolledBackEvent)
			if len(e) != 1 || e[0].Verdict == nil || *e[0].Verdict.Value != 6 || e[0].Verdict.Limit != 5 {
				r.Errorf("rolled_back carries %+v, want value 6 and limit 5", e)
			}
		},
		want: `
			0:00 started c10
			0:55 rolled_back p1 > 5 over 1h`,
	},
	{
		name:    "S7 roll back, restart, finish",
		prepare: everybody,
		plan:    []string{"rollback:", "actions: { restart: { from: c10, after: 1h, needs: [cause, approval] } }\nrollback:"},
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:40")
			first := r.onNew()
			r.exposure(10)
			r.send(r.p1(6)...)
			r.drive("1:00")
			r.exposure(0)
			r.refused(409, "restart.after", "lead", rollout.Restart, cause("fixed #12"))
			r.drive("1:45")
			r.refused(422, "cause", "lead", rollout.Restart)
			r.lead(rollout.Restart, cause("fixed #12"))
			again := r.onNew()
			for n := range again {
				if !first[n] {
					r.Errorf("user %d of attempt 2 was not on new in attempt 1", n)
				}
			}
			if len(again) != len(first) {
				r.Errorf("%d users on new in attempt 2, %d in attempt 1", len(again), len(first))
			}
			for _, at := range []struct {
				time     string
				exposure float64
			}{{"3:40", 10}, {"4:40", 25}, {"5:40", 50}, {"6:40", 75}, {"10:15", 100}} {
				r.drive(at.time)
				r.exposure(at.exposure)
			}
		},
		want: `
			0:00 started c10
			0:40 rolled_back p1 > 5 over 1h
			1:45 restarted c10 attempt 2 by lead
			3:45 advanced r25
			4:45 advanced r50
			5:45 advanced r75
			6:45 advanced full
			9:45 advanced cleanup
			9:45 finished`,
	},
	{
		name:    "S2b regression in mid stage",
		prepare: everybody,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("1:00")
			r.slower = 1.6
			r.drive("2:20")
			r.rolledBackForLCP()
			r.exposure(0)
		},
		want: `
			0:00 started c10
			1:45-2:10 rolled_back lcp > +30% vs reference over 1h`,
	},
	{
		name:    "S2c harm below the limit waits",
		prepare: everybody,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.slower = 1.15
			r.drive("4:00")
			r.waiting("criteria lcp")
			v := r.verdict(r.view().Rollback, "lcp > +30% vs reference over 1h")
			if !v.Harm || v.Value == nil || math.Abs(*v.Value-0.15) > 0.05 {
				r.Errorf("harm %v, value %v; want harm shown, about +15 %%", v.Harm, v.Value)
			}
			r.every = few
			r.drive("24:00")
			if n := len(r.of(rollout.RolledBackEvent)); n > 0 {
				r.Errorf("%d roll backs", n)
			}
		},
	},
	{
		name: "S9a five events stay below the limit",
		do: func(r *rig) {
			r.singles("0:10", "0:12", "0:30", "0:40", "0:50")
			r.drive("2:30")
			r.waiting("criteria p1")
			r.exposure(10)
			r.notices(`
				started: c10
				check of c10 is red`)
		},
		want: `0:00 started c10`,
	},
	{
		name: "S9c the sixth event when two have left the hour",
		do: func(r *rig) {
			r.singles("0:10", "0:12", "0:30", "0:40", "0:50")
			r.drive("1:15")
			r.send(r.p1(1)...)
			r.drive("2:30")
			r.exposure(10)
		},
		want: `0:00 started c10`,
	},
	{
		name: "S9d one event sent six times",
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:20")
			e := r.p1(1)[0]
			for range 6 {
				r.send(e)
			}
			r.drive("0:30")
			if v := r.verdict(r.view().Rollback, "p1 > 5 over 1h"); v.Value == nil || *v.Value != 1 {
				r.Errorf("p1 is counted as %v, want 1", v.Value)
			}
		},
		want: `0:00 started c10`,
	},
	{
		name: "S9e events that come late",
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:30")
			late := r.p1(6)
			for i := range late {
				late[i].Time = time.Now().Add(-15 * time.Minute)
			}
			r.send(late...)
			r.drive("0:40")
			r.exposure(10)
			if v := r.verdict(r.view().Rollback, "p1 > 5 over 1h"); v.Value == nil || *v.Value != 0 {
				r.Errorf("p1 is counted as %v, want 0", v.Value)
			}
			// twenty points of a minute each around 0:15, where they are stamped
			s, err := r.c.Series(r.Context(), "rig-1", "p1", clockTime("0:06"), clockTime("0:26"), 600)
			var sum float64
			for _, v := range s.Canary {
				if v != nil {
					sum += *v
				}
			}
			if err != nil || sum != 6 {
				r.Errorf("the chart shows %v events (%v), want 6", sum, err)
			}
		},
		want: `0:00 started c10`,
	},
	{
		name: "S10 restart at the furthest stage allowed",
		plan: restartFrom("r50"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("4:10")
			r.exposure(75)
			r.send(r.p1(6)...)
			r.drive("4:12")
			r.exposure(0)
			r.refused(409, "restart.from", "lead", rollout.Restart, to("r75"), cause("fixed"))
			r.lead(rollout.Restart, to("r50"), cause("fixed"))
			r.exposure(50)
			if b := r.view().State.Bake; b != 0 {
				r.Errorf("bake is %v, want 0", b)
			}
			r.drive("5:20")
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			3:00 advanced r50
			4:00 advanced r75
			4:10 rolled_back p1 > 5 over 1h
			4:12 restarted r50 attempt 2 by lead
			5:12 advanced r75`,
	},
	{
		name: "S10 restart from the first stage only",
		plan: restartFrom("c10"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("4:10")
			r.send(r.p1(6)...)
			r.drive("4:12")
			r.refused(409, "restart.from", "lead", rollout.Restart, to("r50"), cause("fixed"))
			r.lead(rollout.Restart, to("c10"), cause("fixed"))
			r.exposure(10)
		},
	},
	{
		name: "S10 restart at a stage not reached",
		plan: restartFrom("r50"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:10")
			r.send(r.p1(6)...)
			r.drive("2:12")
			r.refused(409, "not reached", "lead", rollout.Restart, to("r50"), cause("fixed"))
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			2:10 rolled_back p1 > 5 over 1h`,
	},
	{
		name: "S10 hotfix",
		plan: []string{"{ key: rig }", "{ key: rig, include: { users: [boss] } }"},
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:05")
			r.slower = 1.2
			r.drive("2:20")
			if got := r.evaluate("boss"); got != "new" {
				r.Errorf("an included user is on %s", got)
			}
			r.lead(rollout.Reduce, hotfix)
			r.exposure(0)
			if got := r.evaluate("boss"); got != "old" {
				r.Errorf("an included user is on %s after the hotfix", got)
			}
			r.slower = 1
			r.drive("2:40")
			r.refused(409, "deploy", "lead", rollout.Resume)
			r.lead(rollout.Deploy, release("1.4.3", "abc"))
			r.lead(rollout.Resume)
			r.exposure(25)
			s := r.view().State
			if s.Status != rollout.Running || s.Stage != 1 || s.Attempt != 1 || s.Bake != 0 {
				r.Errorf("%s at stage %d of attempt %d with bake %v", s.Status, s.Stage, s.Attempt, s.Bake)
			}
			r.drive("2:42")
			if v := r.verdict(r.view().Rollback, "lcp > +30% vs reference over 1h"); v.LogE != nil && *v.LogE != 0 {
				r.Errorf("ln E is %v, want 0", *v.LogE)
			}
			r.drive("3:45")
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			2:20 reduced 0% hotfix by lead
			2:40 deployed by lead
			2:40 resumed by lead
			3:40 advanced r50`,
	},
}

func restartFrom(stage string) []string {
	return []string{"rollback:", "actions: { restart: { from: " + stage + ", after: 0m, needs: [cause] } }\nrollback:"}
}

// rolledBackForLCP checks what the roll back of a latency regression carries.
func (r *rig) rolledBackForLCP() {
	r.Helper()
	events := r.of(rollout.RolledBackEvent)
	if len(events) != 1 || events[0].Verdict == nil {
		r.Errorf("%d roll backs with a verdict, want 1", len(events))
		return
	}
	v := events[0].Verdict
	switch {
	case v.Ref != "control" || v.Limit != 0.3 || v.Value == nil || *v.Value < 0.3:
		r.Errorf("rolled back with %+v, want reference control, limit 0.3 and a value beyond it", v)
	case v.LogE == nil || v.LogLimit == nil || *v.LogE < *v.LogLimit:
		r.Errorf("rolled back with ln E %v, threshold %v", v.LogE, v.LogLimit)
	}
}

// singles starts and sends one p1 at each of the times.
func (r *rig) singles(times ...string) {
	r.Helper()
	r.lead(rollout.Start)
	for _, at := range times {
		r.drive(at)
		r.send(r.p1(1)...)
	}
}
