package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// PlanDiff is what differs between two versions of a plan, or between a
// version and a draft that is not stored.
type PlanDiff struct {
	Plan    string        `json:"plan"`
	From    PlanSide      `json:"from"`
	To      PlanSide      `json:"to"`
	Changes []plan.Change `json:"changes"`
	// Looser is true when any change lets traffic rise more easily or fall less.
	Looser    bool     `json:"looser"`
	Unchanged []string `json:"unchanged,omitempty"` // rules that keep their evidence
	// Compared is false where a side cannot be read: then only the text differs.
	Compared bool `json:"compared"`
	// Calendar are the stages at their earliest. Of a rollout under way it
	// begins with the stage it stands in, baked again from the start.
	Calendar []StageMove    `json:"calendar"`
	Gone     []plan.Problem `json:"gone"`  // what lint said of From and not of To
	Fresh    []plan.Problem `json:"fresh"` // what it says of To alone
	Text     string         `json:"text"`  // unified diff of the files
	Revision *Revision      `json:"revision,omitempty"`
}

// PlanSide is one side of a comparison.
type PlanSide struct {
	Number int       `json:"number"` // 0 = a draft
	Hash   string    `json:"hash"`
	At     time.Time `json:"at,omitzero"`
	Check  PlanCheck `json:"check"`
	End    time.Time `json:"end,omitzero"` // the earliest end
	Source string    `json:"-"`
}

// StageMove is when a stage begins at the earliest on both sides; zero = it is
// not in that plan, or its window never opens.
type StageMove struct {
	Stage   string    `json:"stage"`
	Traffic float64   `json:"traffic"`         // percent, of the newer plan that has it
	Now     bool      `json:"now,omitempty"`   // the rollout stands in it: its bake starts again
	Before  time.Time `json:"before,omitzero"` // UTC
	After   time.Time `json:"after,omitzero"`  // UTC
	Moved   bool      `json:"moved"`           // the two differ
}

// Revision is whether a rollout that is not over may take the newer side in
// flight, and what that resets.
type Revision struct {
	Rollout  string         `json:"rollout"`
	Version  int64          `json:"version"` // to send with the revision
	InForce  int            `json:"in_force,omitempty"`
	Status   rollout.Status `json:"status"`
	Stage    string         `json:"stage,omitempty"` // "" before the start
	Exposure float64        `json:"exposure"`        // percent of the audience on new
	Past     []string       `json:"past,omitempty"`  // stages that must stay as they were
	// Same is true when the newer side is in force already.
	Same     bool           `json:"same,omitempty"`
	Possible bool           `json:"possible"` // nothing stands in the way but rights
	Problems []plan.Problem `json:"problems"` // what does: E17 and lint errors
	Looser   bool           `json:"looser"`   // against the plan in force: an approval is needed too
	Approved bool           `json:"approved"` // somebody has approved a looser revision already
	Revise   []string       `json:"revise"`   // roles that may revise; none = every operator
	Approve  []string       `json:"approve"`  // roles that may approve; none = every operator
	Resets   []string       `json:"resets"`   // what starts again, in words
}

// ComparePlans compares two stored versions of a plan, 0 for the latest.
func (c *Controller) ComparePlans(ctx context.Context, name string, from, to int) (PlanDiff, error) {
	next, _, err := c.planVersion(ctx, name, to)
	if err != nil {
		return PlanDiff{}, err
	}
	source, err := c.o.Store.PlanSource(ctx, next.Hash)
	if err != nil {
		return PlanDiff{}, fmt.Errorf("plan %s, version %d: %w", name, next.Number, err)
	}
	return c.comparePlan(ctx, name, from, next, source)
}

// CompareDraft compares a stored version of a plan, 0 for the latest, with a
// text that is not stored.
func (c *Controller) CompareDraft(ctx context.Context, name string, from int, draft []byte) (PlanDiff, error) {
	return c.comparePlan(ctx, name, from, store.PlanVersion{Name: name, Hash: store.SourceHash(draft)}, draft)
}

func (c *Controller) comparePlan(ctx context.Context, name string, from int, next store.PlanVersion, source []byte) (PlanDiff, error) {
	was, versions, err := c.planVersion(ctx, name, from)
	if err != nil {
		return PlanDiff{}, err
	}
	old, err := c.o.Store.PlanSource(ctx, was.Hash)
	if err != nil {
		return PlanDiff{}, fmt.Errorf("plan %s, version %d: %w", name, was.Number, err)
	}
	a, checkA, err := c.readPlan(ctx, was.Project, old)
	if err != nil {
		return PlanDiff{}, err
	}
	b, checkB, err := c.readPlan(ctx, was.Project, source)
	if err != nil {
		return PlanDiff{}, err
	}
	out := PlanDiff{Plan: name, Changes: []plan.Change{}, Calendar: []StageMove{},
		From: PlanSide{Number: was.Number, Hash: was.Hash, At: was.At, Check: checkA, Source: string(old)},
		To:   PlanSide{Number: next.Number, Hash: next.Hash, At: next.At, Check: checkB, Source: string(source)}}
	out.Gone, out.Fresh = without(checkA.Problems, checkB.Problems), without(checkB.Problems, checkA.Problems)
	out.Text = plan.Unified(sideName(name, was.Number), sideName(name, next.Number), plan.DiffLines(old, source))
	if a != nil && b != nil {
		d := plan.Compare(a, b)
		out.Compared, out.Looser, out.Unchanged = true, d.Looser, d.Unchanged
		out.Changes = append(out.Changes, d.Changes...)
	}
	w := c.unfinished(name)
	if w == nil {
		now := c.o.Clock.Now()
		out.moves(a, b, rollout.State{Status: rollout.Preflight}, now)
		return out, nil
	}
	out.moves(a, b, w.view.Load().State, c.o.Clock.Now())
	out.Revision = revisionOf(w, versions, b, out.To)
	return out, nil
}

