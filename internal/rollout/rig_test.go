package rollout

import (
	"errors"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

const rigPlan = `
serin: 1
plan: rig
timezone: UTC
flag: { key: rig }
calendar: { raise: ["daily 00:00-24:00"] }
roles:
  lead: { who: "@lead", may: [start, approve, promote, override, accept, resume, restart, revise] }
  dev: { who: "@dev", may: [promote] }
channels: { team: "slack:#team" }
judge: { enough: { users: 10, for: 10m }, no_data: { grace: 10m, then: hold, after: 1h, page: lead }, overrun: 2h }
criteria: { ok: [p1 = 0, errors < 5, lcp < 2.5s] }
stages:
  - { stage: c10,  traffic: 10%,  bake: 2h, owner: lead, proceed: ok, checks: [{ every: 15m, expect: ok }] }
  - { stage: r25,  like: c10, traffic: 25%,  bake: 1h }
  - { stage: r50,  like: c10, traffic: 50%,  bake: 1h }
  - { stage: r75,  like: c10, traffic: 75%,  bake: 1h }
  - { stage: full, like: c10, traffic: 100%, bake: 3h }
rollback: [p1 > 5 over 1h, lcp > +30% vs reference over 1h]
`

// rig drives one rollout minute by minute. The world is the fields: verdicts
// are met unless a metric is named.
type rig struct {
	t       testing.TB
	p       *plan.Plan
	s       State
	wall    time.Time
	mono    time.Duration
	covered time.Duration
	data    judge.Data
	proceed map[string]judge.Status // of a criterion's metric; missing = met
	guards  map[string]judge.Verdict
	facts   map[string]bool
	record  []Event
	journal []Event
	notices []Event
}

func newRig(t testing.TB, source string) *rig {
	r := &rig{t: t, p: parse(t, source), wall: walkStart, proceed: map[string]judge.Status{}, guards: map[string]judge.Verdict{}}
	r.must(Command{Verb: Create, Item: "rig-1"})
	return r
}

func (r *rig) input() Input {
	in := Input{Wall: r.wall, Mono: r.mono, Covered: r.covered, Data: r.data, Facts: r.facts, Record: r.record}
	for _, rule := range r.p.Rollback {
		in.Rollback = append(in.Rollback, r.guard(rule))
	}
	for _, rule := range r.p.Reduce {
		in.Reduce = append(in.Reduce, r.guard(rule))
	}
	st := r.p.Stages[r.s.Stage]
	for _, rule := range st.Proceed {
		in.Proceed = append(in.Proceed, r.verdict(rule))
	}
	if _, entry, every := NextCheck(r.p, r.s, r.wall); every > 0 {
		for _, rule := range st.Checks[entry].Expect {
			in.Checks = append(in.Checks, r.verdict(rule))
		}
	}
	return in
}

func (r *rig) guard(rule *plan.Rule) judge.Verdict {
	v, ok := r.guards[rule.Metric]
	if !ok {
		v.Status = judge.NotMet
	}
	v.Rule, v.Metric = rule.Text, rule.Metric
	return v
}

func (r *rig) verdict(rule *plan.Rule) judge.Verdict {
	v := judge.Verdict{Rule: rule.Text, Metric: rule.Metric, Status: judge.Met}
	if s, ok := r.proceed[rule.Metric]; ok {
		v.Status = s
	}
	return v
}

func (r *rig) step(in Input) error {
	before := r.s
	s, events, err := Step(r.p, before, in)
	for _, e := range events {
		if Announce(e, before) {
			r.notices = append(r.notices, e)
		}
		before = Apply(before, e)
	}
	r.s, r.journal, r.record = s, append(r.journal, events...), nil
	if len(events) > 0 {
		r.covered = 0
	}
	return err
}

// do gives a command as the lead, unless it names another role.
func (r *rig) do(c Command) error {
	in := r.input()
	if c.Role == "" {
		c.Role, c.By = "lead", "lead"
		if role, ok := r.p.Role("lead"); ok {
			c.May = role.May
		}
	} else if role, ok := r.p.Role(c.Role); ok {
		c.By, c.May = c.Role, role.May
	}
	if c.Via == "" {
		c.Via = "api"
	}
	in.Command = &c
	return r.step(in)
}

func (r *rig) must(c Command) {
	r.t.Helper()
	if err := r.do(c); err != nil {
		r.t.Fatalf("%s: %v", c.Verb, err)
	}
}

// drive lets d pass in ticks of a minute.
func (r *rig) drive(d time.Duration) {
	r.t.Helper()
	for range d / time.Minute {
		r.wall, r.mono = r.wall.Add(time.Minute), r.mono+time.Minute
		if !r.data.NoData {
			r.covered += time.Minute
		}
		if err := r.step(r.input()); err != nil {
			r.t.Fatal(err)
		}
	}
}

func kindOf(err error) RefusalKind {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal.Kind
	}
	return 0
}
