package controller

import (
	"context"
	"fmt"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// Calendar is when a rollout's stages began, and when the rest comes if every
// gate opens at once and data never stops; with what lint says of its plan.
type Calendar struct {
	Rollout  string          `json:"rollout"`
	Timezone string          `json:"timezone"`
	From     time.Time       `json:"from,omitzero"`     // when the forecast begins
	Assumes  string          `json:"assumes,omitempty"` // what must happen at From; "" = nothing
	Raise    []string        `json:"raise"`             // windows in which traffic may rise
	Events   []CalendarEvent `json:"events"`            // in the order of time
	End      time.Time       `json:"end,omitzero"`      // the earliest at which the last stage is complete
	Problems []plan.Problem  `json:"problems"`          // by line
	Skipped  []string        `json:"skipped,omitempty"` // codes that were not looked at
}

// CalendarEvent is one thing that happened or will at the earliest.
type CalendarEvent struct {
	At      time.Time      `json:"at"`
	Kind    plan.EventKind `json:"kind"` // start, checks, baked, end
	Stage   string         `json:"stage,omitempty"`
	Traffic float64        `json:"traffic"` // percent of the audience on new in the stage
	Text    string         `json:"text"`
	Past    bool           `json:"past,omitempty"`    // it is on record
	Wait    time.Duration  `json:"wait,omitempty"`    // start: how long it waits for its window
	Before  []string       `json:"before,omitempty"`  // start: what people do first
	Approve []string       `json:"approve,omitempty"` // start: who of whom must approve
	Owner   []string       `json:"owner,omitempty"`   // start: who is on duty, "on-call (@ann)"
	Checks  int            `json:"checks,omitempty"`  // checks: how many until bake is complete
}

// Calendar returns the calendar of a rollout as it stands; the id may be a
// plan's name. A *rollout.Refusal says that its plan cannot be read.
func (c *Controller) Calendar(ctx context.Context, id string) (Calendar, error) {
	w, err := c.find(id)
	if err != nil {
		return Calendar{}, err
	}
	if err := w.planKnown(); err != nil {
		return Calendar{}, err
	}
	p, s, now := w.inForce.Load(), w.view.Load().State, c.o.Clock.Now()
	events, err := c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return Calendar{}, fmt.Errorf("read journal of %s: %w", w.id, err)
	}
	out := forecast(p, s, now)
	out.Rollout, out.Timezone, out.Raise = w.id, p.Timezone, windows(p)
	out.Events = append(begun(p, events), out.Events...)
	out.Problems, out.Skipped = c.problems(w)
	return out, nil
}

// planKnown refuses what only the plan of a rollout can tell, where that
// cannot be read.
func (w *worker) planKnown() error {
	if w.unread == nil {
		return nil
	}
	return &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("%s cannot be read, so nobody knows what its plan says: %v", w.id, w.unread)}
}

// begun lists when the stages of the newest attempt began.
func begun(p *plan.Plan, events []rollout.Event) []CalendarEvent {
	out := []CalendarEvent{}
	for _, e := range events {
		switch e.Type {
		case rollout.Started, rollout.Restarted:
			out = out[:0]
		case rollout.Advanced:
		default:
			continue
		}
		if e.Stage < 0 || e.Stage >= len(p.Stages) {
			continue
		}
		name := p.Stages[e.Stage].Name
		out = append(out, CalendarEvent{At: e.At, Kind: plan.StageStart, Stage: name, Traffic: percent(p.Exposure(e.Stage)), Past: true,
			Owner: onDuty(p, p.Stages[e.Stage].Owner), Text: fmt.Sprintf("%s began: %s", name, e.Exposure)})
	}
	return out
}

// forecast is what comes at the earliest, from now on.
func forecast(p *plan.Plan, s rollout.State, now time.Time) Calendar {
	out := Calendar{From: now}
	switch s.Status {
	case rollout.Preflight:
		out.Assumes = "it is started now"
		if p.Start.After(now) {
			out.From, out.Assumes = p.Start, "it is started as planned"
		}
		out.follow(p, 0, out.From)
	case rollout.Running, rollout.Paused, rollout.Reduced:
		if s.Status != rollout.Running {
			out.Assumes = "it is resumed now"
		}
		stage := p.Stages[s.Stage]
		baked := now.Add(max(0, stage.Bake-s.Bake))
		out.Events = append(out.Events, CalendarEvent{At: baked, Kind: plan.StageBaked, Stage: stage.Name, Traffic: percent(p.Exposure(s.Stage)),
			Text: fmt.Sprintf("%s: bake of %s complete", stage.Name, plan.FormatDuration(stage.Bake))})
		out.follow(p, s.Stage+1, baked)
	case rollout.RolledBack:
		if again := s.LoweredAt.Add(p.Actions.RestartAfter); again.After(now) {
			out.From = again
		}
		out.Assumes = "it is restarted as soon as it may be"
		out.follow(p, max(0, p.StageIndex(p.Actions.RestartFrom)), out.From)
	default:
		out.From = time.Time{}
	}
	return out
}

// follow adds the stages from first on, of which none begins before at.
func (cal *Calendar) follow(p *plan.Plan, first int, at time.Time) {
	rest := *p
	rest.Stages = p.Stages[first:]
	for _, e := range rest.Timeline(at) {
		ev := CalendarEvent{At: e.At, Kind: e.Kind, Text: e.Text, Wait: e.Wait, Checks: e.Checks}
		if e.Kind == plan.PlanEnd {
			cal.End = e.At
		} else {
			st := rest.Stages[e.Stage]
			ev.Stage, ev.Traffic = st.Name, percent(rest.Exposure(e.Stage))
			if e.Kind == plan.StageStart {
				ev.Before, ev.Approve, ev.Owner = st.Before, st.Approve, onDuty(p, st.Owner)
			}
		}
		cal.Events = append(cal.Events, ev)
	}
}

func windows(p *plan.Plan) []string {
	out := make([]string, len(p.Calendar.Raise))
	for i, w := range p.Calendar.Raise {
		out[i] = w.Text
	}
	return out
}

// problems is what lint says of the plan in force on this server, and the
// codes for which it has no figures yet.
func (c *Controller) problems(w *worker) (found []plan.Problem, skipped []string) {
	facts := c.facts(w)
	return append([]plan.Problem{}, plan.Lint(w.inForce.Load(), &facts)...), unknown(facts)
}
