package incident

import (
	"maps"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
)

// Type is a kind of event.
type Type string

// The events of an incident.
const (
	Opened        Type = "opened"
	AlertJoined   Type = "alert_joined"
	AlertOver     Type = "alert_over"
	SeverityEvent Type = "severity"
	SevereEvent   Type = "severe"
	Acknowledged  Type = "acknowledged"
	Noted         Type = "note"
	HandedOver    Type = "handed_over"
	Breached      Type = "breached"
	Escalated     Type = "escalated"
	DecidedEvent  Type = "decided"
	Carried       Type = "carried_out"
	ServedEvent   Type = "served"
	Refused       Type = "refused"
	Moved         Type = "traffic"
	FlagOn        Type = "flag_set"
	FlagBack      Type = "flag_back"
	Deployed      Type = "deployed" // a release came while it was not closed
	ResolvedEvent Type = "resolved"
	Reopened      Type = "reopened"
	ItemDone      Type = "item"
	Written       Type = "post_mortem"
	ClosedEvent   Type = "closed"
)

// Event is one entry of the timeline. It is flat: each Type fills its own fields.
type Event struct {
	Pos      int64        `json:"pos"`
	Type     Type         `json:"type"`
	At       time.Time    `json:"at"`
	By       string       `json:"by,omitempty"` // a person; "" = serin
	Role     string       `json:"role,omitempty"`
	Via      string       `json:"via,omitempty"`
	Command  string       `json:"command,omitempty"` // idempotency key
	Text     string       `json:"text,omitempty"`    // what a person said, or why
	Severity string       `json:"severity,omitempty"`
	Alert    *Alert       `json:"alert,omitempty"`
	Clock    Clock        `json:"clock,omitempty"`
	To       string       `json:"to,omitempty"`  // role or person
	Who      string       `json:"who,omitempty"` // who the role is
	Item     string       `json:"item,omitempty"`
	Decision *Decision    `json:"decision,omitempty"`
	Number   int          `json:"number,omitempty"` // of the decision that carried_out, served and refused are about
	Journal  int64        `json:"journal,omitempty"`
	Flag     string       `json:"flag,omitempty"`
	Value    string       `json:"value,omitempty"` // of the flag; the release of deployed
	Exposure flag.Percent `json:"exposure,omitempty"`
	Impact   *Impact      `json:"impact,omitempty"`
	Opening  *Opening     `json:"opening,omitempty"`
}

// Opening is what an incident begins with.
type Opening struct {
	ID       string       `json:"id"`
	Project  string       `json:"project"`
	Rollout  string       `json:"rollout,omitempty"`
	Title    string       `json:"title"`
	Severity string       `json:"severity"`
	Origin   string       `json:"origin,omitempty"`
	Lead     string       `json:"lead,omitempty"`
	Limits   Limits       `json:"limits"`
	Items    []string     `json:"items,omitempty"`
	Exposure flag.Percent `json:"exposure"`
}

// Apply is the state after e. It changes neither.
func Apply(s State, e Event) State {
	s.Pos, s.At = e.Pos, e.At
	if e.Command != "" {
		s.Commands = append(slices.Clone(s.Commands), e.Command)
		s.Commands = s.Commands[max(0, len(s.Commands)-maxCommands):]
	}
	if e.Impact != nil {
		s.Impact = s.Impact.Most(*e.Impact)
	}
	switch e.Type {
	case Opened:
		s.open(e)
	case AlertJoined:
		s.Alerts = append(slices.Clone(s.Alerts), *e.Alert)
	case AlertOver:
		s.Alerts = slices.Clone(s.Alerts)
		for i := range s.Alerts {
			if s.Alerts[i].Same(*e.Alert) {
				s.Alerts[i].Over = e.At
			}
		}
	case SeverityEvent:
		s.Severity = e.Severity
	case SevereEvent:
		s.Severe = e.At
	case Acknowledged:
		s.AckedAt, s.AckedBy = e.At, e.By
		if s.Lead == "" {
			s.Lead = e.By
		}
		s.stop(Respond, e.At)
	case HandedOver:
		s.Lead = e.To
	case Breached:
		s.Breached = with(s.Breached, e.Clock, e.At)
	case Escalated:
		s.Escalated++
	case DecidedEvent, Carried, ServedEvent, Refused:
		s.decision(e)
	case Moved:
		s.Exposure = e.Exposure
	case FlagOn:
		s.Companions = append(s.without(e.Flag), Companion{Flag: e.Flag, To: e.Value})
	case FlagBack:
		s.Companions = s.without(e.Flag)
	case Deployed:
		s.Release = e.Value
	default:
		s.end(e)
	}
	return s
}

