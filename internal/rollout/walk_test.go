package rollout

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// walkPlan is the plan of the random walk; %s is judge.no_data.then.
const walkPlan = `
serin: 1
plan: walk
timezone: UTC
flag: { key: walk, holdback: 5%%, include: { users: [vip] } }
calendar: { raise: ["daily 00:00-14:24"] }
roles:
  lead: { who: "@lead", may: [start, approve, promote, override, accept, resume, restart, revise] }
  mate: { who: "@mate", may: [promote, resume] }
  dev: { who: "@dev" }
channels: { team: dashboard }
judge: { no_data: { grace: 10m, then: %s, after: 1h, page: lead }, overrun: 2h }
preflight:
  - { id: ready, do: Everything is ready }
criteria: { ok: [p1 = 0, lcp < 2.5s] }
stages:
  - { stage: a, traffic: 10%%,  bake: 2h, proceed: ok, checks: [{ every: 30m, expect: ok }] }
  - { stage: b, like: a, traffic: 25%%, approve: lead }
  - { stage: c, like: a, traffic: 50%%, bake: 5h, before: [look at it] }
  - { stage: d, like: a, traffic: 100%%, confirm: [it works] }
rollback: [p1 > 5 over 1h, errors > 9 over 1h]
reduce: [lcp > 9s over 1h]
actions: { reduce: { traffic: 5%%, within: 15m }, revert: { show: [git revert $commit], within: 2m, by: mate }, restart: { from: b, after: 2h, needs: [cause, approval] } }
cleanup:
  owner: lead
  tasks:
    - { id: old, do: Delete the old code, irreversible: true }
    - { id: docs, do: Write it down }
`

func parse(t testing.TB, source string) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(source))
	if err != nil {
		t.Fatalf("parse the plan: %v", err)
	}
	return p
}

var walkStart = time.Date(2025, 3, 3, 9, 0, 0, 0, time.UTC)

const walkSteps = 400

// walkSeeds is how many seeds a normal run walks: over 100,000 steps. The
// environment variable SERIN_WALK_SEEDS asks for more.
func walkSeeds() int {
	if n, err := strconv.Atoi(os.Getenv("SERIN_WALK_SEEDS")); err == nil && n > 0 {
		return n
	}
	return 400
}

// TestWalk draws telemetry, clocks, crashes and commands at random and checks
// every invariant of the machine after each step, with bookkeeping of its own.
func TestWalk(t *testing.T) {
	seen := map[Type]int{}
	states, steps := map[string]bool{}, 0
	for seed := range walkSeeds() {
		w := newWalk(t, uint64(seed), fault{})
		if err := w.run(seen, states); err != nil {
			t.Fatalf("seed %d, step %d: %v", seed, w.steps, err)
		}
		steps += min(w.steps, walkSteps)
	}
	for _, want := range []Type{Revised, Completed, Started, Baked, Checked, Approved, Confirmed, Accepted, Asked,
		Advanced, PausedEvent, Resumed, ReducedEvent, RolledBackEvent, RevertNeeded, Restarted, IrreversibleDone, Finished,
		CancelledEvent, NoData, DataBack, BlindEvent, Sighted, DataQuality, Deployed, IncidentOpened, IncidentResolved,
		ServedEvent, RevertBegun, Reverted, DeployBegun, DeployEnded} {
		if seen[want] == 0 {
			t.Errorf("the walk never saw %s", want)
		}
	}
	t.Logf("%d steps, %d abstract states, events %v", steps, len(states), seen)
}

// walk is a rollout in a random world.
type walk struct {
	r       *rand.Rand
	p       *plan.Plan
	fault   fault
	wall    time.Time
	mono    time.Duration
	calm    bool // no clock steps, no downtime, no silence
	s       State
	journal []Event
	truth   truth
	covered time.Duration // since the last event
	real    time.Duration // real time since the last event
	silent  time.Time
	openInc []string
	nextInc int
	nextID  int
	lastID  string
	steps   int
	flagPos int64
	flagExp int32
	notices map[string]int
}

func newWalk(t testing.TB, seed uint64, f fault) *walk {
	then := "hold"
	if seed%2 == 1 {
		then = "rollback"
	}
	w := &walk{r: rand.New(rand.NewPCG(seed, 7)), p: parse(t, fmt.Sprintf(walkPlan, then)), fault: f, wall: walkStart,
		calm: seed%5 == 0, notices: map[string]int{}}
	w.truth.reset()
	return w
}

