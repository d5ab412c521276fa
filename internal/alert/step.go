package alert

import (
	"cmp"
	"slices"
	"time"

	"serin/internal/plan"
)

// The bounds of flapping: after so many resolves in the hour it holds firing
// until it was calm for so many times as long.
const (
	flapPairs  = 3
	flapWithin = time.Hour
	flapCalm   = 3
)

// Reading is what a rule's value was for one set of labels.
type Reading struct {
	Labels Labels
	Value  float64 // in the metric's own unit; rate by the minute
	Known  bool    // false: nothing was measured that a value could be of
	// Holds is the judge's answer for a plan's rule; nil = compare Value.
	Holds *bool
	Why   string // one sentence; "" = none
	// Severity, Rollout and Link are of an alert from outside; "" = the rule's, none.
	Severity, Rollout, Link string
}

// Evidence is what is known at one instant. Sets of labels that are left out
// had nothing in the window.
type Evidence struct {
	Readings []Reading
	// NoData says why nothing can be told from what does not hold; "" = data flow.
	NoData string
	// Since is when the silence began; zero = now.
	Since time.Time
}

// Step looks at the evidence at now and returns the state after it and what
// has changed. It changes none of its arguments. A now before the last look
// counts as that.
func Step(r Rule, s State, e Evidence, now time.Time) (State, []Change) {
	if now.Before(s.At) {
		now = s.At
	}
	x := stepper{r: r, s: s.clone(), now: now, blind: e.NoData != ""}
	x.s.At, x.s.Refused = now, 0
	x.sight(e)
	seen := map[string]bool{}
	for _, read := range sorted(e.Readings) {
		key := read.Labels.Key()
		seen[key] = true
		x.look(key, read)
	}
	if len(r.By) == 0 && r.Outside == "" && !seen[""] {
		seen[""] = true
		x.look("", Reading{})
	}
	for _, g := range x.s.List() {
		if key := g.Labels.Key(); !seen[key] {
			x.look(key, Reading{Labels: g.Labels})
		}
	}
	x.expire()
	return x.s, x.out
}

// sorted orders readings: what was counted most first, so that the bound on
// groups keeps what matters, whatever order they came in.
func sorted(list []Reading) []Reading {
	type keyed struct {
		key string
		at  int
	}
	order := make([]keyed, len(list))
	for i, r := range list {
		order[i] = keyed{r.Labels.Key(), i}
	}
	slices.SortFunc(order, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(list[b.at].Value, list[a.at].Value), cmp.Compare(a.key, b.key))
	})
	out := make([]Reading, len(list))
	for i, k := range order {
		out[i] = list[k.at]
	}
	return out
}

// stepper is one Step under way.
type stepper struct {
	r     Rule
	s     State
	now   time.Time
	blind bool
	out   []Change
}

// sight enters and leaves the state of no data.
func (x *stepper) sight(e Evidence) {
	s := &x.s
	switch {
	case x.blind && s.Blind.IsZero():
		s.Blind, s.BlindTold = x.now, false
		if !e.Since.IsZero() && e.Since.Before(x.now) {
			s.Blind = e.Since
		}
		x.out = append(x.out, x.r.change(WentBlind, Group{Why: e.NoData}, x.now))
	case !x.blind && !s.Blind.IsZero():
		s.Blind, s.BlindTold = time.Time{}, false
		x.out = append(x.out, x.r.change(SeesAgain, Group{}, x.now))
	}
	s.BlindWhy = e.NoData
}

// holds reports whether a reading is beyond the limit, and calm whether it is
// back from it. Between the two lies the hysteresis of Resolve.
func (r Rule) holds(read Reading) (holds, calm bool) {
	switch {
	case read.Holds != nil:
		return *read.Holds, !*read.Holds
	case !read.Known && r.counted():
		read.Value = 0
	case !read.Known:
		return false, true
	}
	holds = r.Op.Compare(read.Value, r.Limit)
	calm = !holds
	if r.Resolve != nil {
		calm = !r.worse(read.Value, *r.Resolve)
	}
	return holds, calm
}

// Holds reports whether a reading is beyond the rule's limit.
func (r Rule) Holds(read Reading) bool {
	holds, _ := r.holds(read)
	return holds
}

// counted reports whether nothing measured means a value of zero.
func (r Rule) counted() bool {
	return r.Rollout == "" && (r.Value == "count()" || r.Rate() || r.Value == "count_unique(user)")
}

