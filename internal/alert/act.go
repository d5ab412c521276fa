package alert

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// ErrNotFiring is the answer to an acknowledgement of what does not fire.
var ErrNotFiring = errors.New("the alert does not fire: there is nothing to acknowledge")

// MaxSilence is how long a silence may last.
const MaxSilence = 30 * 24 * time.Hour

// maxSilences bounds the silences of one rule.
const maxSilences = 20

// Ack acknowledges the groups that have all of labels (none = every group):
// repeats stop until the group resolves or grows worse. The error is
// ErrNotFiring where none of them fires.
func Ack(r Rule, s State, labels Labels, by, why string, now time.Time) (State, []Change, error) {
	s = s.clone()
	var out []Change
	found := false
	for _, g := range s.Firing() {
		if !labels.within(g.Labels) {
			continue
		}
		found = true
		if !g.Acked.IsZero() {
			continue
		}
		g.Acked, g.AckedBy, g.AckedWhy = now, by, why
		s.Groups[g.Labels.Key()] = g
		c := r.change(Acked, g, now)
		c.By, c.Why = by, why
		out = append(out, c)
	}
	if !found {
		return s, nil, ErrNotFiring
	}
	return s, out, nil
}

// Mute silences the groups that have all of labels until a time. A silence of
// the same labels is replaced. Errors wrap ErrInvalid.
func Mute(r Rule, s State, labels Labels, until time.Time, by, why string, now time.Time) (State, []Change, error) {
	switch {
	case !until.After(now):
		return s, nil, fmt.Errorf("%w: silence until %s: take a time that is still to come", ErrInvalid, until.UTC().Format(time.RFC3339))
	case until.Sub(now) > MaxSilence:
		return s, nil, fmt.Errorf("%w: silence until %s: at most 30 days", ErrInvalid, until.UTC().Format(time.RFC3339))
	}
	s = s.clone()
	s.Silences = slices.DeleteFunc(s.Silences, func(o Silence) bool { return slices.Equal(o.Labels, labels) })
	if len(s.Silences) >= maxSilences {
		return s, nil, fmt.Errorf("%w: a rule has at most %d silences: end one first", ErrInvalid, maxSilences)
	}
	s.Version++
	s.Silences = append(s.Silences, Silence{ID: strconv.FormatInt(s.Version, 10), Labels: labels, From: now, Until: until, By: by, Reason: why})
	c := r.change(Muted, Group{Labels: labels, Why: why}, now)
	c.By = by
	return s, []Change{c}, nil
}

// Unmute ends the silences of exactly these labels; with none there is nothing to do.
func Unmute(r Rule, s State, labels Labels, by string, now time.Time) (State, []Change) {
	s = s.clone()
	var out []Change
	s.Silences = slices.DeleteFunc(s.Silences, func(o Silence) bool {
		if !slices.Equal(o.Labels, labels) {
			return false
		}
		c := r.change(Unmuted, Group{Labels: labels}, now)
		c.By = by
		out = append(out, c)
		return true
	})
	return s, out
}