func (w *walk) chance(percent float64) bool { return w.r.Float64()*100 < percent }

func (w *walk) run(seen map[Type]int, states map[string]bool) error {
	if err := w.step(Input{Wall: w.wall, Command: &Command{ID: "create", Verb: Create, By: "ann"}}, 0); err != nil {
		return err
	}
	for w.steps = 1; w.steps <= walkSteps; w.steps++ {
		in, dt := w.input()
		n := len(w.journal)
		if err := w.step(in, dt); err != nil {
			return fmt.Errorf("%w\n%s", err, w.tail())
		}
		for _, e := range w.journal[n:] {
			seen[e.Type]++
		}
		states[fmt.Sprint(w.s.Status, w.s.Stage, w.s.Attempt > 1, w.s.Hotfix, w.s.Irreversible, len(w.s.Blind) > 0, !w.s.NoDataSince.IsZero())] = true
		if w.chance(2) || w.steps == walkSteps {
			if err := w.crash(); err != nil {
				return err
			}
		}
		if (w.s.Status == Done || w.s.Status == Cancelled) && w.chance(30) {
			return nil
		}
	}
	return nil
}

func (w *walk) tail() string {
	out := ""
	for _, e := range w.journal[max(0, len(w.journal)-12):] {
		out += fmt.Sprintf("  %d %s %s stage %d exposure %d by %q %s %s\n", e.Pos, e.At.Format("2 15:04"), e.Type, e.Stage, e.Exposure, e.By, e.Rule, e.Duration)
	}
	return out
}

// input draws the world.
func (w *walk) input() (Input, time.Duration) {
	dt := []time.Duration{15 * time.Minute, time.Hour, 6 * time.Hour}[w.r.IntN(3)]
	covered := dt
	in := Input{}
	if !w.calm {
		switch {
		case w.chance(1.5):
			w.wall = w.wall.Add(-30 * time.Hour)
		case w.chance(1.5):
			w.wall = w.wall.Add(500 * time.Hour)
		}
		if w.chance(5 * dt.Hours() / 24) {
			in.Fresh = true
			if w.chance(50) {
				covered = 0
			}
		}
	}
	w.wall, w.mono = w.wall.Add(dt), w.mono+dt
	if in.Fresh {
		w.mono = time.Duration(w.r.IntN(60)) * time.Second
	}
	if !w.calm && (w.chance(6) || !w.silent.IsZero() && w.chance(50)) {
		covered = min(covered, 10*time.Minute)
		if w.silent.IsZero() {
			w.silent = w.wall.Add(-time.Duration(w.r.Int64N(int64(dt)))).Add(-10 * time.Minute)
		}
		in.Data = judge.Data{NoData: true, Since: w.silent}
	} else {
		w.silent = time.Time{}
		in.Data.Quiet = w.chance(20)
	}
	w.covered += covered
	w.real += dt
	in.Wall, in.Mono, in.Covered = w.wall, w.mono, w.covered
	w.verdicts(&in)
	w.incidents(&in)
	w.laps(&in)
	w.hooks(&in)
	in.Command = w.command()
	return in, dt
}

func (w *walk) verdicts(in *Input) {
	for _, r := range w.p.Rollback {
		in.Rollback = append(in.Rollback, w.guard(r))
	}
	for _, r := range w.p.Reduce {
		in.Reduce = append(in.Reduce, w.guard(r))
	}
	status := func(v judge.Verdict) judge.Verdict {
		switch x := w.r.Float64() * 100; {
		case x < 80:
			v.Status = judge.Met
		case x < 90:
			v.Status = judge.NotMet
		default:
			v.Cause = judge.CauseEvidence
		}
		return v
	}
	st := w.p.Stages[w.s.Stage]
	both := status(judge.Verdict{})
	for _, r := range st.Proceed {
		v := both
		v.Rule, v.Metric = r.Text, r.Metric
		in.Proceed = append(in.Proceed, v)
	}
	for _, r := range st.Checks[0].Expect {
		v := status(judge.Verdict{Rule: r.Text, Metric: r.Metric})
		in.Checks = append(in.Checks, v)
	}
	if w.chance(4) {
		switch w.r.IntN(4) {
		case 0:
			in.Data.Incomplete = true
		case 1:
			in.Data.Unattributed = .07
		case 2:
			in.Data.LossByArm = true
		case 3:
			in.Data.Mismatch = true
		}
	}
}

