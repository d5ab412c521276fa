package plan

import (
	"fmt"
	"time"
)

// EventKind says what an Event of the timeline is.
type EventKind string

// The events of a timeline.
const (
	StageStart EventKind = "start"  // traffic rises to the stage's
	StageCheck EventKind = "checks" // a check entry begins
	StageBaked EventKind = "baked"  // bake is complete at the earliest
	PlanEnd    EventKind = "end"    // the last stage ends at the earliest: clean-up begins
)

// Event is one line of the timeline: what happens when, if every gate opens
// at once and data never stops.
type Event struct {
	At     time.Time // in the plan's zone
	Kind   EventKind
	Stage  int
	Entry  int           // StageCheck: index of the entry
	Checks int           // StageCheck: how many checks it holds until bake is complete
	Wait   time.Duration // StageStart: how long bake had been complete
	Text   string        // for people
}

// Timeline returns what happens when, if the plan starts at start at the
// earliest. It ends early where no window ever opens.
func (p *Plan) Timeline(start time.Time) []Event {
	var events []Event
	baked := start.In(p.Location)
	for i, s := range p.Stages {
		at := p.NextEntry(s.At, baked).In(p.Location)
		if at.IsZero() {
			return events
		}
		events = append(events, Event{At: at, Kind: StageStart, Stage: i, Wait: at.Sub(baked),
			Text: fmt.Sprintf("%s begins: %s", s.Name, exposureText(p, i))})
		events = append(events, p.checkEvents(i, at)...)
		baked = at.Add(s.Bake)
		events = append(events, Event{At: baked, Kind: StageBaked, Stage: i,
			Text: fmt.Sprintf("%s: bake of %s complete", s.Name, FormatDuration(s.Bake))})
	}
	last := len(p.Stages) - 1
	return append(events, Event{At: baked, Kind: PlanEnd, Stage: last, Text: "earliest end: clean-up begins"})
}

func exposureText(p *Plan, i int) string {
	text := formatPercent(p.Stages[i].Traffic)
	if e := p.Exposure(i); e != p.Stages[i].Traffic {
		text += ", " + formatPercent(e) + " until the clean-up (holdback)"
	}
	return text
}

// checkEvents lists the check entries of a stage until its bake is complete.
func (p *Plan) checkEvents(i int, at time.Time) []Event {
	var events []Event
	var age time.Duration
	s := p.Stages[i]
	for k, c := range s.Checks {
		if age >= s.Bake {
			break
		}
		lasts := s.Bake - age
		if c.For > 0 {
			lasts = min(lasts, c.For)
		}
		n := int(lasts / c.Every)
		events = append(events, Event{At: at.Add(age), Kind: StageCheck, Stage: i, Entry: k, Checks: n,
			Text: fmt.Sprintf("%s: checks every %s for %s, %d in all", s.Name, FormatDuration(c.Every), FormatDuration(lasts), n)})
		if age += lasts; c.For == 0 {
			break
		}
	}
	return events
}

// EarliestEnd returns when the last stage's bake is complete at the earliest,
// if the plan starts at start; zero if a window never opens.
func (p *Plan) EarliestEnd(start time.Time) time.Time {
	events := p.Timeline(start)
	if n := len(events); n > 0 && events[n-1].Kind == PlanEnd {
		return events[n-1].At
	}
	return time.Time{}
}

// entries returns when each stage is entered at the earliest and when its bake
// is complete, by stage; stages that are never reached are missing.
func (p *Plan) entries(start time.Time) (enter, baked []time.Time) {
	for _, e := range p.Timeline(start) {
		switch e.Kind {
		case StageStart:
			enter = append(enter, e.At)
		case StageBaked:
			baked = append(baked, e.At)
		}
	}
	return enter, baked
}
