package simulate

import (
	"time"

	"serin/internal/judge"
)

// outcome is what came of one run.
type outcome struct {
	finished, rolledBack, reduced bool
	kept                          bool   // at a gate, which ended the run
	rule                          string // that acted
	stage                         int    // in which it acted
	at                            time.Duration
	took                          time.Duration
	exposed, harmed               int64 // users
	stages                        []stageOutcome
}

// stageOutcome is what happened in one stage of a run.
type stageOutcome struct {
	reached bool
	baked   bool // its bake was complete
	asked   bool
	stuck   bool
	left    bool
	waited  time.Duration // after bake
	checks  int
	red     []string // rules that were not met, once a check
	notMet  []string // criteria at the end of bake
	unknown []string
	keeps   []string // criteria that it was stuck at
}

// measure keeps how the criteria stood at the end of bake.
func (s *stageOutcome) measure(verdicts []judge.Verdict) {
	s.baked = true
	for i := range verdicts {
		v := &verdicts[i]
		switch {
		case v.Dry:
		case v.Status == judge.NotMet:
			s.notMet = append(s.notMet, v.Rule)
		case v.Status == judge.Unknown:
			s.unknown = append(s.unknown, v.Rule)
		}
	}
}

// stick keeps that the stage was stuck, and at which criteria.
func (s *stageOutcome) stick(rules []string) { s.stuck, s.keeps = true, rules }

// stuckAnywhere reports whether a person had to override a gate.
func (o *outcome) stuckAnywhere() bool {
	for i := range o.stages {
		if o.stages[i].stuck {
			return true
		}
	}
	return false
}
