package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
)

// What a stand-up may decide.
const (
	Proceed  = "proceed"  // approves the next raise where it waits for approval
	Hold     = "hold"     // nothing moves; it is recorded
	Rollback = "rollback" // at once
)

// Choices are what a stand-up may decide.
var Choices = []string{Proceed, Hold, Rollback}

// ErrStore is the answer to a word that could not be recorded.
var ErrStore = errors.New("the decision was not recorded")

// Person is who records a decision.
type Person struct {
	Name, Via, Address string
	// Authorize fills in the role in which a command is given, or refuses.
	Authorize func(ctx context.Context, id string, cmd *rollout.Command) error
}

// Decision is the word of a stand-up.
type Decision struct {
	Rollout string   // id, or its plan's name
	Day     string   // of the stand-up; "" = the newest
	Do      string   // one of Choices
	Reason  string   // "" = none
	Present []string // who was there
	Version int64    // of the rollout as it was seen; 0 = not told
}

// maxPresent bounds the names of who was there.
const maxPresent = 50

// Decide records what a stand-up decided, with who and when. Proceed approves
// the raise that waits for approval, and rollback rolls back: both are commands
// of the rollout, in its journal before the word is recorded here. Errors wrap
// store.ErrNotFound, or are a *rollout.Refusal; with ErrStore a command may have
// been carried out.
func (e *Engine) Decide(ctx context.Context, by Person, d Decision) (View, error) {
	r, err := e.o.Rollouts.Standing(d.Rollout)
	if err != nil {
		return View{}, err
	}
	id := r.Standing.ID
	row, err := e.newest(ctx, id, d.Day)
	if err != nil {
		return View{}, err
	}
	if !slices.Contains(Choices, d.Do) {
		return View{}, &rollout.Refusal{Kind: rollout.Missing, Why: "choose one of " + strings.Join(Choices, ", ")}
	}
	if len(d.Present) > maxPresent {
		return View{}, &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf("name at most %d people who were there", maxPresent)}
	}
	note := standup.Note{Do: d.Do, By: by.Name, Via: by.Via, Reason: d.Reason, Present: d.Present}
	cmd, err := command(r, by, d)
	if err != nil {
		return View{}, err
	}
	if cmd != nil {
		if by.Authorize != nil {
			if err := by.Authorize(ctx, id, cmd); err != nil {
				return View{}, err
			}
		}
		if _, err := e.o.Rollouts.Do(ctx, id, *cmd); err != nil {
			return View{}, err
		}
		note.Role, note.Approved = cmd.Role, cmd.Verb == rollout.Approve
	}
	note.At = e.o.Clock.Now()
	if err := e.record(context.WithoutCancel(ctx), row.ID, id, by, note); err != nil {
		return View{}, err
	}
	if row, err = e.o.Store.Report(ctx, row.ID); err != nil {
		return View{}, err
	}
	return e.view(ctx, row)
}

// newest is the newest stand-up of a rollout, which must be of that day.
func (e *Engine) newest(ctx context.Context, id, day string) (store.ReportRow, error) {
	rows, err := e.o.Store.Reports(ctx, store.ReportQuery{Rollout: id, Kind: string(standup.Daily), Limit: 1})
	switch {
	case err != nil:
		return store.ReportRow{}, err
	case len(rows) == 0:
		return store.ReportRow{}, &rollout.Refusal{Kind: rollout.Barred, Why: id + " had no stand-up yet: its plan says under reports when it has one"}
	case day != "" && rows[0].Day != day:
		return store.ReportRow{}, &rollout.Refusal{Kind: rollout.Stale, Why: "the newest stand-up of " + id + " is that of " + rows[0].Day + ": decide there"}
	}
	return rows[0], nil
}

// command is the command that a decision is; nil = none.
func command(r Rollout, by Person, d Decision) (*rollout.Command, error) {
	s := r.Standing
	cmd := &rollout.Command{By: by.Name, Via: by.Via, Reason: d.Reason, Version: d.Version}
	switch {
	case d.Do == Rollback:
		cmd.Verb = rollout.Rollback
		return cmd, nil
	case d.Do == Hold:
		return nil, nil
	case s.State.Status != rollout.Running:
		return nil, &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("%s is %s: there is no raise to proceed with", s.ID, s.State.Status)}
	case slices.ContainsFunc(s.Waiting, func(w rollout.Waiting) bool { return w.Kind == "approval" }):
		cmd.Verb = rollout.Approve
		return cmd, nil
	}
	return nil, nil
}

// record stores what was said, with its audit entry.
func (e *Engine) record(ctx context.Context, report, id string, by Person, n standup.Note) error {
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("write what was decided about %s: %w", id, err)
	}
	a := store.AuditEntry{At: n.At, Who: by.Name, Via: by.Via, Address: by.Address, Verb: "stand-up " + n.Do, Target: "rollout " + id, Reason: n.Reason}
	a.After, _ = json.Marshal(map[string]any{"report": report, "present": n.Present, "approved": n.Approved})
	if err := e.o.Store.CommitReport(ctx, store.ReportCommit{Report: report, Note: data, Audit: []store.AuditEntry{a}}); err != nil {
		e.log.Error("record a decision", "report", report, "err", err)
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	return nil
}

// planReport is the report of the plan that a report is; where the plan has it
// no more, once a day at that time.
func planReport(r Rollout, made standup.Report) plan.Report {
	for _, p := range r.Plan.Reports {
		if p.Name == made.Name {
			return p
		}
	}
	due := made.Due.In(r.Plan.Location)
	begin := due.Hour()*60 + due.Minute()
	return plan.Report{Name: made.Name, Daily: &plan.Clock{Begin: begin, End: begin + 1}}
}
