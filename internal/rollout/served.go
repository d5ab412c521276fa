package rollout

import (
	"encoding/json"
	"fmt"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

// The ways back whose time is measured against actions.*.within of the plan.
const (
	ActionRollback = "rollback"
	ActionReduce   = "reduce"
	ActionHotfix   = "hotfix"
	ActionRevert   = "revert"
)

// Clock is a way back that is under way: a lowering that no client is known
// to have been served yet, or a revert by hand.
type Clock struct {
	Action string    `json:"action"`
	Pos    int64     `json:"pos"` // of the event that began it
	At     time.Time `json:"at"`
	Told   bool      `json:"told,omitempty"` // the owner knows that it is late
	// Of a revert: who began it, and what was deployed then.
	By      string `json:"by,omitempty"`
	Release string `json:"release,omitempty"`
	Commit  string `json:"commit,omitempty"`
}

// Clocks are what the engine has measured of the ways back under way, in real
// time: on a fast clock server time is divided by its rate, because clients
// and people live in real time. The zero value: nothing was measured.
type Clocks struct {
	Lowering Lap `json:"lowering,omitzero"`
	Revert   Lap `json:"revert,omitzero"`
}

// Lap is how far one way back has come. Durations are real time since the
// event at Pos was decided; 0 = not yet.
type Lap struct {
	Pos       int64         `json:"pos"`                 // of the Clock that is measured
	Passed    time.Duration `json:"passed"`              // up to now
	Published time.Duration `json:"published,omitempty"` // until the new ruleset was current
	Evaluated time.Duration `json:"evaluated,omitempty"` // until the flag was first evaluated with it for a client
	// AtMost: the process was started anew in between. It measures from the
	// event's wall time to what it saw itself, so the true times may be shorter.
	AtMost bool `json:"at_most,omitempty"`
}

// Service is how long a way back took, in real time. Evaluated 0 means: it is
// over its limit, and nothing has been seen of a client (or of the person who
// reverts) so far.
type Service struct {
	Action    string        `json:"action"`
	Pos       int64         `json:"pos"`                 // of the event that began it
	Published time.Duration `json:"published,omitempty"` // decision to publication; 0 for a revert
	Evaluated time.Duration `json:"evaluated,omitempty"` // decision to the first evaluation served; revert: to live
	Limit     time.Duration `json:"limit,omitempty"`     // within of the plan; 0 = none
	AtMost    bool          `json:"at_most,omitempty"`   // as Lap.AtMost
}

// Late reports whether the limit of the plan was passed.
func (s Service) Late() bool { return s.Limit > 0 && (s.Evaluated == 0 || s.Evaluated > s.Limit) }

// Within is the plan's limit of a way back; 0 = it names none. A hotfix is a
// reduction, to nobody.
func Within(p *plan.Plan, action string) time.Duration {
	switch action {
	case ActionRollback:
		return p.Actions.RollbackWithin
	case ActionReduce, ActionHotfix:
		return p.Actions.ReduceWithin
	case ActionRevert:
		return p.Actions.Revert.Within
	}
	return 0
}

// ActionOf names the way back that e begins, "" for any other event.
func ActionOf(e Event) string {
	switch {
	case e.Type == RolledBackEvent:
		return ActionRollback
	case e.Type == ReducedEvent && e.Exposure == 0:
		return ActionHotfix
	case e.Type == ReducedEvent:
		return ActionReduce
	case e.Type == RevertBegun:
		return ActionRevert
	}
	return ""
}

// clocks journals what the engine has measured: that a lowering was served,
// and once each that the plan's limit has passed.
func (d *decision) clocks() {
	if c, lap := d.s.Lowering, d.in.Clock.Lowering; c != nil && lap.Pos == c.Pos {
		d.measure(c, lap)
	}
	if c, lap := d.s.Revert, d.in.Clock.Revert; c != nil && lap.Pos == c.Pos {
		lap.Evaluated = 0 // only a person or a deployment ends it
		d.measure(c, lap)
	}
}

// measure journals one clock. What was told is not told again.
func (d *decision) measure(c *Clock, lap Lap) {
	s := d.service(c, lap)
	if s.Evaluated == 0 && (c.Told || s.Limit == 0 || lap.Passed <= s.Limit) {
		return
	}
	e := d.event(ServedEvent)
	e.Served, e.Paged = &s, s.Late() && !c.Told
	d.emit(e)
}

func (d *decision) service(c *Clock, lap Lap) Service {
	return Service{Action: c.Action, Pos: c.Pos, Published: lap.Published, Evaluated: lap.Evaluated,
		Limit: Within(d.p, c.Action), AtMost: lap.AtMost}
}

// keepTime starts and ends the clocks of a state, given its exposure before e.
func (s *State) keepTime(e Event, lowered bool) {
	switch e.Type {
	case RolledBackEvent, ReducedEvent:
		if lowered {
			s.Lowering = &Clock{Action: ActionOf(e), Pos: e.Pos, At: e.At}
		}
	case Started, Restarted, Resumed, Advanced:
		s.Lowering = nil // traffic has moved on: who is served what no longer shows
	case Finished, CancelledEvent:
		s.Lowering, s.Revert = nil, nil
	case RevertBegun:
		s.Revert = &Clock{Action: ActionRevert, Pos: e.Pos, At: e.At, By: e.By, Release: e.Item, Commit: e.To}
	case Reverted:
		s.Revert = nil
	case ServedEvent:
		s.told(e.Served)
	}
}

func (s *State) told(by *Service) {
	switch {
	case by == nil:
	case s.Lowering != nil && by.Pos == s.Lowering.Pos:
		if by.Evaluated > 0 {
			s.Lowering = nil
			return
		}
		c := *s.Lowering
		c.Told = true
		s.Lowering = &c
	case s.Revert != nil && by.Pos == s.Revert.Pos:
		c := *s.Revert
		c.Told = true
		s.Revert = &c
	}
}

// closes reports whether e ends what telemetry can say of an attempt: reports
// tell its quality from there on.
func closes(e Event) bool {
	return e.Type == RolledBackEvent || e.Type == Finished || e.Type == CancelledEvent || e.Type == Advanced && e.Kind == string(Cleanup)
}

// measured is the state of the telemetry as JSON; nil when it was not read.
func (d *decision) measured() json.RawMessage {
	if d.in.Data == (judge.Data{}) {
		return nil
	}
	b, err := json.Marshal(d.in.Data)
	if err != nil { // a share that is no number: a report does without
		return nil
	}
	return b
}

// titleServed puts a served event into words.
func titleServed(e Event) (string, string) {
	s := e.Served
	if s == nil {
		return "served", ""
	}
	limit := ""
	if s.Limit > 0 {
		limit = ", limit " + exact(s.Limit)
	}
	if s.Action == ActionRevert {
		return "revert by hand not reported live after " + exact(s.Limit) + limit,
			"End it with serin rollout revert --done once it is live, or report the deployment."
	}
	if s.Evaluated == 0 {
		return fmt.Sprintf("%s published after %s%s; no client has fetched the flag for %s", s.Action, atMost(s), exact(s.Published), exact(s.Limit)),
			"Clients may still show the new code: check their connection."
	}
	title := fmt.Sprintf("%s served after %s%s%s", s.Action, atMost(s), exact(s.Evaluated), limit)
	text := "Published to clients after " + exact(s.Published) + "."
	if s.AtMost {
		text = "serin was started anew in between: the true time may be shorter."
	}
	return title, text
}

func atMost(s *Service) string {
	if s.AtMost {
		return "at most "
	}
	return ""
}

// exact writes a measured duration: "3 ms", "45 s", "6m 10s", "2h 5m".
func exact(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d/time.Millisecond)
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return spaced(d/time.Minute, "m", d%time.Minute/time.Second, "s")
	}
	return spaced(d/time.Hour, "h", d%time.Hour/time.Minute, "m")
}

func spaced(a time.Duration, unit string, b time.Duration, smaller string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, unit)
	}
	return fmt.Sprintf("%d%s %d%s", a, unit, b, smaller)
}
