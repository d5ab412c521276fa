package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// Verb is what a person may do about an incident.
type Verb string

// The verbs of a Command. Opening is Input.Open.
const (
	DoAcknowledge Verb = "acknowledge"
	DoNote        Verb = "note"
	DoDecide      Verb = "decide"
	DoHandover    Verb = "handover"
	DoSeverity    Verb = "severity"
	DoResolve     Verb = "resolve"
	DoReopen      Verb = "reopen"
	DoItem        Verb = "item"  // an item of what is needed to close is done
	DoWrite       Verb = "write" // the post-mortem's text
	DoClose       Verb = "close"
)

// The bounds of what persons write.
const (
	MaxText    = 2000    // bytes of a note, a reason, a cause
	MaxWrite   = 100_000 // bytes of a post-mortem
	maxEntries = 2000    // events from which on only what ends the incident is taken
)

// Command is what a person asks for.
type Command struct {
	ID       string       `json:"id,omitempty"` // idempotency key; "" = none
	Verb     Verb         `json:"verb"`
	By       string       `json:"by"`
	Role     string       `json:"role,omitempty"`
	Via      string       `json:"via,omitempty"`
	Text     string       `json:"text,omitempty"`     // note, reason, cause of resolve, text of write
	Do       string       `json:"do,omitempty"`       // decide: one of Outcomes; "" = what is proposed
	Percent  flag.Percent `json:"percent,omitempty"`  // decide reduce: where to; < 0 = the tree's or the plan's own
	To       string       `json:"to,omitempty"`       // handover: person or role
	Severity string       `json:"severity,omitempty"` // severity: p1 … p4
	Severe   bool         `json:"severe,omitempty"`   // severity: make it a severe one
	Item     string       `json:"item,omitempty"`
}

// Role is one step of an escalation: a role of the plan and who it is.
type Role struct{ Name, Who string }

// Reading is what was measured at one instant.
type Reading struct {
	Impact Impact
	Tree   []Answer
	Severe judge.Status // of the plan's rule; "" = it has none
	// Exposure is that of the rollout, Why what its state is called.
	Exposure flag.Percent
	Why      string
	// Served says that the newest decision's move is served to clients.
	Served     bool
	Companions []Companion // that the rollout has set for this incident
	// Release is the newest deployment that was reported, or release that was
	// seen, since the opening; "" = none.
	Release string
}

// Result is what became of a decision that was handed to the rollout.
type Result struct {
	Number  int    // of the decision
	Journal int64  // position of the move in the rollout's journal; 0 = nothing had to move
	Refused string // why it was not done; "" = it was
	Note    string // what could not be done besides
}

// Input is what a step reads: at most one of Open, Alert (which may come with
// Open), Command (likewise) and Result. Reading may come with each.
type Input struct {
	At      time.Time
	Chain   []Role // who is told when a clock runs out, nearest first
	Open    *Opening
	Alert   *alert.Change
	Command *Command
	Result  *Result
	Reading *Reading
}

// Step returns the state after the input and the events that lead there. It
// changes none of its arguments. A time before the last event counts as that.
// An error is a *rollout.Refusal; the events of clocks and readings come with
// it all the same.
func Step(p *plan.Plan, s State, in Input) (State, []Event, error) {
	if in.At.Before(s.At) {
		in.At = s.At
	}
	x := &step{p: p, s: s, in: in}
	if s.Pos > 0 {
		x.clocks()
		x.measured()
	}
	var err error
	switch {
	case in.Open != nil:
		err = x.open()
	case s.Pos == 0:
		err = refuse(rollout.Barred, "there is no such incident yet")
	case in.Alert != nil:
		x.alert(*in.Alert)
	case in.Result != nil:
		x.result(*in.Result)
	case in.Command != nil && !s.Answered(in.Command.ID):
		err = x.command(*in.Command)
	}
	return x.s, x.out, err
}

func refuse(kind rollout.RefusalKind, format string, args ...any) error {
	return &rollout.Refusal{Kind: kind, Why: fmt.Sprintf(format, args...)}
}

// step is one Step under way.
type step struct {
	p   *plan.Plan
	s   State
	in  Input
	out []Event
}

func (x *step) emit(e Event) {
	e.Pos, e.At = x.s.Pos+1, x.in.At
	x.s = Apply(x.s, e)
	x.out = append(x.out, e)
}

// by begins an event that the command brings about.
func (c Command) by(t Type) Event {
	return Event{Type: t, By: c.By, Role: c.Role, Via: c.Via, Command: c.ID, Text: strings.TrimSpace(c.Text)}
}

// open begins an incident; one that is there stays as it is.
func (x *step) open() error {
	if x.s.Pos > 0 {
		return nil
	}
	o := *x.in.Open
	o.Title, o.Severity = strings.TrimSpace(o.Title), cmp.Or(o.Severity, "p1")
	switch {
	case !grades[o.Severity]:
		return refuse(rollout.Missing, "severity %q: use p1, p2, p3 or p4", o.Severity)
	case o.Title == "" || len(o.Title) > MaxText:
		return refuse(rollout.Missing, "say in one line what has happened, in at most %d bytes", MaxText)
	}
	o.Limits = DefaultLimits
	if x.p != nil {
		in := x.p.Incident
		o.Limits, o.Items = Limits{in.Respond, in.Decide, in.Act}, in.Close
	}
	e := Event{Type: Opened}
	if c := x.in.Command; c != nil {
		e = c.by(Opened)
		o.Lead = c.By
	}
	if x.in.Alert != nil {
		a := AlertOf(*x.in.Alert)
		e.Alert = &a
	}
	if r := x.in.Reading; r != nil {
		o.Exposure, e.Impact = r.Exposure, &r.Impact
	}
	e.Opening = &o
	x.emit(e)
	x.measured()
	return nil
}

