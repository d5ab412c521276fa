package rollout

import (
	"slices"
	"testing"
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
)

// fault is a mistake put into the machine from outside: what it is given,
// how it applies, what it says, or who writes flags and notices. The
// production code has no hook for it.
type fault struct {
	name   string
	tamper func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input)
	apply  func(before State, e Event) State
	events func([]Event) []Event
	refuse func(s State, in Input) *Refusal

	olderWriter    bool
	includedAtZero bool
	noticeID       func(s State, e Event) string
}

// only tampers with state and input.
func only(f func(s *State, in *Input)) func(*plan.Plan, State, Input) (*plan.Plan, State, Input) {
	return func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input) {
		f(&s, &in)
		return p, s, in
	}
}

func promoting(in *Input) bool { return in.Command != nil && in.Command.Verb == Promote }

// stages tampers with a copy of the stages.
func stages(f func(*plan.Stage)) func(*plan.Plan, State, Input) (*plan.Plan, State, Input) {
	return func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input) {
		c := *p
		c.Stages = slices.Clone(p.Stages)
		for i := range c.Stages {
			f(&c.Stages[i])
		}
		return &c, s, in
	}
}

func harmless(list []judge.Verdict) []judge.Verdict {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Status == judge.Met {
			out[i].Status = judge.NotMet
		}
	}
	return out
}

func sighted(list []judge.Verdict) []judge.Verdict {
	out := slices.Clone(list)
	for i := range out {
		if out[i].Cause == judge.CauseBlind {
			out[i].Cause = judge.CauseEvidence
		}
	}
	return out
}

