package response

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"serin/internal/incident"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Do carries out a person's command on an incident and returns it as it stands
// then. A decision is handed to the rollout before the answer; a
// *rollout.Refusal says why something was not done.
func (e *Engine) Do(ctx context.Context, id string, by Person, c incident.Command) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, err := e.find(id)
	if err != nil {
		return View{}, err
	}
	r, err := e.standing(k.state.Rollout)
	if err != nil {
		return View{}, err
	}
	c.By, c.Via = by.Name, by.Via
	if c.Verb == incident.DoDecide && r != nil && by.Authorize != nil {
		cmd := rollout.Command{Verb: rollout.Rollback, Via: by.Via}
		if err := by.Authorize(ctx, r.ID, &cmd); err != nil {
			return View{}, err
		}
		c.Role = cmd.Role
	}
	now := e.o.Clock.Now()
	err = e.step(ctx, k, r, incident.Input{At: now, Command: &c}, store.AuditEntry{Address: by.Address})
	if errors.Is(err, ErrStore) {
		return View{}, err
	}
	defer e.poke()
	if mending := e.mend(ctx, k, r); mending != nil {
		e.log.Error("journal an incident", "incident", id, "err", mending) // the next look tries again
	}
	if err == nil && c.Verb == incident.DoDecide {
		if d := k.state.Decisions; len(d) > 0 && d[len(d)-1].Refused != "" {
			err = &rollout.Refusal{Kind: rollout.Barred, Why: d[len(d)-1].Refused}
		}
	}
	if r, _ = e.standing(k.state.Rollout); r != nil {
		if late := e.step(ctx, k, r, incident.Input{At: e.o.Clock.Now()}, store.AuditEntry{}); late != nil {
			e.log.Error("look at an incident", "incident", id, "err", late)
		}
	}
	return e.view(k, r, e.o.Clock.Now(), true), err
}

// mend brings the rollout's journal up to what was stored of the incident, and
// carries out a decision that is still to be. The caller holds mu.
func (e *Engine) mend(ctx context.Context, k *kept, r *Rollout) error {
	s := k.state
	if r == nil {
		if d := s.Decided(); d != nil && d.Pending() {
			return e.step(ctx, k, nil, incident.Input{At: e.o.Clock.Now(), Result: &incident.Result{Number: d.Number}}, store.AuditEntry{})
		}
		k.settled = s.Status == incident.Closed
		return nil
	}
	for _, x := range lacking(s, r.State.Incidents) {
		if err := e.o.Rollouts.Record(ctx, r.ID, x); err != nil {
			return err
		}
		e.o.Fault("after incident journal")
	}
	if d := s.Decided(); d != nil && d.Pending() {
		return e.carryOut(ctx, k, r, *d)
	}
	k.settled = s.Status == incident.Closed
	return nil
}

// lacking are the events by which a journal that knows have reaches the
// incident's state.
func lacking(s incident.State, have []rollout.Incident) (out []rollout.Event) {
	i := slices.IndexFunc(have, func(i rollout.Incident) bool { return i.ID == s.ID })
	known := i >= 0
	var at rollout.Incident
	if known {
		at = have[i]
	}
	if !known || s.Status == incident.Open && at.Resolved {
		out = append(out, rollout.Event{Type: rollout.IncidentOpened, Kind: s.ID, By: s.OpenedBy, Reason: s.Title})
	}
	if s.Status != incident.Open && !at.Resolved {
		out = append(out, rollout.Event{Type: rollout.IncidentResolved, Kind: s.ID, By: s.ResolvedBy, Reason: s.Cause})
	}
	if s.Status == incident.Closed && !at.Closed {
		out = append(out, rollout.Event{Type: rollout.IncidentClosed, Kind: s.ID})
	}
	return out
}

// carryOut hands a decision to the rollout and notes what became of it. The
// command's id makes it count once.
func (e *Engine) carryOut(ctx context.Context, k *kept, r *Rollout, d incident.Decision) error {
	res := incident.Result{Number: d.Number}
	cmd, note := command(k.state.ID, d, r.State)
	if cmd == nil {
		res.Note = note
		if _, done := r.State.Answered(d.Command); !done {
			x := rollout.Event{Type: rollout.IncidentDecided, Kind: k.state.ID, Command: d.Command, By: d.By, Role: d.Role, Via: d.Via,
				Reason: strings.TrimSuffix(d.Words()+": "+d.Reason, ": ")}
			if err := e.o.Rollouts.Record(ctx, r.ID, x); err != nil {
				return err
			}
		}
	} else {
		events, err := e.o.Rollouts.Do(ctx, r.ID, *cmd)
		var refusal *rollout.Refusal
		switch {
		case errors.As(err, &refusal):
			res.Refused = refusal.Why
		case err != nil:
			return err
		}
		for _, x := range events {
			if x.Type == rollout.RolledBackEvent || x.Type == rollout.ReducedEvent || x.Type == rollout.PausedEvent {
				res.Journal = x.Pos
			}
			if x.Type == rollout.IncidentDecided && x.Reason != cmd.Reason {
				res.Note = strings.TrimPrefix(strings.TrimPrefix(x.Reason, cmd.Reason), "; ")
			}
		}
	}
	e.o.Fault("after incident action")
	return e.step(ctx, k, r, incident.Input{At: e.o.Clock.Now(), Result: &res}, store.AuditEntry{})
}

// command is the rollout's command for a decision; nil where nothing has to
// move, and then why.
func command(id string, d incident.Decision, s rollout.State) (cmd *rollout.Command, note string) {
	cmd = &rollout.Command{ID: d.Command, By: d.By, Role: d.Role, Via: d.Via, Incident: id,
		Reason: cmp.Or(d.Reason, "as the plan proposes in "+id)}
	for _, t := range d.Then {
		if t.Flag != "" {
			cmd.Set = append(cmd.Set, rollout.Companion{Flag: t.Flag, To: t.To, Incident: id})
		}
	}
	_, again := s.Answered(d.Command)
	switch d.Do {
	case incident.Rollback:
		cmd.Verb = rollout.Rollback
		if s.Status == rollout.RolledBack && !again {
			return nil, "it was rolled back already"
		}
	case incident.Reduce:
		cmd.Verb, cmd.Percent = rollout.Reduce, d.Percent
	case incident.Hotfix:
		cmd.Verb, cmd.Hotfix = rollout.Reduce, true
	case incident.Pause:
		cmd.Verb = rollout.Pause
	default:
		return nil, ""
	}
	return cmd, ""
}