// grades are the severities.
var grades = map[string]bool{"p1": true, "p2": true, "p3": true, "p4": true}

// worse reports whether severity a is graver than b.
func worse(a, b string) bool { return grades[a] && (b == "" || a < b) }

// alert lets an alert join, raise the severity, or notes that it is over.
func (x *step) alert(c alert.Change) {
	a := AlertOf(c)
	switch c.Kind {
	case alert.Fired, alert.Rose:
		if x.s.Status != Open {
			return
		}
		if !x.s.Has(a) {
			x.emit(Event{Type: AlertJoined, Alert: &a, Text: a.Why})
		}
		if worse(a.Severity, x.s.Severity) {
			x.emit(Event{Type: SeverityEvent, Severity: a.Severity, Text: "alert " + a.Name})
		}
	case alert.Ended:
		if slices.ContainsFunc(x.s.Alerts, func(b Alert) bool { return b.Same(a) && b.Over.IsZero() }) {
			x.emit(Event{Type: AlertOver, Alert: &a})
		}
	}
}

// measured notes what a reading changes.
func (x *step) measured() {
	r := x.in.Reading
	if r == nil || x.s.Status == Closed {
		return
	}
	if r.Severe == judge.Met && x.s.Severe.IsZero() && x.s.Status == Open {
		x.emit(Event{Type: SevereEvent, Text: x.p.Incident.Severe.Text, Impact: &r.Impact})
	}
	if x.s.Rollout != "" && r.Exposure != x.s.Exposure {
		x.emit(Event{Type: Moved, Exposure: r.Exposure, Text: r.Why, Impact: &r.Impact})
	}
	if d := x.s.Decided(); d != nil && r.Served && !d.Done.IsZero() && d.Served.IsZero() {
		x.emit(Event{Type: ServedEvent, Number: d.Number})
	}
	if r.Release != "" && r.Release != x.s.Release {
		x.emit(Event{Type: Deployed, Value: r.Release})
	}
	for _, c := range r.Companions {
		if !slices.Contains(x.s.Companions, c) {
			x.emit(Event{Type: FlagOn, Flag: c.Flag, Value: c.To})
		}
	}
	for _, c := range x.s.Companions {
		if !slices.ContainsFunc(r.Companions, func(n Companion) bool { return n.Flag == c.Flag }) {
			x.emit(Event{Type: FlagBack, Flag: c.Flag})
		}
	}
}

// clocks lets clocks run out and escalates.
func (x *step) clocks() {
	if x.s.Status != Open {
		return
	}
	for _, c := range AllClocks {
		if x.s.Done[c].IsZero() && x.s.Breached[c].IsZero() && !x.in.At.Before(x.s.Due(c)) {
			x.emit(Event{Type: Breached, Clock: c})
			x.escalate(c)
		}
	}
	// Nobody answers: one step further each respond period, to the end of the chain.
	every := x.s.Limits.Respond
	if !x.s.Done[Respond].IsZero() || every <= 0 {
		return
	}
	periods := int(x.in.At.Sub(x.s.OpenedAt) / every)
	for x.s.Escalated < min(periods, len(x.in.Chain)) {
		x.escalate(Respond)
	}
}

// escalate tells the next of the chain; its last is told again.
func (x *step) escalate(c Clock) {
	if len(x.in.Chain) == 0 {
		return
	}
	r := x.in.Chain[min(x.s.Escalated, len(x.in.Chain)-1)]
	x.emit(Event{Type: Escalated, Clock: c, To: r.Name, Who: r.Who})
}

// Next is when a clock or an escalation is due after now; zero = none is.
func (s State) Next(now time.Time) (next time.Time) {
	if s.Status != Open {
		return next
	}
	due := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, c := range AllClocks {
		if s.Done[c].IsZero() && s.Breached[c].IsZero() {
			due(s.Due(c))
		}
	}
	if every := s.Limits.Respond; s.Done[Respond].IsZero() && every > 0 {
		due(s.OpenedAt.Add((max(0, now.Sub(s.OpenedAt))/every + 1) * every))
	}
	return next
}

// result notes what became of a decision.
func (x *step) result(r Result) {
	i := slices.IndexFunc(x.s.Decisions, func(d Decision) bool { return d.Number == r.Number })
	if i < 0 || !x.s.Decisions[i].Pending() {
		return
	}
	if r.Refused != "" {
		x.emit(Event{Type: Refused, Number: r.Number, Text: r.Refused})
		return
	}
	x.emit(Event{Type: Carried, Number: r.Number, Journal: r.Journal, Text: r.Note})
}

// Chain is who is told when nobody acts: the roles that role escalates to, in
// turn. Where role names none of the plan, it begins with the first role that
// escalates; a circle ends where it closes.
func Chain(p *plan.Plan, role string) (out []Role) {
	if p == nil {
		return nil
	}
	r, ok := p.Role(role)
	if !ok {
		i := slices.IndexFunc(p.Roles, func(r plan.Role) bool { return r.EscalatesTo != "" })
		if i < 0 {
			return nil
		}
		r = p.Roles[i]
	}
	seen := map[string]bool{r.Name: true}
	for r.EscalatesTo != "" && !seen[r.EscalatesTo] {
		next, ok := p.Role(r.EscalatesTo)
		if !ok {
			return append(out, Role{Name: r.EscalatesTo})
		}
		seen[next.Name] = true
		out = append(out, Role{next.Name, next.Who})
		r = next
	}
	return out
}