// open begins the incident.
func (s *State) open(e Event) {
	o := e.Opening
	*s = State{ID: o.ID, Project: o.Project, Rollout: o.Rollout, Title: o.Title, Status: Open, Severity: o.Severity, OpenedAt: e.At, OpenedBy: e.By,
		Origin: o.Origin, Lead: o.Lead, Limits: o.Limits, Exposure: o.Exposure, Pos: e.Pos, At: e.At, Commands: s.Commands, Impact: s.Impact}
	for _, text := range o.Items {
		s.Items = append(s.Items, Item{Text: text})
	}
	if e.Alert != nil {
		s.Alerts = []Alert{*e.Alert}
	}
}

// decision notes what was decided and what became of it.
func (s *State) decision(e Event) {
	s.Decisions = slices.Clone(s.Decisions)
	if e.Type == DecidedEvent {
		s.Decisions = append(s.Decisions, *e.Decision)
		s.stop(Respond, e.At)
		s.stop(Decide, e.At)
		return
	}
	i := slices.IndexFunc(s.Decisions, func(d Decision) bool { return d.Number == e.Number })
	if i < 0 {
		return
	}
	d := &s.Decisions[i]
	switch e.Type {
	case Carried:
		d.Done, d.Journal, d.Note = e.At, e.Journal, e.Text
		if e.Journal == 0 || d.Do == Pause || d.Do == Hold {
			d.Served = e.At
			s.stop(Act, e.At)
		}
	case ServedEvent:
		d.Served = e.At
		s.stop(Act, e.At)
	case Refused:
		d.Refused = e.Text
		if s.Decided() == nil { // nothing was decided after all
			s.Done = maps.Clone(s.Done)
			delete(s.Done, Decide)
		}
	}
}

// end applies what leads to the end of an incident.
func (s *State) end(e Event) {
	switch e.Type {
	case ResolvedEvent:
		s.Status, s.ResolvedAt, s.ResolvedBy, s.Cause = Resolved, e.At, e.By, e.Text
		s.tick(isCause, e)
	case Reopened:
		s.Status, s.ResolvedAt, s.ResolvedBy = Open, time.Time{}, ""
	case ItemDone:
		s.tick(func(text string) bool { return text == e.Item }, e)
	case Written:
		s.Text, s.TextBy, s.TextAt = e.Text, e.By, e.At
		s.tick(isPostMortem, e)
	case ClosedEvent:
		s.Status, s.ClosedAt = Closed, e.At
	}
}

// isCause and isPostMortem are the items that are done by saying the cause and
// by writing the post-mortem.
func isCause(item string) bool { return strings.EqualFold(item, "root cause") }
func isPostMortem(item string) bool {
	return strings.EqualFold(strings.ReplaceAll(item, "-", ""), "postmortem")
}

// tick marks items as done; one that is done stays as it is.
func (s *State) tick(which func(string) bool, e Event) {
	s.Items = slices.Clone(s.Items)
	for i := range s.Items {
		if which(s.Items[i].Text) && s.Items[i].Done.IsZero() {
			s.Items[i].Done, s.Items[i].By = e.At, e.By
		}
	}
}

// stop stops a clock, the first time.
func (s *State) stop(c Clock, at time.Time) {
	if s.Done[c].IsZero() {
		s.Done = with(s.Done, c, at)
	}
}

func with(m map[Clock]time.Time, c Clock, at time.Time) map[Clock]time.Time {
	out := maps.Clone(m)
	if out == nil {
		out = map[Clock]time.Time{}
	}
	out[c] = at
	return out
}

// without is the companions but that of one flag.
func (s *State) without(key string) []Companion {
	return slices.DeleteFunc(slices.Clone(s.Companions), func(c Companion) bool { return c.Flag == key })
}

// Most is the greater of two measures of impact.
func (i Impact) Most(o Impact) Impact {
	if !o.Known {
		if !i.Known {
			i.Why = o.Why
		}
		return i
	}
	first := o.FirstBad
	if first.IsZero() || !i.FirstBad.IsZero() && i.FirstBad.Before(first) {
		first = i.FirstBad
	}
	return Impact{Affected: max(i.Affected, o.Affected), P1: max(i.P1, o.P1), New: max(i.New, o.New), Old: max(i.Old, o.Old),
		Users: max(i.Users, o.Users), Exposure: max(i.Exposure, o.Exposure), FirstBad: first, Known: true}
}
