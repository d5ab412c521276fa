// Package incident is the pure core of incidents: how one is opened, who has to
// do what until when, what the decision tree of the plan proposes, and what
// the post-mortem says. It has no clock, no I/O and no goroutine; the time and
// what was measured are given.
//
// State is its main type, Step its main function:
//
//	open ── resolve ──▶ resolved ── close (post-mortem) ──▶ closed
//	  ▲                    │
//	  └────── reopen ──────┘
//
// State is Apply folded over the incident's events, which are its timeline.
// Three clocks run from the opening: respond (somebody acknowledges, or
// decides), decide (a decision is recorded, the proposed one or another with a
// reason) and act (the decision is carried out, and served where it moves
// traffic). A clock that runs out is an event, and escalates along the plan's
// escalates_to; so does every further respond period in which nobody answers.
//
// What it promises: Step is a function of plan, state and input alone, and
// changes none of them; called twice at one instant it does nothing the second
// time; alerts only raise the severity; only persons resolve. Refused commands
// are *rollout.Refusal.
//
// Clocks, tree and what is needed to close are the plan's `incident` block
// (docs/reference/plan.md).
package incident

import (
	"slices"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/plan"
)

// Status is where an incident stands.
type Status string

// The states of an incident. While one is open its rollout is not raised;
// until it is closed the rollout cannot be finished.
const (
	Open     Status = "open"
	Resolved Status = "resolved"
	Closed   Status = "closed"
)

// Clock is one of the three times within which people have to do something.
type Clock string

// The clocks, in the order in which they run out.
const (
	Respond Clock = "respond"
	Decide  Clock = "decide"
	Act     Clock = "act"
)

// AllClocks are the clocks in their order.
var AllClocks = [...]Clock{Respond, Decide, Act}

// Limits are how long the clocks run from the opening.
type Limits struct {
	Respond time.Duration `json:"respond"`
	Decide  time.Duration `json:"decide"`
	Act     time.Duration `json:"act"`
}

// DefaultLimits are those of an incident that no plan is about.
var DefaultLimits = Limits{Respond: 5 * time.Minute, Decide: 15 * time.Minute, Act: 30 * time.Minute}

// Of is the limit of one clock.
func (l Limits) Of(c Clock) time.Duration {
	switch c {
	case Respond:
		return l.Respond
	case Decide:
		return l.Decide
	}
	return l.Act
}

// Alert is an alert that opened the incident or joined it. Rule, Labels and
// Number name its firing for good.
type Alert struct {
	Rule     string       `json:"rule"`
	Name     string       `json:"name"`
	Labels   alert.Labels `json:"labels,omitempty"`
	Number   int64        `json:"number"` // of the firing, in the rule
	Severity string       `json:"severity,omitempty"`
	Why      string       `json:"why,omitempty"`
	At       time.Time    `json:"at"`
	Over     time.Time    `json:"over,omitzero"` // when it resolved; zero = it fires
}

// Same reports whether a and b are one firing of one alert.
func (a Alert) Same(b Alert) bool {
	return a.Rule == b.Rule && a.Number == b.Number && a.Labels.Key() == b.Labels.Key()
}

// AlertOf is the alert that a change is about.
func AlertOf(c alert.Change) Alert {
	return Alert{Rule: c.Rule, Name: c.Name, Labels: c.Labels, Number: c.Incident, Severity: c.Severity, Why: c.Why, At: c.At}
}

// Impact is how much harm was measured since the incident was opened, with the
// time before it in which the alert was counted.
type Impact struct {
	Affected int64        `json:"affected"` // users with an error
	P1       int64        `json:"p1"`       // events
	New      int64        `json:"new"`      // error events of users of the new variant
	Old      int64        `json:"old"`      // and of the old one
	Users    int64        `json:"users"`    // seen on the new variant in this stage
	Exposure flag.Percent `json:"exposure"`
	Known    bool         `json:"known"`         // false: nothing could be measured
	Why      string       `json:"why,omitempty"` // why not
	// FirstBad is the begin of the minute with the first bad event; zero = not known.
	FirstBad time.Time `json:"first_bad,omitzero"`
}

// Companion is a flag that a decision switched for the exposed users.
type Companion struct {
	Flag string `json:"flag"`
	To   string `json:"to"` // variant
}

// Item is one thing that has to be done before the incident is closed.
type Item struct {
	Text string    `json:"text"`
	Done time.Time `json:"done,omitzero"` // zero = it is open
	By   string    `json:"by,omitempty"`
}

// The outcomes of a decision.
const (
	Rollback = "rollback"
	Reduce   = "reduce"
	Hotfix   = "hotfix"
	Pause    = "pause"
	Hold     = "hold"
)

// Outcomes are what can be decided.
var Outcomes = []string{Rollback, Reduce, Hotfix, Pause, Hold}

