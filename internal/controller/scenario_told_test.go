package controller_test

import (
	"math"
	"strings"
	"time"

	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/rollout"
)

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
		before:  evening,
		prepare: func(r *rig) { r.office, r.skip = true, untilAfternoon },
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
		before:  evening,
		prepare: func(r *rig) { r.office, r.skip = true, untilAfternoon },
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
		name:    "S13 people are usual at night",
		plan:    []string{"bake: 2h", "bake: 16h"},
		before:  evening,
		prepare: func(r *rig) { r.skip = untilAfternoon },
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
		name:    "S12 dry metric",
		prepare: everybody,
		plan:    dryMetric(", dry: true"),
		do: func(r *rig) {
			r.lead(rollout.Start)
			r.drive("1:55")
			red := r.verdict(r.view().Proceed, "canary_lcp < 1s")
			r.drive("5:30") // so that ten minutes hold enough loads for ±3 %
			v := r.view()
			for _, red := range []struct {
				judge.Verdict
				status judge.Status
			}{
				{r.verdict(v.Rollback, "canary_lcp > 1s over 10m"), judge.Met},
				{red, judge.NotMet},
			} {
				if red.Status != red.status || !red.Dry || red.Value == nil || math.Abs(*red.Value/2000-1) > 0.03 {
					r.Errorf("%s is %s, dry %v: %s", red.Rule, red.Verdict.Status, red.Dry, red.Why)
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

// evening is how long before T it was five in the afternoon, in minutes. The
// rollouts of S13 know of that evening; what comes between its first hours and
// the minutes before their start does not matter and is skipped.
const evening = 16 * 60

var untilAfternoon = [2]int{-13 * 60, 7*60 + 30}

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
func seeing(r *rig) { r.pool.Store(&judge.Source{State: judge.Delivering, Name: "prometheus"}) }

// untilBlind starts, and lets Prometheus fail from 0:20 on, which shows when
// the grace of ten minutes is over.
func (r *rig) untilBlind() {
	r.Helper()
	r.lead(rollout.Start)
	r.drive("0:30")
	r.pool.Store(&judge.Source{State: judge.Failing, Name: "prometheus", Error: "empty result", Since: clockTime("0:20")})
	r.drive("0:32")
	r.waiting("blind: pool")
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
