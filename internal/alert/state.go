package alert

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Phase is where a group, or the rule as a whole, stands.
type Phase string

// The phases. NoData is the rule's alone.
const (
	OK       Phase = "ok"
	Pending  Phase = "pending"
	Firing   Phase = "firing"
	Resolved Phase = "resolved"
	NoData   Phase = "no data"
)

// State is everything a rule remembers. The zero value is a rule that was
// never looked at. Value and Why are of the last look only and not stored.
type State struct {
	Groups map[string]Group `json:"groups,omitempty"` // by Labels.Key; groups that are ok and not flapping are left out
	// Blind is since when there is no data; zero = there is. BlindTold says
	// that people know.
	Blind     time.Time       `json:"blind,omitzero"`
	BlindWhy  string          `json:"blind_why,omitempty"`
	BlindTold bool            `json:"blind_told,omitempty"`
	Silences  []Silence       `json:"silences,omitempty"`
	Sent      map[string]Sent `json:"sent,omitempty"`      // what each channel was told, by its name
	Incidents int64           `json:"incidents,omitempty"` // counted; each firing of a group is one
	Version   int64           `json:"version,omitempty"`   // of what was sent: part of a notice's id
	// Outside is what another system said of the rule's alerts, by Labels.Key.
	Outside map[string]Told `json:"outside,omitempty"`
	Refused int64           `json:"-"` // sets of labels at the last look that were too many to follow
	At      time.Time       `json:"-"` // last look
}

// Group is the state of one set of labels.
type Group struct {
	Labels   Labels      `json:"labels,omitempty"`
	Phase    Phase       `json:"phase"`
	Since    time.Time   `json:"since"`               // of the phase
	Incident int64       `json:"incident,omitempty"`  // number in the rule, from 1
	Severity string      `json:"severity,omitempty"`  // the gravest while it fires
	Calm     time.Time   `json:"calm,omitzero"`       // since when a firing group has been calm without a break
	Ended    []time.Time `json:"ended,omitempty"`     // when it resolved in the last hour
	Flapping bool        `json:"flapping,omitempty"`  // held firing until it is quiet for longer
	Acked    time.Time   `json:"acked,omitzero"`      // zero = nobody has acknowledged it
	AckedBy  string      `json:"acked_by,omitempty"`  // who did
	AckedWhy string      `json:"acked_why,omitempty"` // what they said

	Rollout string `json:"rollout,omitempty"` // of an alert from outside that names one
	Link    string `json:"link,omitempty"`    // where its system shows it

	Value float64 `json:"-"`
	Known bool    `json:"-"` // Value was measured
	Why   string  `json:"-"`
}

// Silence keeps notices back until a time. It changes no state.
type Silence struct {
	ID     string    `json:"id"`
	Labels Labels    `json:"labels,omitempty"` // of the groups it is for; none = all
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

// covers reports whether the silence holds for a group at now.
func (s Silence) covers(l Labels, now time.Time) bool {
	return !now.Before(s.From) && now.Before(s.Until) && s.Labels.within(l)
}

// within reports whether o has every label of l.
func (l Labels) within(o Labels) bool {
	for _, x := range l {
		if !slices.Contains(o, x) {
			return false
		}
	}
	return true
}

// clone copies what Step and the commands change.
func (s State) clone() State {
	s.Groups, s.Sent = maps.Clone(s.Groups), maps.Clone(s.Sent)
	s.Silences = slices.Clone(s.Silences)
	if s.Groups == nil {
		s.Groups = map[string]Group{}
	}
	return s
}

// Phase is the rule's as a whole: the gravest of its groups, else whether
// there is data.
func (s State) Phase() Phase {
	best := OK
	rank := map[Phase]int{OK: 0, Resolved: 1, NoData: 2, Pending: 3, Firing: 4}
	if !s.Blind.IsZero() {
		best = NoData
	}
	for _, g := range s.Groups {
		if rank[g.Phase] > rank[best] {
			best = g.Phase
		}
	}
	return best
}

// Silenced returns the silence that holds longest for a group at now; ok is
// false without one.
func (s State) Silenced(l Labels, now time.Time) (found Silence, ok bool) {
	for _, one := range s.Silences {
		if one.covers(l, now) && (!ok || one.Until.After(found.Until)) {
			found, ok = one, true
		}
	}
	return found, ok
}

// List returns the groups: firing first, then the gravest, then by labels.
func (s State) List() []Group {
	rank := map[Phase]int{Firing: 0, Pending: 1, Resolved: 2, OK: 3}
	list := make([]Group, 0, len(s.Groups))
	for _, key := range slices.Sorted(maps.Keys(s.Groups)) {
		list = append(list, s.Groups[key])
	}
	slices.SortStableFunc(list, func(a, b Group) int {
		return cmp.Or(cmp.Compare(rank[a.Phase], rank[b.Phase]), cmp.Compare(a.Severity, b.Severity))
	})
	return list
}

// Fires reports whether any group fires.
func (s State) Fires() bool {
	for _, g := range s.Groups {
		if g.Phase == Firing {
			return true
		}
	}
	return false
}

// Firing returns the groups that fire.
func (s State) Firing() []Group {
	return slices.DeleteFunc(s.List(), func(g Group) bool { return g.Phase != Firing })
}

// Kind is what a Change is.
type Kind string

// The kinds of change.
const (
	Fired     Kind = "fired"
	Rose      Kind = "severity rose"
	Flapped   Kind = "flapping"
	Ended     Kind = "resolved"
	WentBlind Kind = "no data"
	SeesAgain Kind = "data back"
	Acked     Kind = "acknowledged"
	Muted     Kind = "silenced"
	Unmuted   Kind = "silence ended"
	Notified  Kind = "notice"
)

// Change is one thing that happened to a rule. It is what incidents are opened
// from: Rule, Labels and Incident together name one incident for good.
type Change struct {
	Rule     string    `json:"rule"` // id
	Name     string    `json:"name"`
	Project  string    `json:"project"`
	Rollout  string    `json:"rollout,omitempty"` // "" = a stand-alone rule
	Kind     Kind      `json:"kind"`
	Labels   Labels    `json:"labels,omitempty"`
	Incident int64     `json:"incident,omitempty"`
	Severity string    `json:"severity,omitempty"`
	Value    *float64  `json:"value,omitempty"` // nil = none was measured
	Limit    float64   `json:"limit"`
	Why      string    `json:"why,omitempty"` // one sentence
	By       string    `json:"by,omitempty"`  // a person; "" = serin
	At       time.Time `json:"at"`
}

// change begins a Change about a group.
func (r Rule) change(kind Kind, g Group, now time.Time) Change {
	c := Change{Rule: r.ID, Name: r.Name, Project: r.Project, Rollout: cmp.Or(r.Rollout, g.Rollout), Kind: kind, Labels: g.Labels,
		Incident: g.Incident, Severity: g.Severity, Limit: r.Limit, Why: g.Why, At: now}
	if g.Known {
		v := g.Value
		c.Value = &v
	}
	return c
}