// sideName is how a unified diff calls a side.
func sideName(name string, number int) string {
	if number == 0 {
		return name + " (draft)"
	}
	return fmt.Sprintf("%s (version %d)", name, number)
}

// without are the findings of a that b lacks, whatever their lines.
func without(a, b []plan.Problem) []plan.Problem {
	type finding struct{ code, what string }
	seen := map[finding]int{}
	for _, p := range b {
		seen[finding{p.Code, p.What}]++
	}
	out := []plan.Problem{}
	for _, p := range a {
		if f := (finding{p.Code, p.What}); seen[f] > 0 {
			seen[f]--
			continue
		}
		out = append(out, p)
	}
	return out
}

// unfinished is the rollout of a plan that is not over, nil if there is none.
func (c *Controller) unfinished(name string) *worker {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range slices.Backward(c.order) {
		w := c.workers[id]
		if of, _ := splitID(id); of == name && !store.Over(w.view.Load().State.Status) {
			return w
		}
	}
	return nil
}

// moves fills in when each stage comes on both sides.
func (d *PlanDiff) moves(a, b *plan.Plan, s rollout.State, now time.Time) {
	var before, after map[string]time.Time
	if a != nil && fitsState(a, s) {
		before, d.From.End = begins(forecast(a, s, now))
	}
	if b != nil && fitsState(b, s) {
		s.Bake = 0 // a revision starts the stage again
		after, d.To.End = begins(forecast(b, s, now))
	}
	add := func(p *plan.Plan, i int) {
		st := p.Stages[i]
		m := StageMove{Stage: st.Name, Traffic: percent(p.Exposure(i)), Before: before[st.Name], After: after[st.Name]}
		m.Now = s.Attempt > 0 && i == s.Stage && (s.Status == rollout.Running || s.Status == rollout.Paused || s.Status == rollout.Reduced)
		if m.Now {
			m.After = now.UTC()
		}
		m.Moved = !m.Before.Equal(m.After)
		if !m.Before.IsZero() || !m.After.IsZero() {
			d.Calendar = append(d.Calendar, m)
		}
	}
	if b != nil {
		for i := range b.Stages {
			add(b, i)
		}
	}
	if a != nil {
		for i, st := range a.Stages {
			if b == nil || b.StageIndex(st.Name) < 0 {
				add(a, i)
			}
		}
	}
}

// fitsState reports whether a plan has the stage that a rollout stands in.
func fitsState(p *plan.Plan, s rollout.State) bool { return s.Stage < len(p.Stages) }

// begins are the starts of stages and the end of a forecast, in UTC.
func begins(c Calendar) (map[string]time.Time, time.Time) {
	at := map[string]time.Time{}
	for _, e := range c.Events {
		if e.Kind == plan.StageStart {
			at[e.Stage] = e.At.UTC()
		}
	}
	if c.End.IsZero() {
		return at, time.Time{}
	}
	return at, c.End.UTC()
}

// revisionOf is whether the rollout may take the newer side; next is nil where
// that cannot be read.
func revisionOf(w *worker, versions []store.PlanVersion, next *plan.Plan, side PlanSide) *Revision {
	v, p := w.view.Load(), w.inForce.Load()
	r := &Revision{Rollout: w.id, Version: v.Version, Status: v.State.Status, Exposure: v.Exposure, Problems: []plan.Problem{},
		Revise: []string{}, Approve: []string{}, Resets: []string{}, Same: v.State.PlanHash == side.Hash}
	for _, of := range versions {
		if of.Hash == v.State.PlanHash {
			r.InForce = of.Number
		}
	}
	if w.unread != nil {
		r.Problems = append(r.Problems, plan.Problem{Line: 1, Column: 1, Severity: plan.Error, What: w.unread.Error(), Fix: "roll it back"})
		return r
	}
	reached := rollout.Reached(v.State)
	if reached >= 0 {
		r.Stage = p.Stages[v.State.Stage].Name
		for _, st := range p.Stages[:min(reached, len(p.Stages))] {
			r.Past = append(r.Past, st.Name)
		}
	}
	r.Revise, r.Approve = holders(p, "revise"), holders(p, "approve")
	r.Approved = rollout.RevisionApproved(v.State)
	r.Resets = resets(p, v.State)
	if next != nil {
		r.Problems = append(r.Problems, plan.Revise(p, next, reached)...)
		r.Looser = plan.Compare(p, next).Looser
	}
	for _, found := range side.Check.Problems {
		if found.Severity == plan.Error {
			r.Problems = append(r.Problems, found)
		}
	}
	r.Possible = next != nil && !r.Same && len(r.Problems) == 0
	return r
}

// lasted writes a time that was counted, in minutes: "3h12m".
func lasted(d time.Duration) string {
	return cmp.Or(strings.TrimSuffix(d.Truncate(time.Minute).String(), "0s"), "0m")
}

// holders are the roles that may do something.
func holders(p *plan.Plan, right string) []string {
	out := []string{}
	for _, r := range p.Roles {
		if slices.Contains(r.May, right) {
			out = append(out, r.Name)
		}
	}
	return out
}

// resets is what a revision starts again.
func resets(p *plan.Plan, s rollout.State) []string {
	if s.Attempt == 0 {
		return []string{"approvals given so far are void"}
	}
	st := p.Stages[s.Stage]
	return []string{
		fmt.Sprintf("the bake of %s counts from zero: %s of %s are lost", st.Name, lasted(s.Bake), plan.FormatDuration(st.Bake)),
		"approvals, acceptances and confirmations are void",
	}
}