// grade is the severity of a reading that holds.
func (r Rule) grade(read Reading) string {
	if read.Severity != "" {
		return read.Severity
	}
	if r.Critical != nil && read.Known && r.Op.Compare(read.Value, *r.Critical) {
		return worst(r.Severity, r.CriticalSeverity)
	}
	return r.Severity
}

// look takes one group a step further.
func (x *stepper) look(key string, read Reading) {
	g, known := x.s.Groups[key]
	holds, calm := x.r.holds(read)
	if x.blind && read.Holds == nil && (x.r.Op == plan.LT || x.r.Op == plan.LE) {
		holds = false // too little may be only too little that arrived
	}
	if !known {
		if !holds {
			return
		}
		if len(x.s.Groups) >= x.r.mostGroups() {
			x.s.Refused++
			return
		}
		g = Group{Labels: read.Labels, Phase: OK, Since: x.now}
	}
	g.Value, g.Known, g.Why = read.Value, read.Known, read.Why
	g.Rollout, g.Link = cmp.Or(read.Rollout, g.Rollout), cmp.Or(read.Link, g.Link)
	switch {
	case g.Phase == Firing:
		x.firing(&g, read, holds, calm)
	case holds:
		x.raise(&g, read)
	case g.Phase == Pending && !x.blind:
		g.Phase, g.Since = OK, x.now
	}
	x.s.Groups[key] = g
}

// mostGroups is how many sets of labels are followed at a time.
func (r Rule) mostGroups() int {
	if r.Outside != "" {
		return 2 * MaxOutside // those that fire, and those that resolved lately
	}
	return MaxGroups
}

// raise takes a group that holds to pending, and when it has held for long
// enough to firing.
func (x *stepper) raise(g *Group, read Reading) {
	if g.Phase != Pending {
		g.Phase, g.Since = Pending, x.now
	}
	if x.now.Sub(g.Since) < x.r.For {
		return
	}
	x.s.Incidents++
	*g = Group{Labels: g.Labels, Phase: Firing, Since: x.now, Incident: x.s.Incidents, Severity: x.r.grade(read), Ended: g.Ended,
		Rollout: g.Rollout, Link: g.Link, Value: g.Value, Known: g.Known, Why: g.Why}
	x.out = append(x.out, x.r.change(Fired, *g, x.now))
}

// firing keeps a group firing, raises its severity or ends it.
func (x *stepper) firing(g *Group, read Reading, holds, calm bool) {
	if grade := x.r.grade(read); holds && worst(g.Severity, grade) != g.Severity {
		g.Severity = grade
		g.Acked, g.AckedBy, g.AckedWhy = time.Time{}, "", "" // what was acknowledged was less
		x.out = append(x.out, x.r.change(Rose, *g, x.now))
	}
	if !calm || x.blind {
		g.Calm = time.Time{}
		return
	}
	if g.Calm.IsZero() {
		g.Calm = x.now
	}
	quiet := x.now.Sub(g.Calm)
	if quiet < x.r.ResolveAfter {
		return
	}
	g.Ended = slices.DeleteFunc(slices.Clone(g.Ended), func(t time.Time) bool { return x.now.Sub(t) >= flapWithin })
	if len(g.Ended) >= flapPairs && quiet < flapCalm*x.r.ResolveAfter {
		if !g.Flapping {
			g.Flapping = true
			x.out = append(x.out, x.r.change(Flapped, *g, x.now))
		}
		return
	}
	x.out = append(x.out, x.r.change(Ended, *g, x.now))
	*g = Group{Labels: g.Labels, Phase: Resolved, Since: x.now, Incident: g.Incident, Severity: g.Severity, Ended: append(g.Ended, x.now),
		Rollout: g.Rollout, Link: g.Link, Value: g.Value, Known: g.Known, Why: g.Why}
}

// expire lets go of groups and silences that nothing depends on any more.
func (x *stepper) expire() {
	for key, g := range x.s.Groups {
		if g.Phase == OK && len(g.Ended) == 0 || (g.Phase == OK || g.Phase == Resolved) && x.now.Sub(g.Since) >= flapWithin {
			delete(x.s.Groups, key)
		}
	}
	x.s.Silences = slices.DeleteFunc(x.s.Silences, func(s Silence) bool {
		over := !x.now.Before(s.Until)
		if over {
			x.out = append(x.out, x.r.change(Unmuted, Group{Labels: s.Labels, Why: "its time is over"}, x.now))
		}
		return over
	})
}
