// Package judge turns rules and evidence into verdicts: met, not met or
// unknown, each with its reason and the numbers it rests on. It is pure: the
// evidence is read through the Evidence interface and the time is given.
package judge

import (
	"fmt"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
	"serin/internal/telemetry"
)

// Status is a verdict's outcome. The zero value is Unknown.
type Status uint8

// The outcomes. In a list NotMet outranks Unknown outranks Met.
const (
	Unknown Status = iota
	Met
	NotMet
)

// String returns "unknown", "met" or "not met".
func (s Status) String() string { return [...]string{"unknown", "met", "not met"}[s] }

// MarshalText writes a status as its word, so that journals and answers read
// "met" and not a number.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *Status) UnmarshalText(text []byte) error {
	for _, known := range [...]Status{Unknown, Met, NotMet} {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("verdict status %q is not unknown, met or not met", text)
}

// Cause says why a verdict is unknown.
type Cause string

// The causes of Unknown.
const (
	CauseNone      Cause = ""
	CauseEvidence  Cause = "evidence"     // too little data, or no proof either way
	CauseNoData    Cause = "no data"      // the pipeline is silent
	CauseNoSource  Cause = "no source"    // the source never delivered or is not built in
	CauseBlind     Cause = "blind"        // the source delivered and now fails
	CauseQuality   Cause = "data quality" // sample ratio mismatch not accepted
	CauseNoControl Cause = "no control"
)

// Verdict is one rule's answer with everything it rests on. It is stored in
// the journal as JSON.
type Verdict struct {
	Rule    string   `json:"rule"`
	Metric  string   `json:"metric"`
	Status  Status   `json:"status"`
	Cause   Cause    `json:"cause,omitempty"`
	Value   *float64 `json:"value,omitempty"` // in the metric's unit (relative change for vs rules); nil = none
	Limit   float64  `json:"limit"`
	Unit    string   `json:"unit,omitempty"`
	Ref     plan.Ref `json:"ref,omitempty"`    // what it was compared with in the end
	Approx  bool     `json:"approx,omitempty"` // approximate method, or baseline
	Canary  *float64 `json:"canary,omitempty"` // the metric's value per arm over the window; of gates in the stage where Estimate is
	Control *float64 `json:"control,omitempty"`
	// Estimate is how the arms compare, and Low … High its always-valid interval:
	// of gates in the stage, of guards since the harm began.
	Estimate *float64  `json:"estimate,omitempty"`
	Low      *float64  `json:"low,omitempty"`
	High     *float64  `json:"high,omitempty"`
	LogE     *float64  `json:"log_e,omitempty"`     // natural log of the e-value
	LogLimit *float64  `json:"log_limit,omitempty"` // its threshold
	Harm     bool      `json:"harm,omitempty"`      // harm shown, below the rule's own limit: the stage waits
	Events   int64     `json:"events,omitempty"`    // sample: events or loads looked at
	Sample   *Sample   `json:"sample,omitempty"`    // what a comparison rests on, by arm
	Users    int64     `json:"users,omitempty"`     // distinct users in the window, both arms of a comparison
	Dry      bool      `json:"dry,omitempty"`
	Why      string    `json:"why"` // one sentence for a tired person
	At       time.Time `json:"at"`
	// Since is from when on the rule has held in every evaluation ("for").
	Since time.Time `json:"since,omitzero"`
}

// Sample is what a comparison rests on, by arm.
type Sample struct {
	What string `json:"what"` // "users affected", "loads"
	New  int64  `json:"new"`
	Old  int64  `json:"old"`
	// OfNew and OfOld are the trials of a proportion; 0 = it is none.
	OfNew int64 `json:"of_new,omitempty"`
	OfOld int64 `json:"of_old,omitempty"`
}

// Group picks whose data a window reads.
type Group uint8

// The groups. Exposed is what fixed limits count: events with all of
// scope.tags, or reported (else assigned) new. The others are by assignment.
const (
	Exposed Group = iota
	AssignedNew
	AssignedOld
)

// Window is what a metric did for a group in a span of arrival time. Values
// of one metric kind leave the other fields empty.
type Window struct {
	Count   int64         // events
	Sum     float64       // of values, for averages
	Users   int64         // distinct users with an event
	Sketch  *stats.Sketch // for quantiles; nil = none. Shared: do not change.
	Value   float64       // computed metrics and gauges: the value itself
	Known   bool          // false: nothing was ever measured in the span
	Active  int64         // distinct active users of the group in the span (any telemetry)
	Covered time.Duration // covered time (not no-data) in the span
	Last    time.Time     // newest sample, zero = none
	Series  string        // gauges: the worst of several series, as {tenant="a"}; "" = there is one
}

// SourceState is the life of a metric's source.
type SourceState uint8

// The states of a source.
const (
	NeverDelivered SourceState = iota
	Delivering
	Failing // silent or failing beyond grace
)

// Source is a metric's source as it stands.
type Source struct {
	State SourceState
	Name  string
	Error string    // the last error, if failing
	Since time.Time // begin of the failure
}

