package controller

import (
	"slices"
	"time"

	"serin/internal/rollout"
)

// The states of a ReportClock.
const (
	clockInTime   = "in time"
	clockLate     = "late"
	clockNoClient = "no client"
	clockRunning  = "running"
	clockUnknown  = "not measured"
)

// clock notes the use of a way back, and what was measured of it.
func (b *reporter) clock(e rollout.Event) {
	if action := rollout.ActionOf(e); action != "" && (action == rollout.ActionRevert || e.Exposure < b.s.Exposure) {
		b.r.Clock = append(b.r.Clock, ReportClock{Action: action, Pos: e.Pos, At: e.At, By: e.By,
			Limit: rollout.Within(b.p, action), State: clockUnknown, Show: e.Show, Commit: e.To})
		if action != rollout.ActionRevert {
			b.r.Clock[len(b.r.Clock)-1].Commit = ""
		}
	}
	if e.Served == nil {
		return
	}
	i := slices.IndexFunc(b.r.Clock, func(c ReportClock) bool { return c.Pos == e.Served.Pos })
	if i < 0 {
		return
	}
	c, s := &b.r.Clock[i], e.Served
	c.Published, c.Served, c.Limit, c.AtMost = s.Published, s.Evaluated, s.Limit, s.AtMost
	c.Words, _ = rollout.Title(b.p, e)
	switch {
	case s.Evaluated > 0 && !s.Late():
		c.State = clockInTime
	case s.Evaluated > 0 || s.Action == rollout.ActionRevert:
		c.State = clockLate
	default:
		c.State = clockNoClient
	}
}

// limits puts each way back beside what the plan allows it.
func (b *reporter) limits() {
	for i := range b.r.Clock {
		c := &b.r.Clock[i]
		running := b.s.Lowering != nil && b.s.Lowering.Pos == c.Pos || b.s.Revert != nil && b.s.Revert.Pos == c.Pos
		switch {
		case running && c.State == clockUnknown:
			c.State, c.Words = clockRunning, c.Action+" is being measured"
		case c.State == clockUnknown:
			c.Words = c.Action + " was not measured: traffic moved on before a client was seen to be served"
		}
	}
	a := b.p.Actions
	b.limit(rollout.ActionRollback, "flag off for everybody", a.RollbackWithin)
	b.limit(rollout.ActionReduce, "down to "+a.ReduceTraffic.String(), a.ReduceWithin)
	if len(a.Revert.Show) > 0 || slices.ContainsFunc(b.r.Clock, func(c ReportClock) bool { return c.Action == rollout.ActionRevert }) {
		b.limit(rollout.ActionRevert, "revert by hand", a.Revert.Within)
	}
}

func (b *reporter) limit(action, words string, within time.Duration) {
	l := ReportLimit{Action: action, Words: words, Limit: within}
	for _, c := range b.r.Clock {
		if c.Action == action || action == rollout.ActionReduce && c.Action == rollout.ActionHotfix {
			l.Used++
			l.Worst = max(l.Worst, c.Served)
		}
	}
	b.r.Limits = append(b.r.Limits, l)
}
