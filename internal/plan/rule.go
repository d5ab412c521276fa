package plan

import "time"

// Op is a comparison.
type Op string

// The comparisons.
const (
	EQ Op = "="
	NE Op = "!="
	LT Op = "<"
	LE Op = "<="
	GT Op = ">"
	GE Op = ">="
)

// Ref is what a rule compares with.
type Ref string

// The references; None is a fixed limit.
const (
	None      Ref = ""
	Control   Ref = "control"
	Baseline  Ref = "baseline"
	Reference Ref = "reference"
	Expected  Ref = "expected"
)

// Span is the window of a rule's value.
type Span struct {
	Dur  time.Duration // > 0 for a fixed window
	Name string        // "stage", "attempt", "rollout"; "stage" by default
}

// Rule is one line such as `errors > +50% vs control over 1h`.
type Rule struct {
	Text   string // as written, normalised: the rule's identity in journal and pages
	Metric string // "traffic" only in incident.decide
	Op     Op
	// Value is the limit in the metric's own unit: ms for durations, bytes
	// for sizes, 0..1 for shares. With Ref it is the signed relative change:
	// +50 % is 0.5.
	Value   float64
	Unit    string // as written
	Ref     Ref
	Over    Span
	Given   bool          // Over was written
	For     time.Duration // 0 = at once
	Set     string        // the criteria set it came from; "" = written in place
	Line    int           // 0 for a default rule
	Column  int
	Default bool // from the built-in defaults: does not apply while its metric never had data
}

// Compare reports whether value op limit holds.
func (o Op) Compare(value, limit float64) bool {
	switch o {
	case EQ:
		return value == limit
	case NE:
		return value != limit
	case LT:
		return value < limit
	case LE:
		return value <= limit
	case GT:
		return value > limit
	case GE:
		return value >= limit
	}
	return false
}