func (w *walk) guard(r *plan.Rule) judge.Verdict {
	v := judge.Verdict{Rule: r.Text, Metric: r.Metric, Status: judge.NotMet}
	switch x := w.r.Float64() * 100; {
	case x < .4:
		v.Status = judge.Met
	case x < 2:
		v.Status, v.Cause = judge.Unknown, judge.CauseBlind
	case x < 10:
		v.Status, v.Cause = judge.Unknown, judge.CauseEvidence
	}
	return v
}

func (w *walk) incidents(in *Input) {
	if w.s.Status == "" {
		return
	}
	if w.chance(3) {
		w.nextInc++
		id := strconv.Itoa(w.nextInc)
		w.openInc = append(w.openInc, id)
		in.Record = append(in.Record, Event{Type: IncidentOpened, Kind: id})
	} else if len(w.openInc) > 0 && w.chance(25) {
		in.Record = append(in.Record, Event{Type: IncidentResolved, Kind: w.openInc[0]}, Event{Type: IncidentClosed, Kind: w.openInc[0]})
		w.openInc = w.openInc[1:]
	}
}

// hooks runs the deploy hook now and then, also when nothing has to be deployed.
func (w *walk) hooks(in *Input) {
	if w.s.Status == "" || !w.chance(4) {
		return
	}
	in.Record = append(in.Record, Event{Type: DeployBegun, Item: "APP_FLAGS", N: 1})
	if w.chance(80) {
		in.Record = append(in.Record, Event{Type: DeployEnded, Item: "APP_FLAGS", Kind: HookFailed, N: 1, Paged: w.chance(30)})
	}
}

// laps measures the ways back under way, and now and then what is over.
func (w *walk) laps(in *Input) {
	lap := func(c *Clock) Lap {
		l := Lap{Pos: int64(w.r.IntN(50)), Passed: time.Duration(w.r.IntN(20)) * time.Minute}
		if c != nil && w.chance(90) {
			l.Pos = c.Pos
		}
		if w.chance(30) {
			l.Published, l.Evaluated = time.Millisecond, 1+l.Passed
		}
		return l
	}
	in.Clock = Clocks{Lowering: lap(w.s.Lowering), Revert: lap(w.s.Revert)}
}

func (w *walk) command() *Command {
	if w.chance(35) {
		return nil
	}
	c := &Command{By: "ann", Role: "lead", May: w.p.Roles[0].May, Via: "api", Version: w.s.Version, Cause: "fixed"}
	switch {
	case w.chance(15):
		c.By, c.Role, c.May = "dan", "dev", nil
	case w.chance(15):
		c.By, c.Role, c.May = "mo", "mate", []string{"promote", "resume"}
	}
	if w.chance(60) {
		c.Reason = "known"
	}
	if w.chance(10) {
		c.Version = max(1, c.Version-1-int64(w.r.IntN(3)))
	}
	w.nextID++
	c.ID = "c" + strconv.Itoa(w.nextID)
	if w.chance(5) && w.lastID != "" {
		c.ID = w.lastID
	}
	w.lastID = c.ID
	c.Verb = verbs[w.r.IntN(len(verbs))]
	if w.chance(65) {
		c.Verb = w.helpful()
	}
	switch c.Verb {
	case Complete, Reopen:
		c.Item = [...]string{"ready", "look at it", "old", "docs"}[w.r.IntN(4)]
	case Confirm:
		c.Item = "it works"
	case Approve:
		if w.s.Status == RolledBack && w.chance(80) {
			c.Item = "restart"
		}
	case Reduce:
		c.Percent = [...]flag.Percent{0, 1000, 5000, 60000}[w.r.IntN(4)]
		c.Hotfix = w.chance(30)
	case Restart:
		c.To = [...]string{"", "a", "b", "c", "d"}[w.r.IntN(5)]
		if w.chance(20) {
			c.Cause = ""
		}
	case Promote:
		if w.chance(20) {
			c.To = [...]string{"b", "c", "d", "cleanup"}[w.r.IntN(4)]
		}
	case Deploy:
		c.Release = "r" + strconv.Itoa(w.nextID)
		if w.chance(50) {
			c.Commit = "abc" + strconv.Itoa(w.r.IntN(3))
		}
	case Revert:
		c.Done = w.chance(50)
	case Revise:
		c.PlanHash = "h" + strconv.Itoa(w.nextID)
		if w.chance(70) {
			c.Verb = Pause
		}
	case Cancel:
		if w.chance(80) {
			c.Verb = Accept
		}
	}
	return c
}

