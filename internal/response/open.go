package response

import (
	"context"
	"fmt"
	"slices"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// AlertChanged lets an alert open an incident, join the one that is open or be
// over. The same change may come again. A change of no rollout is nobody's: only
// a plan says what opens.
func (e *Engine) AlertChanged(ctx context.Context, c alert.Change) error {
	switch c.Kind {
	case alert.Fired, alert.Rose, alert.Ended:
	default:
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c.Rollout == "" {
		return nil
	}
	r, err := e.standing(c.Rollout)
	if err != nil || r == nil {
		return err
	}
	now := e.o.Clock.Now()
	k := e.holder(incident.AlertOf(c))
	if k == nil {
		k = e.openOf(r.ID)
	}
	switch {
	case k != nil:
		return e.step(ctx, k, r, incident.Input{At: now, Alert: &c}, store.AuditEntry{})
	case c.Kind == alert.Ended || !opens(r.Plan, c.Severity):
		return nil
	}
	title := c.Name
	if c.Why != "" {
		title += ": " + c.Why
	}
	o := incident.Opening{Rollout: r.ID, Project: r.Project, Title: cut(title), Severity: c.Severity, Origin: "alert " + c.Name}
	_, err = e.begin(ctx, r, o, incident.Input{At: now, Alert: &c}, store.AuditEntry{})
	return err
}

// cut bounds the title that an alert gives.
func cut(text string) string {
	if len(text) > incident.MaxText {
		text = text[:incident.MaxText]
	}
	return text
}

// opens reports whether a plan opens incidents for alerts as grave as severity.
func opens(p *plan.Plan, severity string) bool {
	return slices.ContainsFunc(p.Incident.OpenAlerts, func(grade string) bool { return severity != "" && severity <= grade })
}

// holder is the incident that has a firing already, open or not; nil = none.
func (e *Engine) holder(a incident.Alert) *kept {
	for _, id := range slices.Backward(e.order) {
		if e.all[id].state.Has(a) {
			return e.all[id]
		}
	}
	return nil
}

// begin opens an incident under the next number and journals it. The caller holds mu.
func (e *Engine) begin(ctx context.Context, r *Rollout, o incident.Opening, in incident.Input, by store.AuditEntry) (*kept, error) {
	k := &kept{number: e.last + 1}
	o.ID, o.Project = fmt.Sprintf("INC-%d", k.number), flag.ProjectOf(o.Project)
	if r != nil {
		o.Lead = owner(r)
		in.Reading = e.first(r, in.At)
	}
	in.Open = &o
	if err := e.step(ctx, k, r, in, by); err != nil {
		return nil, err
	}
	e.all[o.ID], e.order, e.last = k, append(e.order, o.ID), k.number
	if err := e.mend(ctx, k, r); err != nil {
		e.log.Error("journal an incident", "incident", o.ID, "err", err) // the next look tries again
	}
	e.poke()
	return k, nil
}

// watch opens incidents by the rules of plans. The caller holds mu.
func (e *Engine) watch(ctx context.Context, now time.Time) {
	for _, r := range e.o.Rollouts.Standings() {
		if len(r.Plan.Incident.Opens) == 0 || ctx.Err() != nil || r.State.StartedAt.IsZero() || store.Over(r.State.Status) {
			continue
		}
		if err := e.watchOne(ctx, &r, now); err != nil && ctx.Err() == nil {
			e.log.Error("look at the rules that open incidents", "rollout", r.ID, "err", err)
		}
	}
}

func (e *Engine) watchOne(ctx context.Context, r *Rollout, now time.Time) error {
	ev, err := e.o.Evidence.View(r.ID)
	if err != nil {
		return err
	}
	rules := r.Plan.Incident.Opens
	verdicts, held := r.Judge(r.Plan, rules, judge.Guard, r.Place, ev, e.held[r.ID], now)
	e.held[r.ID] = held
	for i, v := range verdicts {
		key := r.ID + "\n" + rules[i].Text
		if v.Status == judge.NotMet {
			e.calm[key] = now
		}
		if v.Status != judge.Met || e.openOf(r.ID) != nil || !e.anew(r.ID, key, rules[i], now) {
			continue
		}
		o := incident.Opening{Rollout: r.ID, Project: r.Project, Title: cut(v.Why), Origin: "rule " + rules[i].Text}
		if _, err := e.begin(ctx, r, o, incident.Input{At: now}, store.AuditEntry{}); err != nil {
			return err
		}
	}
	return nil
}

// anew reports whether a rule that holds says something that the last incident
// did not: it was calm since that was resolved, or its window begins after it.
func (e *Engine) anew(id, key string, rule *plan.Rule, now time.Time) bool {
	var resolved time.Time
	for _, name := range e.order {
		if s := e.all[name].state; s.Rollout == id {
			resolved = s.ResolvedAt
		}
	}
	return resolved.IsZero() || e.calm[key].After(resolved) || rule.Over.Dur > 0 && now.Sub(resolved) >= rule.Over.Dur
}

// Person is who asks for something. Authorize fills in the role in which a
// command is given to a rollout, and refuses a role that is not theirs; nil =
// nobody checks.
type Person struct {
	Name, Via, Address string
	Authorize          func(ctx context.Context, rollout string, cmd *rollout.Command) error
}

// Opened is what a person opens an incident with.
type Opened struct {
	Rollout  string // id, or a plan's name for its latest; "" = none
	Project  string // of an incident about no rollout
	Title    string
	Severity string // "" = p1
	Text     string // what was seen; "" = nothing more
	Command  string // idempotency key; "" = none
}

// Open opens an incident by hand. A rollout that has an open one refuses it.
func (e *Engine) Open(ctx context.Context, by Person, o Opened) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	var r *Rollout
	if o.Rollout != "" {
		found, err := e.o.Rollouts.Standing(o.Rollout)
		if err != nil {
			return View{}, err
		}
		r, o.Rollout, o.Project = &found, found.ID, found.Project
	}
	for _, id := range e.order {
		if e.all[id].state.Answered(o.Command) {
			return e.view(e.all[id], r, e.o.Clock.Now(), true), nil
		}
	}
	if k := e.openOf(o.Rollout); k != nil {
		return View{}, &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("%s of %s is open: add what you saw to it", k.state.ID, o.Rollout)}
	}
	cmd := incident.Command{ID: o.Command, By: by.Name, Via: by.Via, Text: o.Text}
	in := incident.Input{At: e.o.Clock.Now(), Command: &cmd}
	k, err := e.begin(ctx, r, incident.Opening{Rollout: o.Rollout, Project: o.Project, Title: o.Title, Severity: o.Severity}, in, store.AuditEntry{Address: by.Address})
	if err != nil {
		return View{}, err
	}
	return e.view(k, r, in.At, true), nil
}