// faults are those of the specification's list (section 8).
var faults = []fault{
	{name: "approval not checked", tamper: stages(func(st *plan.Stage) { st.Approve = nil })},
	{name: "unknown taken as met", tamper: only(func(_ *State, in *Input) {
		in.Proceed = slices.Clone(in.Proceed)
		for i := range in.Proceed {
			if in.Proceed[i].Status == judge.Unknown {
				in.Proceed[i].Status = judge.Met
			}
		}
	})},
	{name: "rollback after an irreversible task", tamper: only(func(s *State, _ *Input) { s.Irreversible = false })},
	{name: "two stages at once", events: func(events []Event) []Event {
		if n := len(events); n > 0 && events[n-1].Type == Advanced && events[n-1].By == "" && events[n-1].Stage < 3 && events[n-1].Kind == "" {
			e := events[n-1]
			e.Pos++
			e.Stage++
			e.Exposure = []flag.Percent{10000, 25000, 50000, 95000}[e.Stage]
			return append(events, e)
		}
		return events
	}},
	{name: "bake by wall clock", tamper: only(func(s *State, in *Input) {
		in.Covered, in.Mono, in.Fresh = in.Wall.Sub(s.At), s.Mono+in.Wall.Sub(s.At), false
	})},
	{name: "bake without data", tamper: only(func(s *State, in *Input) {
		in.Covered, s.NoDataSince = 1000*time.Hour, time.Time{}
	})},
	{name: "quiet stops bake", tamper: only(func(_ *State, in *Input) {
		if in.Data.Quiet {
			in.Covered = 0
		}
	})},
	{name: "no data ignored", tamper: only(func(_ *State, in *Input) { in.Data.NoData = false })},
	{name: "rollback not judged while paused", tamper: only(func(s *State, in *Input) {
		if s.Status == Paused {
			in.Rollback = harmless(in.Rollback)
		}
	})},
	{name: "rollback not judged while reduced", tamper: only(func(s *State, in *Input) {
		if s.Status == Reduced {
			in.Rollback = harmless(in.Rollback)
		}
	})},
	{name: "then: rollback only while running", tamper: func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input) {
		if s.Status != Running {
			c := *p
			c.Judge.NoData.Then = "hold"
			p = &c
		}
		return p, s, in
	}},
	{name: "reduce rule raising exposure", tamper: func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input) {
		c := *p
		if s.Status == Reduced && s.Exposure < c.Actions.ReduceTraffic {
			s.Exposure = c.Actions.ReduceTraffic + 1
		}
		return &c, s, in
	}},
	{name: "hotfix resumed without a release", tamper: only(func(s *State, _ *Input) { s.Redeployed = true })},
	{name: "approval surviving a restart", apply: func(b State, e Event) State {
		s := Apply(b, e)
		if e.Type == RolledBackEvent || e.Type == Restarted {
			s.Approved = slices.Clone(b.Approved)
			for i := range s.Approved {
				s.Approved[i].Attempt = s.Attempt
			}
		}
		return s
	}},
	{name: "acceptance surviving an advance", apply: func(b State, e Event) State {
		s := Apply(b, e)
		if e.Type == Advanced {
			for _, m := range b.Accepted {
				m.Stage = s.Stage
				s.Accepted = append(s.Accepted, m)
			}
		}
		return s
	}},
	{name: "override past an incident", tamper: only(func(s *State, in *Input) {
		if promoting(in) {
			s.Incidents, in.Record = nil, nil
		}
	})},
	{name: "override past a checklist", tamper: func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input) {
		if promoting(&in) {
			return stages(func(st *plan.Stage) { st.Before = nil })(p, s, in)
		}
		return p, s, in
	}},
	{name: "override past a met rollback rule", tamper: only(func(_ *State, in *Input) {
		if promoting(in) {
			in.Rollback = harmless(in.Rollback)
		}
	})},
	{name: "raise while blind", tamper: only(func(_ *State, in *Input) {
		in.Rollback, in.Reduce = sighted(in.Rollback), sighted(in.Reduce)
	})},
	{name: "lowering refused for its version", refuse: func(s State, in Input) *Refusal {
		if c := in.Command; c != nil && c.Verb.Lowers() && c.Version != s.Version {
			return refuse(Stale, "the version is not the newest")
		}
		return nil
	}},
	{name: "restart beyond the stage reached", tamper: only(func(s *State, _ *Input) { s.Reached = 3 })},
	{name: "older flag writer accepted", olderWriter: true},
	{name: "notice id without position", noticeID: func(s State, e Event) string { return s.ID + "/" + string(e.Type) }},
	{name: "included users on new at exposure 0", includedAtZero: true},
	{name: "cleanup minutes lost", apply: func(b State, e Event) State {
		if b.Status == Cleanup {
			e.Account = nil
		}
		return Apply(b, e)
	}},
	{name: "told of a late service twice", apply: func(b State, e Event) State {
		s := Apply(b, e)
		if s.Lowering != nil && e.Type == ServedEvent {
			s.Lowering = &Clock{Action: s.Lowering.Action, Pos: s.Lowering.Pos, At: s.Lowering.At}
		}
		return s
	}},
	{name: "served twice", apply: func(b State, e Event) State {
		s := Apply(b, e)
		if e.Type == ServedEvent && e.Served.Evaluated > 0 {
			s.Lowering = b.Lowering
		}
		return s
	}},
	{name: "revert moves traffic", events: func(events []Event) []Event {
		for i := range events {
			if events[i].Type == RevertBegun {
				events[i].Exposure += 1000
			}
		}
		return events
	}},
	{name: "revert by any role", tamper: func(p *plan.Plan, s State, in Input) (*plan.Plan, State, Input) {
		c := *p
		c.Actions.Revert.By = ""
		return &c, s, in
	}},
}

// TestWalkCatches puts each fault in and wants the walk to fail.
func TestWalkCatches(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			for seed := range 4000 {
				w := newWalk(t, uint64(seed), f)
				if err := w.run(map[Type]int{}, map[string]bool{}); err != nil {
					t.Logf("caught by seed %d at step %d: %.160s", seed, w.steps, err)
					return
				}
			}
			t.Errorf("no seed caught it")
		})
	}
}