// helpful is a verb that gets the rollout on.
func (w *walk) helpful() Verb {
	var of []Verb
	switch w.s.Status {
	case Preflight:
		of = []Verb{Complete, Start}
	case Running:
		of = []Verb{Approve, Confirm, Complete, Accept, Promote}
	case Paused, Reduced:
		of = []Verb{Resume, Deploy, Resume}
	case RolledBack:
		of = []Verb{Restart}
	case Cleanup:
		of = []Verb{Complete, Finish}
	default:
		of = []Verb{Start}
	}
	return of[w.r.IntN(len(of))]
}

// step runs one input and checks everything.
func (w *walk) step(in Input, dt time.Duration) error {
	before := w.s
	p, s, tampered := w.p, before, in
	if w.fault.tamper != nil {
		p, s, tampered = w.fault.tamper(p, s, in)
	}
	var refusal *Refusal
	var events []Event
	if w.fault.refuse != nil {
		refusal = w.fault.refuse(before, in)
	}
	if refusal == nil {
		var err error
		events, err = Decide(p, s, tampered)
		refusal, _ = AsRefusal(err)
	}
	if w.fault.events != nil {
		events = w.fault.events(events)
	}
	if w.fault.name == "" {
		if err := w.pure(in, events); err != nil {
			return err
		}
		if err := w.explained(in, events, refusal); err != nil {
			return err
		}
	}
	if err := w.check(before, in, events, refusal); err != nil {
		return err
	}
	if len(events) > 0 {
		w.covered, w.real = 0, 0
	}
	return w.account(in)
}

// pure checks that Step is Decide and Apply, that nothing was changed in
// place, and that a second look at the same input changes nothing more.
func (w *walk) pure(in Input, events []Event) error {
	s, again, _ := Step(w.p, w.s, in)
	if !reflect.DeepEqual(events, again) {
		return fmt.Errorf("the same input gave other events")
	}
	folded := w.s
	for _, e := range events {
		folded = Apply(folded, e)
	}
	if !reflect.DeepEqual(s, folded) {
		return fmt.Errorf("I7: Step's state is not the fold of its events:\n%+v\n%+v", s, folded)
	}
	return nil
}

// crash folds the journal anew.
func (w *walk) crash() error {
	if w.fault.apply != nil {
		return nil
	}
	if s := Fold(w.journal); !reflect.DeepEqual(s, w.s) {
		return fmt.Errorf("I7: the journal folds to another state")
	}
	return w.evidenceRuns()
}

// evidenceRuns reads runs and intervals off the journal in a way of its own:
// a run begins with each raise from no evidence, an interval with each change.
func (w *walk) evidenceRuns() error {
	runs, want := 0, []Interval{}
	var was Event
	for _, e := range w.journal {
		began := e.Type == Started || e.Type == Restarted || e.Type == Resumed && e.Exposure > was.Exposure
		if began {
			runs, want = runs+1, want[:0]
		}
		if e.Attempt > 0 && (began || e.Stage != was.Stage || e.Exposure != was.Exposure || len(e.Fresh) > 0) {
			want = append(want, Interval{Run: runs, Stage: e.Stage, Exposure: e.Exposure, From: e.At, Fresh: e.Fresh})
		}
		was = e
	}
	if w.s.Runs != runs || !slices.EqualFunc(w.s.Intervals, want, func(a, b Interval) bool { return reflect.DeepEqual(a, b) }) {
		return fmt.Errorf("runs %d with %v, the journal says %d with %v", w.s.Runs, w.s.Intervals, runs, want)
	}
	return nil
}

// account checks that every minute since the start belongs somewhere.
func (w *walk) account(in Input) error {
	if w.s.StartedAt.IsZero() {
		return nil
	}
	parts := AccountAt(w.p, w.s, in)
	end := in.Wall
	if end.Before(w.s.At) {
		end = w.s.At
	}
	if !w.s.FinishedAt.IsZero() {
		end = w.s.FinishedAt
	}
	var sum time.Duration
	for k, v := range parts {
		if v < 0 {
			return fmt.Errorf("accounting: %s is negative: %s", k, v)
		}
		sum += v
	}
	if wall := end.Sub(w.s.StartedAt); sum != wall {
		return fmt.Errorf("accounting: parts sum to %s, wall time is %s: %v", sum, wall, parts)
	}
	for _, key := range []Status{Paused, Reduced, RolledBack, Cleanup} {
		if got, want := w.s.Account[string(key)], w.truth.parts[key]; got != want {
			return fmt.Errorf("accounting: %s is %s, want %s", key, got, want)
		}
	}
	return nil
}
