// Package panel is what a plan's dashboard asks and what it is answered: a
// Panel is one question, counted from the moment the plan is known; a Span is
// its answer over a time. It is pure values; evidence counts, dashboard shows.
//
// Panels have steps of Step. Page loads are counted when no further vital can
// come, ten minutes after they began; a session is counted when it first fits
// the search; what arrives late is counted at its own time.
package panel

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// The bounds of panels.
const (
	Step      = 20 * time.Minute    // the finest step
	Kept      = 15 * 24 * time.Hour // how long steps stay: a week, and the one before it
	Max       = 200                 // panels of a server: each is matched against every event
	MaxGroups = 21                  // of a panel, Others among them
)

// The groups that stand for others.
const (
	Others = "(other)" // beyond MaxGroups
	None   = "(none)"  // records that have no such field
)

// Panel is one question.
type Panel struct {
	Key     string // names the question: equal for equal questions
	Project string
	Flag    string // whose rollout tells which records are of the canary
	Query   telemetry.Query
}

// Of compiles a plan's panel that has a query. The error is a
// *telemetry.SyntaxError.
func Of(project, flagKey string, p plan.Panel) (Panel, error) {
	q, err := telemetry.ParseQuery(p.Query)
	if err != nil {
		return Panel{}, err
	}
	if p.By != "" {
		q.By, q.Grouped = []string{telemetry.ByName(p.By)}, true
	}
	if p.Compare > 0 {
		q.Earlier = p.Compare
	}
	out := Panel{Project: flag.ProjectOf(project), Flag: flagKey, Query: q}
	q.Earlier, q.Against = 0, "" // what it is compared with is no part of what is counted
	sum := sha256.Sum256([]byte(out.Project + "\x00" + flagKey + "\x00" + q.String()))
	out.Key = hex.EncodeToString(sum[:8])
	return out, nil
}

// Counted reports whether the question is answered from counts: issues are
// looked up.
func (p Panel) Counted() bool { return p.Query.Dataset != telemetry.IssueList }

// Value is what a panel found in a span of time.
type Value struct {
	N     int64    `json:"n"`               // records
	Fresh int64    `json:"canary"`          // of these, known to be of the new variant
	All   int64    `json:"all,omitempty"`   // page loads that the search finds without its limits on measurements; else N
	Users int64    `json:"users,omitempty"` // distinct users, about; 0 where they are not counted
	Value *float64 `json:"value,omitempty"` // the query's aggregate: N, Users, or of the field in its unit; nil = nothing measured
}

// Point is one step of a panel; nil = nothing measured.
type Point struct {
	T     time.Time `json:"t"` // end of the step
	Value *float64  `json:"value"`
}

// Group is one group of a panel.
type Group struct {
	Name string `json:"name"`
	Value
}

// Span is a panel over a span of time.
type Span struct {
	Since  time.Time // when counting began; what is before it was not counted
	Last   time.Time // end of the newest step with a record, zero = none is kept
	Total  Value
	Points []Point
	Groups []Group // most first; none for a query without groups
}
