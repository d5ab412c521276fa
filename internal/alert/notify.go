package alert

import (
	"maps"
	"slices"
	"time"
)

// Delivery is what became of the last notice about something that fires.
type Delivery int

// The outcomes of a delivery.
const (
	Waiting   Delivery = iota // in the outbox, or being tried
	Delivered                 // the receiver accepted it
	Dead                      // it was given up
	Late                      // tried in vain, and to be tried again
)

// Sent is what a channel was told last. The zero value is nothing.
type Sent struct {
	At     time.Time         `json:"at"`
	Notice string            `json:"notice"`           // id of the first notice about what fires
	Firing map[string]string `json:"firing,omitempty"` // severity by group
}

// Reason names why a notice goes out, or why none does.
type Reason string

// The reasons to send, in the order in which they are looked at.
const (
	First       Reason = "first notice"
	NewFiring   Reason = "more is firing"
	Worse       Reason = "severity rose"
	AllResolved Reason = "all resolved"
	OverBefore  Reason = "all resolved before the firing notice could be delivered"
	NewResolved Reason = "some resolved"
	Repeated    Reason = "repeat interval has passed"
)

// The reasons not to.
const (
	NothingFires  Reason = "nothing fires"
	IsSilenced    Reason = "silenced"
	IsInhibited   Reason = "inhibited by another rule"
	GroupWaits    Reason = "waiting for more of the group"
	GroupPauses   Reason = "group interval has not passed"
	NeverArrived  Reason = "resolved, but no firing notice was delivered"
	NotYetArrived Reason = "resolved, the firing notice is still being delivered"
	QuietResolve  Reason = "resolved, which this rule does not tell"
	IsAcked       Reason = "acknowledged"
	RepeatLater   Reason = "repeat interval has not passed"
)

// Decision is whether a channel is told now.
type Decision struct {
	Send     bool
	Reason   Reason
	Firing   []Group   // to tell of: neither silenced nor inhibited
	Resolved []Group   // told of as firing before, and resolved since
	Next     time.Time // when time alone may change the answer; zero = it cannot
	// Drop says that what was told is to be forgotten although nothing is sent.
	Drop bool
}

// Decide says whether one channel is told at now. inhibited says whether
// another rule keeps a group back; nil = none does. The order is: inhibit,
// silence, then the log of what was sent.
func Decide(r Rule, s State, sent Sent, delivery Delivery, inhibited func(Labels) bool, now time.Time) Decision {
	d, muted := audience(s, inhibited, now)
	all := s.Firing()
	for _, key := range slices.Sorted(maps.Keys(sent.Firing)) {
		if g, ok := s.Groups[key]; !ok || g.Phase != Firing {
			if !ok {
				g.Labels, _ = ParseKey(key)
				g.Phase, g.Severity = Resolved, sent.Firing[key]
			}
			d.Resolved = append(d.Resolved, g)
		}
	}
	switch {
	case len(sent.Firing) == 0:
		return d.first(r, muted, now)
	case len(all) == 0:
		return d.over(r, delivery)
	}
	return d.further(r, sent, muted, now)
}

// audience takes what fires apart: what may be told, and why the rest may not.
func audience(s State, inhibited func(Labels) bool, now time.Time) (d Decision, muted Reason) {
	muted = NothingFires
	for _, g := range s.Firing() {
		if inhibited != nil && inhibited(g.Labels) {
			muted = IsInhibited
		} else if _, yes := s.Silenced(g.Labels, now); yes {
			muted = IsSilenced
		} else {
			d.Firing = append(d.Firing, g)
		}
	}
	return d, muted
}

// first decides where nothing that fires was told yet.
func (d Decision) first(r Rule, muted Reason, now time.Time) Decision {
	if len(d.Firing) == 0 {
		d.Reason = muted
		return d
	}
	oldest := slices.MinFunc(d.Firing, func(a, b Group) int { return a.Since.Compare(b.Since) })
	if next := oldest.Since.Add(r.GroupWait); now.Before(next) {
		d.Reason, d.Next = GroupWaits, next
		return d
	}
	d.Send, d.Reason = true, First
	return d
}

// over decides where all of what was told has resolved.
func (d Decision) over(r Rule, delivery Delivery) Decision {
	switch {
	case r.Quiet:
		d.Reason, d.Drop = QuietResolve, true
	case delivery == Dead:
		d.Reason, d.Drop = NeverArrived, true
	case delivery == Waiting:
		d.Reason = NotYetArrived
	case delivery == Late: // the newest state takes the place of what never arrived
		d.Send, d.Reason = true, OverBefore
	default:
		d.Send, d.Reason = true, AllResolved
	}
	return d
}

// further decides where something that fires was told, and something does.
func (d Decision) further(r Rule, sent Sent, muted Reason, now time.Time) Decision {
	more, acked := false, len(d.Firing) > 0
	for _, g := range d.Firing {
		told, known := sent.Firing[g.Labels.Key()]
		if known && worst(told, g.Severity) != told {
			d.Send, d.Reason = true, Worse
			return d
		}
		more = more || !known
		acked = acked && !g.Acked.IsZero()
	}
	pause := sent.At.Add(r.GroupInterval)
	switch changed := more || len(d.Resolved) > 0 && !r.Quiet; {
	case changed && now.Before(pause):
		d.Reason, d.Next = GroupPauses, pause
		return d
	case more:
		d.Send, d.Reason = true, NewFiring
		return d
	case changed:
		d.Send, d.Reason = true, NewResolved
		return d
	}
	repeat := sent.At.Add(r.repeat(d.Firing))
	switch {
	case len(d.Firing) == 0:
		d.Reason = muted
	case acked:
		d.Reason = IsAcked
	case now.Before(repeat):
		d.Reason, d.Next = RepeatLater, repeat
	default:
		d.Send, d.Reason = true, Repeated
	}
	return d
}

// repeat is the interval for what fires: a P1 is told again sooner, unless the
// rule says how often itself.
func (r Rule) repeat(firing []Group) time.Duration {
	for _, g := range firing {
		if g.Severity == "p1" && r.Repeat == DefaultRepeat {
			return DefaultRepeatP1
		}
	}
	return r.Repeat
}

// Told is what a channel knows after d was sent at now as the notice id. What
// was told and is only muted now stays known, so that its end is told too.
func (sent Sent) Told(d Decision, s State, id string, now time.Time) Sent {
	next := Sent{At: now, Notice: sent.Notice, Firing: map[string]string{}}
	if len(sent.Firing) == 0 {
		next.Notice = id
	}
	for key, severity := range sent.Firing {
		if s.Groups[key].Phase == Firing {
			next.Firing[key] = severity
		}
	}
	for _, g := range d.Firing {
		next.Firing[g.Labels.Key()] = g.Severity
	}
	if len(next.Firing) == 0 {
		return Sent{}
	}
	return next
}
