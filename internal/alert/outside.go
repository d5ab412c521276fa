package alert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The systems whose alerts are taken from outside.
const (
	Alertmanager = "alertmanager"
	Sentry       = "sentry"
)

// RolloutLabel is the label of an outside alert that names the rollout it is
// about, by its id or by its plan.
const RolloutLabel = "serin_rollout"

// Bounds of what is taken from outside.
const (
	// MaxOutside is how many alerts of one name are followed at a time.
	MaxOutside = 1000
	maxTold    = 300 // bytes of a label's value
	keptTold   = time.Hour
)

// ErrTooMany is the answer to more alerts of one name than are followed.
var ErrTooMany = errors.New("too many alerts of one name")

// Told is what another system said last of one of its alerts. Its labels say
// which alert it is.
type Told struct {
	Labels   Labels    `json:"labels,omitempty"`
	Starts   time.Time `json:"starts"`
	Until    time.Time `json:"until,omitzero"` // it fires until then, unless it is told again; zero = until it is told to be over
	Ended    time.Time `json:"ended,omitzero"` // told to be over; zero = it fires
	Severity string    `json:"severity"`       // p1 … p4
	Rollout  string    `json:"rollout,omitempty"`
	Why      string    `json:"why,omitempty"`
	Link     string    `json:"link,omitempty"`
}

// Fires reports whether the alert fires at now.
func (t Told) Fires(now time.Time) bool {
	return t.Ended.IsZero() && (t.Until.IsZero() || now.Before(t.Until))
}

// over is since when it does not fire; zero = it does.
func (t Told) over(now time.Time) time.Time {
	if t.Fires(now) {
		return time.Time{}
	}
	return cmp.Or(t.Ended, t.Until)
}

// Hear takes over what was said of alerts of one rule, in order. It changes
// neither of its arguments. Saying it twice changes nothing; what is said of
// an older firing than the one that is known is left aside. The error wraps
// ErrTooMany; then nothing is taken over.
func Hear(s State, said []Told, now time.Time) (State, error) {
	s = s.clone()
	heard := make(map[string]Told, len(s.Outside)+len(said))
	for key, t := range s.Outside {
		if over := t.over(now); over.IsZero() || now.Sub(over) < keptTold {
			heard[key] = t
		}
	}
	for _, t := range said {
		key := t.Labels.Key()
		known, ok := heard[key]
		switch {
		case ok && !t.Ended.IsZero() && t.Ended.Before(known.Starts):
			continue // the end of an earlier firing
		case ok && !known.Ended.IsZero() && t.Ended.IsZero() && !t.Starts.After(known.Starts):
			continue // a late word of what is over
		case !ok && !t.Ended.IsZero():
			continue // nobody here knew of it
		}
		if ok && known.Fires(now) && known.Starts.Before(t.Starts) && t.Ended.IsZero() {
			t.Starts = known.Starts // several senders of one alert: the first counts
		}
		heard[key] = t
	}
	if len(heard) > MaxOutside {
		return s, fmt.Errorf("%w: %d, at most %d", ErrTooMany, len(heard), MaxOutside)
	}
	s.Outside = heard
	return s, nil
}

// Heard is the evidence of a rule whose alerts come from outside.
func Heard(s State, now time.Time) Evidence {
	var e Evidence
	for _, t := range s.Outside {
		holds := t.Fires(now)
		why := t.Why
		if !holds && t.Ended.IsZero() {
			why = "it was not told again until " + t.Until.UTC().Format("2 Jan 15:04 UTC")
		}
		e.Readings = append(e.Readings, Reading{Labels: t.Labels, Holds: &holds, Why: why, Severity: t.Severity, Rollout: t.Rollout, Link: t.Link})
	}
	return e
}

// Count is how many alerts of one name from outside fire in a project.
type Count struct {
	Project, Name string
	All           int
	ByRollout     map[string]int // of those, the ones that name a rollout or a plan, by that name
}

// CountOf counts what fires of a rule from outside.
func CountOf(r Rule, s State, now time.Time) Count {
	c := Count{Project: r.Project, Name: r.Name, ByRollout: map[string]int{}}
	for _, t := range s.Outside {
		if !t.Fires(now) {
			continue
		}
		c.All++
		for _, l := range t.Labels {
			if l.Name == RolloutLabel {
				c.ByRollout[l.Value]++
			}
		}
	}
	return c
}

// SortedLabels makes labels of a map, by name. Values that are too long are
// cut; the digest of the whole keeps them apart.
func SortedLabels(set map[string]string, digest func(string) string) Labels {
	out := make(Labels, 0, len(set))
	for name, value := range set {
		value = strings.ToValidUTF8(value, "?")
		if len(value) > maxTold {
			sum := digest(value)
			value = strings.ToValidUTF8(value[:maxTold-len(sum)-1], "") + "-" + sum
		}
		out = append(out, Label{strings.ToValidUTF8(name, "?"), value})
	}
	slices.SortFunc(out, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// severities are the words of other systems for how grave something is.
var severities = map[string]string{
	"p1": "p1", "critical": "p1", "page": "p1", "emergency": "p1", "fatal": "p1", "disaster": "p1",
	"p2": "p2", "error": "p2", "major": "p2", "high": "p2",
	"p3": "p3", "warning": "p3", "warn": "p3", "minor": "p3", "medium": "p3",
	"p4": "p4", "info": "p4", "information": "p4", "low": "p4", "none": "p4", "debug": "p4",
}

// SeverityOf reads another system's word for how grave an alert is; one that
// is not known, or none, is the default.
func SeverityOf(word string) string {
	return cmp.Or(severities[strings.ToLower(strings.TrimSpace(word))], DefaultSeverity)
}
