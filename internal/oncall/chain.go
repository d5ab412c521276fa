package oncall

import (
	"cmp"
	"regexp"
	"slices"
	"time"
)

// The bounds of a chain: those of Grafana OnCall's wait and repeat.
const (
	MinWait    = time.Minute
	MaxWait    = 24 * time.Hour
	MaxRounds  = 5
	maxLinks   = 20
	maxTargets = 10
)

// DefaultWait is how long the default chain waits for an acknowledgement.
const DefaultWait = 5 * time.Minute

// Chain is whom to tell, one after the other, until somebody acknowledges.
type Chain struct {
	Links  []Link `json:"links,omitempty"`
	Rounds int    `json:"rounds,omitempty"` // how often the links are gone through, 1 to 5; 0 = 1
}

// Link is one step of a chain: tell, then wait for an acknowledgement.
type Link struct {
	// Tell are "rota" (who is on duty by the chain's own rota), "@person",
	// "oncall:NAME" or "pagerduty:NAME" (who is on duty there).
	Tell []string      `json:"tell"`
	Wait time.Duration `json:"wait"` // in nanoseconds; 0 = DefaultWait
}

// OwnRota in Link.Tell is who is on duty by the chain's own rota.
const OwnRota = "rota"

var targetForm = regexp.MustCompile(`^(rota|@[a-z0-9][a-z0-9._-]{0,62}|(oncall|pagerduty):[^\s/]{1,60})$`)

// Default tells who is on duty, and after five minutes them again and those
// whom the role escalates to, in turn; five rounds.
func Default(escalatesTo ...string) Chain {
	c := Chain{Links: []Link{{Tell: []string{OwnRota}, Wait: DefaultWait}}, Rounds: MaxRounds}
	for _, who := range escalatesTo[:min(len(escalatesTo), maxLinks-1)] {
		c.Links = append(c.Links, Link{Tell: []string{OwnRota, who}, Wait: DefaultWait})
	}
	return c
}

func (c Chain) check() error {
	if len(c.Links) > maxLinks || c.Rounds < 0 || c.Rounds > MaxRounds {
		return bad("a chain of %d links and %d rounds", "at most 20 and 5", len(c.Links), c.Rounds)
	}
	for _, l := range c.Links {
		if len(l.Tell) == 0 || len(l.Tell) > maxTargets {
			return bad("a link that tells %d", "tell 1 to 10", len(l.Tell))
		}
		for _, t := range l.Tell {
			if !targetForm.MatchString(t) {
				return bad("tell %q", "write rota, @person or oncall:NAME", t)
			}
		}
		if l.Wait != 0 && (l.Wait < MinWait || l.Wait > MaxWait) {
			return bad("wait %s", "between 1m and 24h; left out: 5m", l.Wait)
		}
	}
	return nil
}

// State is where a chain stands. The zero value has not begun.
type State struct {
	Told  int       `json:"told"`         // links carried out so far, over all rounds
	Due   time.Time `json:"due,omitzero"` // of the next link; zero = none is to come
	Began time.Time `json:"began,omitzero"`
	Acked time.Time `json:"acked,omitzero"`
	By    string    `json:"by,omitempty"`   // who acknowledged
	Ended time.Time `json:"ended,omitzero"` // what it was about is over
	Spent time.Time `json:"spent,omitzero"` // the last wait passed and nobody answered
}

// Open reports whether somebody may still acknowledge.
func (s State) Open() bool { return !s.Began.IsZero() && s.Acked.IsZero() && s.Ended.IsZero() }

// Input is what happens to a chain: time passes, somebody acknowledges, or
// what it is about is over.
type Input struct {
	Now     time.Time
	Ack     string // who acknowledges; "" = nobody
	Resolve bool
}

// Told is what Step asks for: tell these targets.
type Told struct {
	Round, Link int // from 1
	Targets     []string
}

// Step carries a chain on. At most one link is carried out at a time, so that
// a server that was down does not tell everybody at once: what is late waits
// anew from Now. The same input again changes nothing.
func Step(c Chain, s State, in Input) (State, *Told) {
	switch {
	case in.Resolve:
		if s.Ended.IsZero() && !s.Began.IsZero() {
			s.Ended, s.Due = in.Now, time.Time{}
		}
		return s, nil
	case in.Ack != "":
		if s.Open() {
			s.Acked, s.By, s.Due = in.Now, in.Ack, time.Time{}
		}
		return s, nil
	case s.Began.IsZero() && len(c.Links) > 0:
		s.Began, s.Due = in.Now, in.Now
	}
	if !s.Open() || s.Due.IsZero() || in.Now.Before(s.Due) {
		return s, nil
	}
	if s.Told >= len(c.Links)*max(c.Rounds, 1) {
		s.Spent, s.Due = in.Now, time.Time{}
		return s, nil
	}
	n := s.Told % len(c.Links)
	told := &Told{Round: s.Told/len(c.Links) + 1, Link: n + 1, Targets: slices.Clone(c.Links[n].Tell)}
	s.Told++
	s.Due = in.Now.Add(cmp.Or(c.Links[n].Wait, DefaultWait))
	return s, told
}