// Tests is the sequential-test data of one metric for the current attempt.
type Tests struct {
	// Odds[i] is share/(1-share) of the new arm in allocation interval i;
	// Stage[i] is the start (0, 1, ...) interval i belongs to.
	Odds  []float64
	Stage []int
	// Began[i] is when interval i began; nil = unknown, then the windows of
	// estimates are cut at the beginning of the stage.
	Began []time.Time
	// Cells count affected users (each once per start, see stats).
	Cells []stats.UserCell
	// Blocks are the closed blocks of a metric of kind Ratio: bad of all, where bad is the worse outcome (for a metric with UpGood the
	// complement of what it counts). In order of time. Psi0 stays 0: the
	// judge sets it.
	Blocks []stats.Block
	// Shifted holds the closed blocks of a quantile, in order of time, for each of Shifts(plan, metric): BadNew is the canary's count
	// above the control's quantile shifted up by that many sketch buckets,
	// BadOld the control's count above the control's quantile itself. A rule
	// whose shift is missing is unknown.
	Shifted map[int][]stats.Block
	// Ledger remembers what Blocks or Shifted amount to from one look to the
	// next; nil = it is added up anew.
	Ledger *stats.Ledger
	// Means are the users' sums of a metric of kind Average, by allocation
	// interval; nil = not available.
	Means []stats.MeanStratum
	// Events are the raw event counts of the current stage, for the companion.
	EventsNew, EventsOld int64
	Phi                  float64 // design effect of the events or the loads; 0 = 1
	// PhiSince is that of a share's trials from a start on, by start; nil = Phi.
	PhiSince []float64
	// Anonymous is set where no user of the trials is known, so that each is a unit.
	Anonymous bool
	// From is from when on the metric counts, where a revision let it begin empty.
	From time.Time
}

// phi is the design effect of what a start has: that of all there is, and more where
// what came since is more alike, as a burst is among few.
func (t *Tests) phi(start int) float64 {
	if start < 0 || start >= len(t.PhiSince) {
		return t.Phi
	}
	return max(t.Phi, t.PhiSince[start])
}

// Evidence is the judge's view of what was measured for one rollout. An
// implementation answers for one instant and may be used by one goroutine.
type Evidence interface {
	// Window reads metric for group over (from, to] of arrival time.
	Window(metric string, group Group, from, to time.Time) Window
	// Tests returns the test data of metric for the attempt so far.
	Tests(metric string) Tests
	// Source returns the state of the source of metric.
	Source(metric string) Source
	// Pushed returns the last value pushed under key, and when.
	Pushed(key string) (value string, at time.Time, ok bool)
	// Data returns the state of the telemetry as a whole.
	Data() Data
}

// Data is the state of the telemetry. The zero value is all well, nothing seen.
type Data struct {
	NoData         bool      `json:"no_data"`            // not alive, or improbable silence in scope
	Since          time.Time `json:"since,omitzero"`     // begin of the silence
	Quiet          bool      `json:"quiet"`              // alive, nobody in scope
	Last           time.Time `json:"last,omitzero"`      // newest event in scope, zero = none
	Incomplete     bool      `json:"incomplete"`         // clients reported loss, or serin refused
	Unattributed   float64   `json:"unattributed"`       // share 0..1
	Unattributable int64     `json:"unattributable"`     // number
	Attributed     int64     `json:"attributed"`         // number
	Reported       int64     `json:"reported,omitempty"` // of Attributed: by the client's word alone; the rest by the hash
	Both           int64     `json:"both,omitempty"`     // of Attributed: by the client's word and by the hash
	LossByArm      bool      `json:"loss_by_arm"`        // one arm reports more loss than the other
	Mismatch       bool      `json:"sample_mismatch"`    // sample ratio mismatch
	Conflicts      float64   `json:"conflicts"`          // share 0..1
	Exposed        int64     `json:"exposed_users"`      // distinct users seen, assigned new, in this attempt
	ControlUsers   int64     `json:"control_users"`      // the same, assigned old
	NotCounted     int64     `json:"not_counted"`        // events of exposed users not counted by fixed rules
}

// Place is where a rollout stands, as far as rules need it.
type Place struct {
	Stage        int     // index; -1 before start
	Planned      int     // number of stages
	Exposure     float64 // 0..1, of the audience
	ControlShare float64 // allocated to control, 0..1
	StageBegan   time.Time
	AttemptBegan time.Time
	RolloutBegan time.Time
	// EvidenceBegan is from when on evidence counts: no window but "over
	// rollout" reaches further back. It is the attempt's begin, or the resume
	// after a reduce. Zero = no limit.
	EvidenceBegan time.Time
	// MismatchAccepted is set when a person has accepted that the sizes of the groups
	// are not those allocated: comparisons go on, marked approximate.
	MismatchAccepted bool
	// Levels is the budget for false rollbacks of each metric, see Levels. A
	// metric without one has none, and its acting rules are never met.
	Levels map[string]float64
}

// Arm converts a group to the arm it reads.
func (g Group) Arm() telemetry.Arm {
	if g == AssignedOld {
		return telemetry.Old
	}
	return telemetry.New
}