// Decision is what was decided, and on what evidence.
type Decision struct {
	Number   int          `json:"number"` // in the incident, from 1
	Do       string       `json:"do"`
	Percent  flag.Percent `json:"percent,omitempty"` // of reduce
	Branch   int          `json:"branch"`            // the proposed one of the tree, from 0; -1 = another outcome
	Proposed string       `json:"proposed,omitempty"`
	Reason   string       `json:"reason,omitempty"`
	Then     []plan.Then  `json:"then,omitempty"`
	Tree     []Answer     `json:"tree,omitempty"` // as it answered then
	Impact   Impact       `json:"impact"`
	By       string       `json:"by,omitempty"`
	Role     string       `json:"role,omitempty"`
	Via      string       `json:"via,omitempty"`
	At       time.Time    `json:"at"`
	Command  string       `json:"command"`           // id of the rollout's command
	Done     time.Time    `json:"done,omitzero"`     // the command was committed
	Journal  int64        `json:"journal,omitempty"` // position of the move in the rollout's journal; 0 = nothing moved
	Served   time.Time    `json:"served,omitzero"`   // and is served, where it moves traffic
	Refused  string       `json:"refused,omitempty"` // why it was not carried out; "" = it was, or is under way
	Note     string       `json:"note,omitempty"`    // what could not be done besides
}

// Pending reports whether the decision still has to be carried out.
func (d Decision) Pending() bool { return d.Refused == "" && d.Done.IsZero() }

// Words is the decision in two words, "reduce 5%".
func (d Decision) Words() string { return words(d.Do, d.Percent) }

// State is an incident, folded over its events. The zero value is none.
type State struct {
	ID       string    `json:"id"` // INC-1
	Project  string    `json:"project"`
	Rollout  string    `json:"rollout,omitempty"` // "" = none: a person opened it about something else
	Title    string    `json:"title"`
	Status   Status    `json:"status"`
	Severity string    `json:"severity"`        // p1 … p4
	Severe   time.Time `json:"severe,omitzero"` // since when it is severe; zero = it is not
	OpenedAt time.Time `json:"opened_at"`
	OpenedBy string    `json:"opened_by,omitempty"` // a person; "" = serin
	Origin   string    `json:"origin,omitempty"`    // the alert or the rule that opened it
	Limits   Limits    `json:"limits"`
	Alerts   []Alert   `json:"alerts,omitempty"`
	Lead     string    `json:"lead,omitempty"` // person or role who leads it

	AckedAt    time.Time           `json:"acked_at,omitzero"`
	AckedBy    string              `json:"acked_by,omitempty"`
	Decisions  []Decision          `json:"decisions,omitempty"`  // oldest first
	Done       map[Clock]time.Time `json:"done,omitempty"`       // when each clock stopped
	Breached   map[Clock]time.Time `json:"breached,omitempty"`   // when each clock was found to have run out
	Escalated  int                 `json:"escalated,omitempty"`  // times
	Companions []Companion         `json:"companions,omitempty"` // flags that are switched now
	Impact     Impact              `json:"impact"`               // the greatest that an event recorded
	Exposure   flag.Percent        `json:"exposure"`             // of the rollout, as last noted
	Release    string              `json:"release,omitempty"`    // the newest that came since the opening; "" = none

	Cause      string    `json:"cause,omitempty"` // root cause
	ResolvedAt time.Time `json:"resolved_at,omitzero"`
	ResolvedBy string    `json:"resolved_by,omitempty"`
	Items      []Item    `json:"items,omitempty"` // needed to close
	Text       string    `json:"text,omitempty"`  // of the post-mortem, a person's, in Markdown
	TextBy     string    `json:"text_by,omitempty"`
	TextAt     time.Time `json:"text_at,omitzero"`
	ClosedAt   time.Time `json:"closed_at,omitzero"`

	Pos      int64     `json:"pos"`                // of the last event
	At       time.Time `json:"at"`                 // of it
	Commands []string  `json:"commands,omitempty"` // the last command ids, newest last
}

// maxCommands is how many command ids are remembered.
const maxCommands = 50

// Answered reports whether a command id was taken before. "" never was.
func (s State) Answered(id string) bool { return id != "" && slices.Contains(s.Commands, id) }

// Decided is the newest decision that was not refused, nil = none.
func (s State) Decided() *Decision {
	for i := range slices.Backward(s.Decisions) {
		if s.Decisions[i].Refused == "" {
			return &s.Decisions[i]
		}
	}
	return nil
}

// Due is when a clock runs out.
func (s State) Due(c Clock) time.Time { return s.OpenedAt.Add(s.Limits.Of(c)) }

// Has reports whether a firing of an alert is this incident's.
func (s State) Has(a Alert) bool { return slices.ContainsFunc(s.Alerts, a.Same) }

// Missing are the items that are not done yet.
func (s State) Missing() (out []string) {
	for _, i := range s.Items {
		if i.Done.IsZero() {
			out = append(out, i.Text)
		}
	}
	return out
}
