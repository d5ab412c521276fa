package simulate

import (
	"math"
	"slices"
	"time"
)

// Result is what a simulation found. Shares are of runs.
type Result struct {
	Plan    string    `json:"plan"`
	Runs    int       `json:"runs"`
	Seed    uint64    `json:"seed"`
	Start   time.Time `json:"start"`
	Traffic Traffic   `json:"traffic"`

	// FalseRollback is how often the healthy feature was rolled back, by
	// tests and fixed limits together; Budget is what the tests may use.
	FalseRollback Share   `json:"false_rollback"`
	Budget        float64 `json:"budget"`
	FalseReduce   Share   `json:"false_reduce"`
	Stuck         Share   `json:"stuck"` // at one gate or more
	Asked         Share   `json:"asked"` // a person was asked about unknown criteria, at one gate or more
	// Finish is when runs were finished that nothing lowered and no criterion
	// kept for good; Earliest is the plan's own timeline.
	Finish   Times   `json:"finish"`
	Finished Share   `json:"finished"`
	Earliest float64 `json:"earliest_hours"` // 0 = never

	Guards []GuardResult `json:"guards"` // rollback and reduce rules, in the order of the plan
	Stages []StageResult `json:"stages"`
	// Grid is what became of known regressions, Smallest the least of them that
	// is caught with 80 %, Suggestions what changes of the plan would bring.
	Grid        []CellResult `json:"grid,omitempty"`
	Smallest    []Smallest   `json:"smallest,omitempty"`
	Suggestions []Suggestion `json:"suggestions,omitempty"`
	Basis       []string     `json:"basis,omitempty"` // what of the traffic was measured
	Assumed     []string     `json:"assumed"`         // what the figures do not say, and what was taken instead
}

// Share is how often something happened.
type Share struct {
	Count int     `json:"count"`
	Of    int     `json:"of"`
	P     float64 `json:"p"`  // Count/Of, 0 of nothing
	SE    float64 `json:"se"` // standard error of P
}

func share(count, of int) Share {
	s := Share{Count: count, Of: of}
	if of > 0 {
		s.P = float64(count) / float64(of)
		s.SE = math.Sqrt(s.P * (1 - s.P) / float64(of))
	}
	return s
}

// Times are quantiles of a time in hours; 0 of nothing.
type Times struct {
	P50 float64 `json:"p50_hours"`
	P90 float64 `json:"p90_hours"`
}

func times(of []time.Duration) Times {
	slices.Sort(of)
	return Times{P50: rank(of, 0.5).Hours(), P90: rank(of, 0.9).Hours()}
}

// rank is the smallest value that a share q of the sorted values does not exceed.
func rank[T any](sorted []T, q float64) (v T) {
	if n := len(sorted); n > 0 {
		v = sorted[max(0, int(math.Ceil(q*float64(n)))-1)]
	}
	return v
}

// GuardResult is how often one rule lowered the healthy feature first.
type GuardResult struct {
	List    string  `json:"list"` // rollback or reduce
	Rule    string  `json:"rule"`
	Fixed   bool    `json:"fixed"` // a limit of its own: outside judge.false_rollback
	Acts    Share   `json:"acts"`
	ByStage []Share `json:"by_stage"` // of the runs that reached the stage
}

// StageResult is what happened at one stage.
type StageResult struct {
	Stage   string  `json:"stage"`
	Traffic float64 `json:"traffic"` // percent of the audience on new
	Users   int64   `json:"users"`   // of the audience on new, expected
	Reached Share   `json:"reached"`
	Asked   Share   `json:"asked"` // a person was asked about unknown criteria; of those whose bake was complete
	Stuck   Share   `json:"stuck"` // a criterion kept it for good; of those whose bake was complete
	// Provable is within which factor of control's errors the new variant can be
	// proved to stay by the end of bake, if nothing is wrong: 1.5 is +50 %.
	// 0 = there is no control, NothingProvable = there are too few errors.
	Provable float64 `json:"provable_errors"`
	Waited   Times   `json:"waited"` // from the end of bake to the raise, of those that were not stuck
	// Proceed are the stage's criteria at the end of bake, Checks the rules of
	// its checks.
	Proceed []CriterionResult `json:"proceed"`
	Checks  []CheckResult     `json:"checks"`
}

// NothingProvable is the StageResult.Provable of too few errors to prove anything.
const NothingProvable = -1

// CriterionResult is how often a criterion kept the healthy feature at the end of bake.
type CriterionResult struct {
	Rule    string `json:"rule"`
	NotMet  Share  `json:"not_met"` // the stage waits
	Unknown Share  `json:"unknown"` // the stage waits, asks or passes, as inconclusive says
	Stuck   Share  `json:"stuck"`   // it was not met when the stage was stuck
}

// CheckResult is how often a check's rule was red although nothing was wrong.
type CheckResult struct {
	Rule  string  `json:"rule"`
	Red   Share   `json:"red"`   // runs with one red check or more in the stage
	Times float64 `json:"times"` // red checks a run
}
