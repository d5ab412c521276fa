package controller_test

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/rollout"
)

// scenario is one acceptance scenario: what is done with the service, and the
// journal that it must leave.
type scenario struct {
	name string
	plan []string // edits of the rig's plan: pairs of old and new text
	// before is how many minutes of telemetry come before T, prepare what is
	// changed about the rig before them.
	before  int
	prepare func(r *rig)
	do      func(r *rig)
	want    string // the journal; "" is not compared
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRigAfter(t, max(s.before, warmUp), s.prepare, s.plan...)
				s.do(r)
				if s.want != "" {
					r.events(s.want)
				}
			})
		})
	}
}

// lcpNotice is the notice of a roll back for latency.
var lcpNotice = regexp.MustCompile(`^rolled back: lcp \+[3-9][0-9] % vs control over 1h, limit \+30 %$`)

var scenarios = slices.Concat(steady, lowered, stood, told, judged)

// steady are rollouts in which things go well, or as people want them.
var steady = []scenario{
	{
		name: "S1 healthy run",
		do: func(r *rig) {
			r.lead(rollout.Start)
			var before map[int]bool
			for _, at := range []struct {
				time     string
				exposure float64
			}{{"1:55", 10}, {"2:55", 25}, {"3:55", 50}, {"4:55", 75}, {"5:10", 100}, {"8:30", 100}} {
				r.drive(at.time)
				r.exposure(at.exposure)
				now := r.onNew()
				for n := range before {
					if !now[n] {
						r.Errorf("%s: user %d is no longer on new", at.time, n)
					}
				}
				before = now
			}
			r.advancesAreProved()
			checks := r.of(rollout.Checked)
			if len(checks) != 32 {
				r.Errorf("%d checks, want 32", len(checks))
			}
			for _, e := range checks {
				if len(e.Red) > 0 {
					r.Errorf("%s: check is red: %v", sinceBegin(e.At), e.Red)
				}
			}
			r.notices(`
				started: c10
				advanced: r25
				advanced: r50
				advanced: r75
				advanced: full
				clean-up began
				finished`)
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			3:00 advanced r50
			4:00 advanced r75
			5:00 advanced full
			8:00 advanced cleanup
			8:00 finished`,
	},
}

// lowered are rollouts that are rolled back or not.
var lowered = []scenario{
	{
		name: "S2a regression at a raise",
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:00")
			r.slower = 1.6
			r.drive("2:40")
			r.rolledBackForLCP()
			r.exposure(0)
			r.slower = 1
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
		name: "S7 roll back, restart, finish",
		plan: []string{"rollback:", "actions: { restart: { from: c10, after: 1h, needs: [cause, approval] } }\nrollback:"},
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
		name: "S2b regression in mid stage",
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
		name: "S2c harm below the limit waits",
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.slower = 1.15
			r.drive("4:00")
			r.waiting("criteria lcp")
			v := r.verdict(r.view().Rollback, "lcp > +30% vs reference over 1h")
			if !v.Harm || v.Value == nil || math.Abs(*v.Value-0.15) > 0.05 {
				r.Errorf("harm %v, value %v; want harm shown, about +15 %%", v.Harm, v.Value)
			}
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
			s, err := r.c.Series(r.Context(), "rig-1", "p1", rigBegin, time.Now(), 600)
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
		plan: []string{"{ key: rig }", "{ key: rig, include: { users: [vip] } }"},
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("2:05")
			r.slower = 1.2
			r.drive("2:20")
			if got := r.evaluate("vip"); got != "new" {
				r.Errorf("an included user is on %s", got)
			}
			r.lead(rollout.Reduce, hotfix)
			r.exposure(0)
			if got := r.evaluate("vip"); got != "old" {
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
			2:20 reduced 0 % hotfix by lead
			2:40 deployed by lead
			2:40 resumed by lead
			3:40 advanced r50`,
	},
}

func restartFrom(stage string) []string {
	return []string{"rollback:", "actions: { restart: { from: " + stage + ", after: 0m, needs: [cause] } }\nrollback:"}
}

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
			1:00 reduced 1 % by lead
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

// told are rollouts of which people hear, whatever happens to the messages.
var told = []scenario{
	{
		name: "S6 notices over a restart",
		do: func(r *rig) {
			r.team.fails = 2
			r.team.onAccept = func(n notify.Notice) {
				if n.Type == string(rollout.RolledBackEvent) && r.variantOfAnybody() {
					r.Errorf("%s was accepted before the roll back was served", n.ID)
				}
			}
			r.lead(rollout.Start)
			r.drive("2:30")
			r.restart()
			r.drive("4:10")
			r.send(r.p1(6)...)
			r.drive("4:15")
			r.notices(`
				started: c10
				advanced: r25
				advanced: r50
				advanced: r75
				rolled back: p1 6 over 1h`)
			if len(r.team.tries) != 5 {
				r.Errorf("%d ids, want 5: %v", len(r.team.tries), r.team.tries)
			}
			for id, n := range r.team.tries {
				if n != 3 {
					r.Errorf("%s was sent %d times, want 3", id, n)
				}
			}
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			3:00 advanced r50
			4:00 advanced r75
			4:10 rolled_back p1 > 5 over 1h`,
	},
	{
		name:    "S13 quiet night",
		plan:    []string{"bake: 2h", "bake: 16h"},
		before:  24 * 60,
		prepare: func(r *rig) { r.office = true },
		do: func(r *rig) {
			r.drive("8:00")
			r.lead(rollout.Start)
			r.drive("9:15")
			told, logE := len(r.team.messages()), r.lcpLogE()
			for _, at := range []string{"9:20", "12:00", "18:00", "21:30"} {
				r.drive(at)
				r.waiting("bake")
				if note := r.view().Note; note != "quiet" {
					r.Errorf("%s: note %q, want quiet", at, note)
				}
			}
			r.drive("22:00")
			if b := r.view().State.Bake; (b - 14*time.Hour).Abs() > slack {
				r.Errorf("bake is %v at 22:00, want 14h", b)
			}
			r.drive("22:45")
			if now := r.lcpLogE(); now != logE {
				r.Errorf("ln E of lcp moved from %v to %v in the night", logE, now)
			}
			if n := len(r.team.messages()); n != told {
				r.Errorf("%d notices in the night", n-told)
			}
			for _, e := range r.of(rollout.Checked) {
				if len(e.Red) > 0 {
					r.Errorf("%s: check is red: %v", sinceBegin(e.At), e.Red)
				}
			}
			r.drive("24:30")
		},
		want: `
			8:00 started c10
			24:00 advanced r25`,
	},
	{
		name:    "S13 the check-ins stop too",
		plan:    []string{"bake: 2h", "bake: 16h"},
		before:  24 * 60,
		prepare: func(r *rig) { r.office = true },
		do: func(r *rig) {
			r.drive("8:00")
			r.lead(rollout.Start)
			r.drive("12:00")
			r.checkIn = false
			r.drive("14:00")
			if b := r.view().State.Bake; (b - 4*time.Hour - 10*time.Minute).Abs() > slack {
				r.Errorf("bake is %v, want 4h10m", b)
			}
		},
		want: `
			8:00 started c10
			12:10 no_data
			13:00 no_data paged`,
	},
	{
		name:   "S13 people are usual at night",
		plan:   []string{"bake: 2h", "bake: 16h"},
		before: 24 * 60,
		do: func(r *rig) {
			r.drive("8:00")
			r.lead(rollout.Start)
			r.drive("8:01")
			r.office = true
			r.drive("10:10")
		},
		want: `
			8:00 started c10
			9:10 no_data
			10:00 no_data paged`,
	},
}

// judged are rollouts with metrics of their own.
var judged = []scenario{
	{
		name: "S12 dry metric",
		plan: dryMetric(", dry: true"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("1:30")
			v := r.view()
			for _, red := range []struct {
				judge.Verdict
				status judge.Status
			}{
				{r.verdict(v.Rollback, "canary_lcp > 1s over 10m"), judge.Met},
				{r.verdict(v.Proceed, "canary_lcp < 1s"), judge.NotMet},
			} {
				if red.Status != red.status || !red.Dry || red.Value == nil || math.Abs(*red.Value/2000-1) > 0.03 {
					r.Errorf("%s is %s, dry %v, value %v", red.Rule, red.Verdict.Status, red.Dry, red.Value)
				}
			}
			r.drive("8:10")
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			3:00 advanced r50
			4:00 advanced r75
			5:00 advanced full
			8:00 advanced cleanup
			8:00 finished`,
	},
	{
		name: "S12 the same metric not dry",
		plan: dryMetric(""),
		do:   func(r *rig) { r.lead(rollout.Start); r.drive("0:20") },
		want: `
			0:00 started c10
			0:10 rolled_back canary_lcp > 1s over 10m`,
	},
	{
		name:    "S14 blind guard",
		plan:    guardedPool,
		prepare: seeing,
		do: func(r *rig) {
			r.untilBlind()
			r.drive("2:30")
			r.waiting("blind: pool")
			if b := r.view().State.Bake; b != 2*time.Hour {
				r.Errorf("bake is %v, want 2h", b)
			}
			r.refused(409, "", "lead", rollout.Accept, reason("x"))
			r.refused(409, "blind", "lead", rollout.Promote, reason("x"))
			r.drive("3:00")
			seeing(r)
			r.drive("3:05")
			pages := 0
			for _, n := range r.team.messages() {
				if strings.HasPrefix(n.Title, "blind") {
					pages++
				}
			}
			if pages != 1 {
				r.Errorf("%d pages, want 1", pages)
			}
		},
		want: `
			0:00 started c10
			0:30 blind pool
			1:20 blind pool paged
			3:00 sighted
			3:00 advanced r25`,
	},
	{
		name:    "S14 other rules are judged while blind",
		plan:    guardedPool,
		prepare: seeing,
		do: func(r *rig) {
			r.untilBlind()
			r.drive("1:00")
			r.send(r.p1(6)...)
			r.drive("1:02")
			r.exposure(0)
		},
		want: `
			0:00 started c10
			0:30 blind pool
			1:00 rolled_back p1 > 5 over 1h`,
	},
	{
		name:    "S14 revised without the rule",
		plan:    append([]string{"restart] }", "restart, revise] }"}, guardedPool...),
		prepare: seeing,
		do: func(r *rig) {
			r.untilBlind()
			r.drive("2:30")
			r.revise(", pool >= 100% for 1m]", "]")
			if v := r.view(); v.State.Bake != 0 || len(v.State.Blind) > 0 {
				r.Errorf("bake %v, blind %v", v.State.Bake, v.State.Blind)
			}
			r.drive("4:35")
		},
		want: `
			0:00 started c10
			0:30 blind pool
			1:20 blind pool paged
			2:30 revised by lead
			4:30 advanced r25`,
	},
}

func dryMetric(dry string) []string {
	return []string{
		"criteria:", "metrics: { canary_lcp: { p75: measurements.lcp" + dry + " } }\ncriteria:",
		"over 1h]", "over 1h, canary_lcp > 1s over 10m]",
		"proceed: ok,", "proceed: [ok, canary_lcp < 1s],",
	}
}

var guardedPool = []string{
	"criteria:", "metrics: { pool: { gauge: pool_used, source: prometheus, unit: \"%\" } }\ncriteria:",
	"reference over 1h]", "reference over 1h, pool >= 100% for 1m]",
}

// seeing lets the double of Prometheus answer.
func seeing(r *rig) { r.pool = &judge.Source{State: judge.Delivering, Name: "prometheus"} }

// untilBlind starts, and lets Prometheus fail from 0:20 on, which shows when
// the grace of ten minutes is over.
func (r *rig) untilBlind() {
	r.Helper()
	r.lead(rollout.Start)
	r.drive("0:30")
	r.pool = &judge.Source{State: judge.Failing, Name: "prometheus", Error: "empty result", Since: clockTime("0:20")}
	r.drive("0:32")
	r.waiting("blind: pool")
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

// variantOfAnybody reports whether anybody is served new.
func (r *rig) variantOfAnybody() bool { return len(r.onNew()) > 0 }

func (r *rig) lcpLogE() float64 {
	r.Helper()
	if v := r.verdict(r.view().Rollback, "lcp > +30% vs reference over 1h"); v.LogE != nil {
		return *v.LogE
	}
	r.Errorf("%s: no ln E of lcp", r.now())
	return math.NaN()
}

// advancesAreProved checks that every raise carries the values it rested on,
// and that no two came within a tick.
func (r *rig) advancesAreProved() {
	r.Helper()
	var last rollout.Event
	for _, e := range r.of(rollout.Advanced) {
		seen := map[string]bool{}
		for _, v := range e.Verdicts {
			seen[v.Metric] = v.Value != nil
		}
		if !seen["p1"] || !seen["errors"] || !seen["lcp"] {
			r.Errorf("advanced %s has the values %v, want p1, errors and lcp", e.To, seen)
		}
		if e.At.Sub(last.At) < 60e9 {
			r.Errorf("advanced %s and %s within one tick", last.To, e.To)
		}
		last = e
	}
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
