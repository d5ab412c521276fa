package backtest

import (
	"fmt"
	"slices"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// Stand is where the plan that is tried stands.
type Stand struct {
	Stage                         int
	StageAt, AttemptAt, StartedAt time.Time
}

// Recorded tells what was recorded. Instants ascend, and lie on whole minutes.
type Recorded interface {
	To(now time.Time, s Stand) judge.Evidence
	// Shares are those that the new variant and control really had, 0..1 of the
	// audience: whatever the plan that is tried would have given.
	Shares(now time.Time) (exposure, control float64)
}

// Never is the patience of people who approve nothing.
const Never = time.Duration(-1)

// MostLooks bounds how often a plan looks at the evidence: where there are more
// minutes, it looks every few.
const MostLooks = 14 * 24 * 60

// Options say how a plan is tried.
type Options struct {
	From, To time.Time // the recorded time; whole minutes
	// People is how long after something is asked for people give it; Never =
	// they do not.
	People time.Duration
	// Missing says why a metric was not recorded; "" = it was.
	Missing func(metric string) string
	// Stop is asked between looks; an error ends the run. nil = nobody asks.
	Stop func() error
}

// Event is something that happened, or would have.
type Event struct {
	At       time.Time `json:"at"`
	Type     string    `json:"type"` // of the journal
	Text     string    `json:"text"`
	By       string    `json:"by,omitempty"` // "" = serin, "people" = those assumed
	Rule     string    `json:"rule,omitempty"`
	Why      string    `json:"why,omitempty"` // of the rule's verdict
	Exposure float64   `json:"exposure" doc:"percent afterwards"`
}

// Unanswered is a rule that what was recorded cannot answer.
type Unanswered struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// Result is what came of a plan.
type Result struct {
	Plan       string         `json:"plan"`
	From       time.Time      `json:"from"`
	To         time.Time      `json:"to"`
	Every      time.Duration  `json:"every" doc:"between two looks"`
	Events     []Event        `json:"events" doc:"what the plan would have decided, oldest first"`
	Status     rollout.Status `json:"status" doc:"where it stood at the end"`
	Stage      string         `json:"stage"`
	Exposure   float64        `json:"exposure" doc:"percent"`
	Ended      time.Time      `json:"ended" doc:"when it took traffic back or was through, else when the recorded time ends"`
	Why        string         `json:"why" doc:"why it ended"`
	Exposed    int64          `json:"exposed" doc:"distinct users with the new variant until then"`
	Waiting    []string       `json:"waiting,omitempty" doc:"what it waited for at the end"`
	Unanswered []Unanswered   `json:"unanswered,omitempty"`

	// Real is what happened, and Against how that differs; the caller's.
	Rollout     string   `json:"rollout" doc:"whose evidence it was"`
	Real        []Event  `json:"real"`
	RealExposed int64    `json:"real_exposed"`
	Against     []string `json:"against" doc:"the difference in sentences"`
	Caveats     []string `json:"caveats"`
}

// Run tries a plan on what was recorded. The error is that of Options.Stop.
func Run(p *plan.Plan, o Options, rec Recorded) (Result, error) {
	r := newRun(p, o, rec)
	if err := r.start(); err != nil {
		return Result{}, err
	}
	for now := o.From.Add(r.out.Every); !now.After(o.To); now = now.Add(r.out.Every) {
		if o.Stop != nil {
			if err := o.Stop(); err != nil {
				return Result{}, err
			}
		}
		if r.look(now); r.ended() {
			break
		}
	}
	return r.result(), nil
}

// run is one plan on its way.
type run struct {
	plan  *plan.Plan
	o     Options
	rec   Recorded
	state rollout.State
	held  judge.Held
	// levels are the plan's budget for false rollbacks, see judge.Levels.
	levels map[string]float64
	asked  map[string]time.Time // since when something is asked for
	last   rollout.Input
	ev     judge.Evidence
	out    Result
}

// newRun prepares a plan: the checklist before the start is done, and it starts
// when the rollout did, whatever its own start says.
func newRun(p *plan.Plan, o Options, rec Recorded) *run {
	q := *p
	q.Preflight, q.Start, q.Roles = nil, time.Time{}, nil // without roles everybody may
	if len(q.Stages) > 0 {
		q.Stages = slices.Clone(q.Stages)
		q.Stages[0].Before, q.Stages[0].Approve, q.Stages[0].At = nil, nil, nil
	}
	every := max(time.Minute, (o.To.Sub(o.From) / MostLooks).Truncate(time.Minute))
	if o.To.Sub(o.From)/every > MostLooks {
		every += time.Minute
	}
	return &run{plan: &q, o: o, rec: rec, held: judge.Held{}, levels: judge.Levels(&q, &q, 0, q.Judge.FalseRollback), asked: map[string]time.Time{}, out: Result{Plan: p.Name, From: o.From.UTC(), To: o.To.UTC(), Every: every, Events: []Event{}}}
}

func (r *run) start() error {
	if err := r.step(at(r.o.From, 0), &rollout.Command{Verb: rollout.Create, Item: "backtest"}); err != nil {
		return fmt.Errorf("plan %s: %w", r.plan.Name, err)
	}
	if err := r.step(at(r.o.From, 0), &rollout.Command{Verb: rollout.Start, By: people}); err != nil {
		return fmt.Errorf("plan %s cannot start at %s: %w", r.plan.Name, r.o.From.In(r.plan.Location).Format("Mon 2 Jan 15:04"), err)
	}
	return nil
}

// people is who does what people are assumed to do.
const people = "people"

// at is an input at a time of a run.
func at(now time.Time, mono time.Duration) rollout.Input {
	return rollout.Input{Wall: now, Mono: mono, Covered: mono}
}

// step lets the state machine decide, and notes what it decided. The error is its
// refusal.
func (r *run) step(in rollout.Input, c *rollout.Command) error {
	in.Command = c
	before := r.state
	next, events, refused := rollout.Step(r.plan, r.state, in)
	r.state = next
	for _, e := range events {
		if told(e, before) {
			r.out.Events = append(r.out.Events, event(r.plan, e))
		}
		if e.Type == rollout.Advanced || e.Type == rollout.Restarted {
			clear(r.asked)
		}
	}
	return refused
}

// told are the events that a result lists.
func told(e rollout.Event, before rollout.State) bool {
	switch e.Type {
	case rollout.Created, rollout.Baked, rollout.Checked, rollout.Completed, rollout.Confirmed:
		return false
	}
	return rollout.Announce(e, before) || e.Type == rollout.Approved || e.Type == rollout.Accepted
}

func event(p *plan.Plan, e rollout.Event) Event {
	title, _ := rollout.Title(p, e)
	out := Event{At: e.At.UTC(), Type: string(e.Type), Text: title, By: e.By, Rule: e.Rule, Exposure: percent(e.Exposure)}
	if e.Verdict != nil {
		out.Why = e.Verdict.Why
	}
	return out
}

func percent(p flag.Percent) float64 { return float64(p) * 100 / float64(flag.Everyone) }

// look judges everything as of now and lets the state machine decide.
func (r *run) look(now time.Time) {
	s := &r.state
	r.ev = r.rec.To(now, Stand{s.Stage, s.StageAt, s.AttemptAt, s.StartedAt})
	in := at(now, now.Sub(r.o.From))
	in.Data = r.ev.Data()
	st := &r.plan.Stages[s.Stage]
	in.Rollback = r.judge(r.plan.Rollback, judge.Guard, now)
	in.Reduce = r.judge(r.plan.Reduce, judge.Guard, now)
	in.Proceed = r.judge(st.Proceed, judge.Gate, now)
	if _, entry, every := rollout.NextCheck(r.plan, *s, now); every > 0 {
		in.Checks = r.judge(st.Checks[entry].Expect, judge.Gate, now)
	}
	r.last = in
	stage := s.Stage
	_ = r.step(in, nil) // without a command there is nothing to refuse
	for range 100 {     // each gives one thing at most
		if r.ended() || r.state.Stage != stage || !r.give(in, now) {
			return
		}
	}
}

// judge asks the judge; what was not recorded is unknown.
func (r *run) judge(list []*plan.Rule, use judge.Use, now time.Time) []judge.Verdict {
	out := make([]judge.Verdict, len(list))
	s := &r.state
	exposure, control := r.rec.Shares(now)
	place := judge.Place{Stage: s.Stage, Planned: len(r.plan.Stages), Exposure: exposure, ControlShare: control,
		StageBegan: s.StageAt, AttemptBegan: s.AttemptAt, RolloutBegan: s.StartedAt, EvidenceBegan: s.EvidenceAt, MismatchAccepted: s.MismatchAccepted(), Levels: r.levels}
	var asked []*plan.Rule
	var places []int
	for i, rule := range list {
		if why := r.o.Missing(rule.Metric); why != "" {
			out[i] = missing(rule, use, why, now)
			r.unanswered(rule, why)
			continue
		}
		asked, places = append(asked, rule), append(places, i)
	}
	if len(asked) == 0 {
		return out
	}
	verdicts, held := judge.Judge(r.plan, asked, use, place, r.ev, r.held, now)
	r.held = held
	for k, i := range places {
		out[i] = verdicts[k]
	}
	return out
}

// missing is the verdict on what was not recorded. A default rule does not apply
// then, as for a rollout that has no such data.
func missing(rule *plan.Rule, use judge.Use, why string, now time.Time) judge.Verdict {
	v := judge.Verdict{Rule: rule.Text, Metric: rule.Metric, Limit: rule.Value, Cause: judge.CauseNoSource, Why: "not recorded: " + why, At: now}
	if rule.Default {
		v.Cause = judge.CauseNone
		if v.Status = judge.Met; use == judge.Guard {
			v.Status = judge.NotMet
		}
	}
	return v
}

func (r *run) unanswered(rule *plan.Rule, why string) {
	u := Unanswered{Rule: rule.Text, Why: why}
	if !rule.Default && !slices.Contains(r.out.Unanswered, u) {
		r.out.Unanswered = append(r.out.Unanswered, u)
	}
}
