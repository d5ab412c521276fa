package simulate

import (
	"slices"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// run is one rollout played from its start to its end.
type run struct {
	*world
	site    *site
	state   rollout.State
	held    judge.Held
	out     outcome
	healthy bool

	counting map[*plan.Rule]bool  // guards with "for" that hold, and count
	hours    map[*plan.Rule]int64 // hour up to which a guard on the baseline was judged
	levels   map[string]float64
	now      time.Duration
	looked   time.Duration   // when the criteria were last judged in this stage; -1 = not yet
	opens    []time.Duration // openings, as of the last look
	bakeEnd  time.Duration   // when the stage's bake was complete; -1 = not yet
	over     bool            // nobody can take it further
}

// play carries one run through.
func play(w *world, e Effect, seed uint64, number int) outcome {
	r := &run{world: w, site: newSite(w, e, newRand(seed, number)), held: judge.Held{}, healthy: e == Effect{}, counting: map[*plan.Rule]bool{}, hours: map[*plan.Rule]int64{}}
	r.levels = judge.Levels(w.plan, w.plan, 0, w.plan.Judge.FalseRollback)
	r.out.stages = make([]stageOutcome, len(w.plan.Stages))
	r.begin()
	for longest := w.longest(); r.state.Status == rollout.Running && !r.over && r.now < longest; {
		next := r.next()
		r.site.until(next)
		if r.guards(next) {
			break
		}
		r.now = next
		r.stop()
	}
	r.end()
	return r.out
}

// begin creates and starts the rollout.
func (r *run) begin() {
	r.step(rollout.Input{Command: &rollout.Command{Verb: rollout.Create}})
	r.site.enter(0, r.share(0))
	r.step(rollout.Input{Command: &rollout.Command{Verb: rollout.Start}})
	r.arrive()
}

func (r *run) share(stage int) float64 {
	return float64(r.plan.Exposure(stage)) / float64(flag.Everyone)
}

// arrive is the begin of a stage.
func (r *run) arrive() {
	r.looked, r.bakeEnd = -1, -1
	r.out.stages[r.state.Stage].reached = true
}

// step lets the state machine decide at the present age.
func (r *run) step(in rollout.Input) []rollout.Event {
	in.Wall, in.Mono, in.Covered = r.wall(), r.now, r.now
	before := r.state.Stage
	next, events, _ := rollout.Step(r.plan, r.state, in)
	r.state = next
	for i := range events {
		r.note(&events[i])
	}
	if next.Status == rollout.Running && next.Stage != before {
		r.site.enter(next.Stage, r.share(next.Stage))
		r.arrive()
	}
	return events
}

func (r *run) wall() time.Time { return r.cycle.start.Add(r.now) }

func (r *run) place() judge.Place {
	s, share := &r.state, float64(r.state.Exposure)/float64(flag.Everyone)
	return judge.Place{
		Stage: s.Stage, Planned: len(r.plan.Stages), Exposure: share, ControlShare: 1 - share,
		StageBegan: s.StageAt, AttemptBegan: s.AttemptAt, RolloutBegan: s.StartedAt, EvidenceBegan: s.EvidenceAt, MismatchAccepted: s.MismatchAccepted(),
		Levels: r.levels,
	}
}

// judge asks the real judge about rules, as of an age.
func (r *run) judge(list []*plan.Rule, use judge.Use, at time.Duration) []judge.Verdict {
	if len(list) == 0 {
		return []judge.Verdict{}
	}
	verdicts, held := judge.Judge(r.plan, list, use, r.place(), evidence{r.site, at}, r.held, r.cycle.start.Add(at))
	r.held = held
	return verdicts
}

// stage is the stage that the run is in.
func (r *run) stage() *plan.Stage { return &r.plan.Stages[r.state.Stage] }

// baked is the bake as of now.
func (r *run) baked() time.Duration {
	return min(r.stage().Bake, r.state.Bake+r.now-r.age(r.state.At))
}

func (r *run) age(t time.Time) time.Duration { return t.Sub(r.cycle.start) }

// gated reports whether the run waits at a gate: bake is complete, or might
// count as complete early.
func (r *run) gated() bool {
	st := r.stage()
	return r.baked() >= st.Bake || st.Early != nil && r.baked() >= st.Early.After
}

// lookEvery is how often a waiting stage's criteria are judged.
func (r *run) lookEvery() time.Duration {
	const looks = 8 // until a person is asked again
	return max(r.block, r.plan.Judge.Overrun/looks)
}

// next is when something may happen next.
func (r *run) next() time.Duration {
	next := r.now - r.now%r.world.step + r.world.step
	until := func(at time.Duration) {
		if at > r.now {
			next = min(next, at)
		}
	}
	until(r.now + r.stage().Bake - r.baked())
	if e := r.stage().Early; e != nil {
		until(r.now + e.After - r.baked())
	}
	if at, _, _ := rollout.NextCheck(r.plan, r.state, r.wall()); !at.IsZero() {
		until(r.age(at))
	}
	if r.gated() {
		until(r.looked + r.lookEvery())
		for _, at := range r.opens {
			until(at)
		}
	}
	for _, counting := range r.counting {
		if counting {
			until(r.now + time.Minute)
		}
	}
	return next
}

// openings are when a clock lets traffic rise next; one that is open now is
// not among them.
func (r *run) openings() []time.Duration {
	var out []time.Duration
	add := func(t time.Time) {
		if t.After(r.wall()) {
			out = append(out, r.age(t))
		}
	}
	_, at, _ := r.plan.RaiseOpen(r.wall())
	add(at)
	_, at = r.plan.StageWindow(r.state.Stage+1, r.wall())
	add(at)
	if e := r.stage().Early; e != nil && e.At != nil {
		add(r.plan.NextEntry(e.At, r.wall()))
	}
	return out
}

// stop does what is due now.
func (r *run) stop() {
	if at, entry, _ := rollout.NextCheck(r.plan, r.state, r.wall()); !at.IsZero() && !at.After(r.wall()) {
		r.check(entry)
	}
	if r.gated() && r.lookDue() {
		r.look()
	}
}

// lookDue reports whether the criteria are to be judged now: at the end of
// bake, when a clock opens, and every now and then.
func (r *run) lookDue() bool {
	if r.looked < 0 || r.now-r.looked >= r.lookEvery() || r.bakeEnd < 0 && r.baked() >= r.stage().Bake {
		return true
	}
	return slices.ContainsFunc(r.opens, func(at time.Duration) bool { return r.looked < at && at <= r.now })
}

// mayBeRed reports whether a rule of a check may be not met, without the judge's
// work: false only saves time.
func (r *run) mayBeRed(rule *plan.Rule) bool {
	m := r.models[rule.Metric]
	switch {
	case m != nil && r.site.onBaseline(rule) && m.kind != absent:
		return r.nearBaseline(rule, m, r.now)
	case versus(rule):
		return r.mayProve(rule, rule.Value, r.now)
	}
	return true
}

// check does a check of the stage's cadence. A comparison that cannot be
// proved worse is left out: only what is not met makes a check red.
func (r *run) check(entry int) {
	stage := &r.out.stages[r.state.Stage]
	var list []*plan.Rule
	for _, rule := range r.stage().Checks[entry].Expect {
		if r.mayBeRed(rule) {
			list = append(list, rule)
		}
	}
	verdicts := r.judge(list, judge.Gate, r.now)
	stage.checks++
	for i := range verdicts {
		if v := &verdicts[i]; v.Status == judge.NotMet && !v.Dry {
			stage.red = append(stage.red, v.Rule)
		}
	}
	r.step(rollout.Input{Checks: verdicts})
}
