package controller_test

import (
	"strings"
	"time"

	"serin/internal/rollout"
)

// stood are rollouts that wait, and say for what.
var stood = []scenario{
	{
		name: "S3 override",
		plan: []string{"roles: {", "roles: { dev: { who: \"@dev\", may: [promote] },"},
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:30")
			r.refused(422, "reason", "lead", rollout.Promote)
			r.refused(403, "override", "dev", rollout.Promote, reason("known good"))
			first := r.lead(rollout.Promote, reason("known good"), commandID("c-1"))
			again := r.lead(rollout.Promote, reason("known good"), commandID("c-1"))
			if len(first.Events) == 0 || len(again.Events) == 0 || again.Events[len(again.Events)-1].Pos != first.Events[len(first.Events)-1].Pos {
				r.Errorf("the repeat answers %v, the first time it was %v", again.Events, first.Events)
			}
			v := r.view()
			if v.State.Bake != 0 || !v.Stages[0].Overridden {
				r.Errorf("bake %v, c10 overridden %v; want 0 and true", v.State.Bake, v.Stages[0].Overridden)
			}
			if e := r.of(rollout.Advanced); len(e) != 1 || e[0].Reason != "known good" {
				r.Errorf("advanced: %+v", e)
			}
			r.exposure(25)
		},
		want: `
			0:00 started c10
			0:30 advanced r25 overridden by lead`,
	},
	{
		name: "S3 no override of a rollback rule",
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:29")
			r.send(r.p1(6)...)
			r.drive("0:30")
			r.refused(409, "rolled back", "lead", rollout.Promote, reason("known good"))
			r.exposure(0)
		},
		want: `
			0:00 started c10
			0:29 rolled_back p1 > 5 over 1h`,
	},
	{
		name: "S3 no override of a checklist",
		plan: []string{"traffic: 25%,", "traffic: 25%, before: [look],"},
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:30")
			r.refused(409, "look", "lead", rollout.Promote, reason("known good"))
		},
		want: `0:00 started c10`,
	},
	{
		name: "S4 waiting for approval",
		plan: approval,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:05")
			r.waiting("approval lead")
			checks := len(r.of(rollout.Checked))
			r.drive("4:00")
			r.waiting("approval lead")
			r.exposure(10)
			if more := len(r.of(rollout.Checked)) - checks; more < 7 {
				r.Errorf("only %d checks while it waited", more)
			}
			r.lead(rollout.Approve)
			r.drive("4:02")
		},
		want: `
			0:00 started c10
			3:58-4:02 approved by lead
			3:58-4:02 advanced r25`,
	},
	{
		name: "S4 rolled back while waiting",
		plan: approval,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("3:00")
			r.send(r.p1(6)...)
			r.drive("4:00")
			r.refused(409, "", "lead", rollout.Approve)
			r.exposure(0)
		},
		want: `
			0:00 started c10
			3:00 rolled_back p1 > 5 over 1h`,
	},
	{
		name: "S4 approved before the end of bake, paused and resumed",
		plan: approval,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:30")
			r.lead(rollout.Approve)
			r.drive("0:40")
			r.lead(rollout.Pause)
			r.drive("0:50")
			r.lead(rollout.Resume)
			r.drive("2:20")
		},
		want: `
			0:00 started c10
			0:30 approved by lead
			0:40 paused by lead
			0:50 resumed by lead
			2:10 advanced r25`,
	},
	{
		name: "S4 reduce voids the approval",
		plan: approval,
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("0:30")
			r.lead(rollout.Approve)
			r.drive("1:00")
			r.lead(rollout.Reduce, percent(1000))
			r.exposure(1)
			r.drive("1:10")
			r.lead(rollout.Resume)
			if b := r.view().State.Bake; b != 0 {
				r.Errorf("bake is %v, want 0", b)
			}
			r.drive("3:30")
			r.waiting("approval lead")
		},
		want: `
			0:00 started c10
			0:30 approved by lead
			1:00 reduced 1% by lead
			1:10 resumed by lead`,
	},
	{
		name: "S5 silence",
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:20")
			r.silent = true
			r.drive("2:40")
			r.waiting("no data")
			r.drive("5:00")
			r.exposure(25)
			if b := r.view().State.Bake; b > 30*time.Minute {
				r.Errorf("bake grew to %v in the silence", b)
			}
			r.silent = false
			r.drive("5:50")
			pages := 0
			for _, n := range r.team.messages() {
				if strings.HasPrefix(n.Title, "no data") {
					pages++
				}
			}
			if pages != 1 {
				r.Errorf("%d pages, want 1", pages)
			}
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			2:30 no_data
			3:20 no_data paged
			5:00 data_back
			5:30-5:45 advanced r50`,
	},
	{
		name: "S8 no proof either way, asked",
		plan: unproved("ask"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("3:00")
			r.waiting("decision errors")
			r.exposure(10)
			r.drive("5:00")
			r.notices(`
				started: c10
				decision needed: errors
				decision needed: errors`)
			for _, n := range r.team.messages() {
				if n.Link != "https://serin.test/rollouts/rig-1" {
					r.Errorf("%s: link %q", n.Title, n.Link)
				}
			}
			r.lead(rollout.Accept, reason("too few errors to tell"))
			r.drive("5:02")
		},
		want: `
			0:00 started c10
			2:00 asked errors <= +5% vs control
			4:00 asked errors <= +5% vs control again
			5:00 accepted by lead
			5:00 advanced r25`,
	},
	{
		name: "S8 no proof either way, passed",
		plan: unproved("pass"),
		do:   func(r *rig) { r.lead(rollout.Start); r.drive("2:05") },
		want: `
			0:00 started c10
			2:00 advanced r25`,
	},
	{
		name: "S8 no proof either way, held",
		plan: unproved("hold"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("24:00")
			r.waiting("evidence errors")
			r.notices(`started: c10`)
			r.refused(409, "", "lead", rollout.Accept, reason("too few errors to tell"))
		},
		want: `0:00 started c10`,
	},
	{
		name: "S11 where the time went",
		plan: windowed,
		do: func(r *rig) {
			r.whereTheTimeWent()
			r.account(map[string]time.Duration{
				"bake": 8 * time.Hour, "waiting:no data": 30 * time.Minute, "paused": 30 * time.Minute,
				"waiting:approval": time.Hour, "waiting:window": 30 * time.Minute, "down": 10 * time.Minute,
			})
			s := r.view().State
			if s.Status != rollout.Done || s.FinishedAt.Sub(clockTime("10:40")).Abs() > 15*time.Minute {
				r.Errorf("%s at %s, want finished at 10:40", s.Status, sinceBegin(s.FinishedAt))
			}
		},
	},
	{
		name: "S11 with a clean-up",
		plan: append([]string{"rollback:", "cleanup: { owner: lead, tasks: [{ id: docs, do: Docs }] }\nrollback:"}, windowed...),
		do: func(r *rig) {
			r.whereTheTimeWent()
			began := r.view().State.CleanupAt
			r.sleepTo(began.Add(30 * time.Minute))
			r.lead(rollout.Complete, item("docs"))
			r.sleepTo(began.Add(time.Hour))
			r.lead(rollout.Finish)
			r.account(map[string]time.Duration{
				"bake": 8 * time.Hour, "waiting:no data": 30 * time.Minute, "paused": 30 * time.Minute, "cleanup": time.Hour,
				"waiting:approval": time.Hour, "waiting:window": 30 * time.Minute, "down": 10 * time.Minute,
			})
		},
	},
}

var (
	approval = []string{"traffic: 25%,", "traffic: 25%, approve: lead,"}
	windowed = []string{"traffic: 25%,", "traffic: 25%, approve: lead,", "traffic: 50%,", "traffic: 50%, at: \"14:30-18:00\","}
)

func unproved(inconclusive string) []string {
	return []string{"proceed: ok,", "proceed: [errors <= +5% vs control], inconclusive: " + inconclusive + ","}
}

// whereTheTimeWent drives a rollout through every kind of standing still.
func (r *rig) whereTheTimeWent() {
	r.Helper()
	r.lead(rollout.Start)
	r.drive("0:30")
	r.silent = true
	r.drive("1:10")
	r.silent = false
	r.drive("1:30")
	r.lead(rollout.Pause)
	r.drive("2:00")
	r.lead(rollout.Resume)
	r.drive("4:00")
	r.lead(rollout.Approve)
	r.drive("5:40")
	r.down()
	r.drive("5:50")
	r.up()
	r.drive("10:55")
}
