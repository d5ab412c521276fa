package controller

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Explanation is one decision of a rollout, computed again from what it was
// taken from: what was looked at, in which order, and what decided. Pages,
// CLI and API show the same value.
type Explanation struct {
	Rollout string `json:"rollout"`
	// First and Last are the positions of the decision's journal events; both
	// are 0 for now, which has decided nothing yet.
	First int64     `json:"first"`
	Last  int64     `json:"last"`
	Now   bool      `json:"now"` // it is what the next look would decide, from evidence as of At
	At    time.Time `json:"at"`  // server time of the decision
	// Earlier and Later are positions in the decisions before and after this
	// one, to look on; 0 = there is none.
	Earlier int64 `json:"earlier,omitempty"`
	Later   int64 `json:"later,omitempty"`

	PlanHash string   `json:"plan_hash"` // of the plan that was in force then
	Revision int      `json:"revision"`  // of the plan in this rollout, from 1
	Before   Standing `json:"before"`
	After    Standing `json:"after"` // as the journal has it; for now as it would be

	// Stored reports whether the decision's inputs were kept. Without them
	// Missing says why, Steps is empty, and Events are all there is to tell.
	Stored  bool   `json:"stored"`
	Missing string `json:"missing,omitempty"`

	Sentence string          `json:"sentence"`          // "Why still at 10 %: bake 31h/48h"
	Decided  string          `json:"decided,omitempty"` // Name of the step that decided
	Steps    []rollout.Look  `json:"steps"`             // in the order of looking
	Next     []string        `json:"next,omitempty"`    // what would have come next, main reason first
	Command  *CommandView    `json:"command,omitempty"` // what a person asked for
	Events   []Entry         `json:"events"`            // as the journal has them, oldest first; for now what would be journalled
	Input    *ExplainedInput `json:"input,omitempty"`   // the numbers beside the verdicts

	// Same reports whether the decision computed again gives the journalled
	// events. Differences names what does not, one line each: then another
	// version of serin took the decision, or the store was changed.
	Same        bool     `json:"same"`
	Differences []string `json:"differences,omitempty"`
}

// Standing is where a rollout stands.
type Standing struct {
	Status  rollout.Status `json:"status"`
	Stage   string         `json:"stage,omitempty"` // name; "" before the start
	Traffic float64        `json:"traffic"`         // percent of the audience on new
}

// CommandView is what a person asked for.
type CommandView struct {
	Verb   rollout.Verb `json:"verb"`
	By     string       `json:"by"`
	Role   string       `json:"role,omitempty"`
	Via    string       `json:"via,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

// ExplainedInput is what a decision knew beside its verdicts.
type ExplainedInput struct {
	Quiet        bool            `json:"quiet,omitempty"`
	NoData       bool            `json:"no_data,omitempty"`
	NewUsers     int64           `json:"new_users"` // distinct users seen in this attempt, assigned new
	OldUsers     int64           `json:"old_users"`
	Unattributed float64         `json:"unattributed"`    // share 0..1 of telemetry without a known arm
	Covered      time.Duration   `json:"covered"`         // time with data since bake was last journalled, at most
	Fresh        bool            `json:"fresh,omitempty"` // the first look after a start of the process
	Facts        map[string]bool `json:"facts,omitempty"` // task id -> holds
}

// Explain says why a rollout was decided as it was: pos is a position in its
// journal, any one of the decision's, and 0 is now. The id may be a plan's
// name. It reads the plan that was in force then, folds the journal up to the
// decision and decides again. store.ErrNotFound: there is no such rollout or
// position. A *rollout.Refusal says that its plan cannot be read.
func (c *Controller) Explain(ctx context.Context, id string, pos int64) (Explanation, error) {
	w, err := c.find(id)
	if err != nil {
		return Explanation{}, err
	}
	if pos == 0 {
		return c.explainNow(ctx, w)
	}
	events, err := c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return Explanation{}, fmt.Errorf("read journal of %s: %w", w.id, err)
	}
	return c.explainPast(ctx, w, events, pos)
}

// ExplainTime is Explain for the last decision that was journalled at t or before.
func (c *Controller) ExplainTime(ctx context.Context, id string, t time.Time) (Explanation, error) {
	w, err := c.find(id)
	if err != nil {
		return Explanation{}, err
	}
	events, err := c.o.Store.Journal(ctx, w.id, 0, 0)
	if err != nil {
		return Explanation{}, fmt.Errorf("read journal of %s: %w", w.id, err)
	}
	n := sort.Search(len(events), func(i int) bool { return events[i].At.After(t) })
	if n == 0 {
		return Explanation{}, fmt.Errorf("a decision of %s at %s or before: %w", w.id, t.Format(time.RFC3339), store.ErrNotFound)
	}
	return c.explainPast(ctx, w, events, int64(n))
}

// ExplainAt is Explain with its moment in words: a position, a time in RFC
// 3339, or "" and "now". A *rollout.Refusal says that it is none of them.
func (c *Controller) ExplainAt(ctx context.Context, id, at string) (Explanation, error) {
	if at == "" || at == "now" {
		return c.Explain(ctx, id, 0)
	}
	if pos, err := strconv.ParseInt(at, 10, 64); err == nil && pos > 0 {
		return c.Explain(ctx, id, pos)
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return Explanation{}, &rollout.Refusal{Kind: rollout.Missing, Why: fmt.Sprintf(
			"at %q: write a position of the journal (from 1), a time such as 2026-05-04T09:30:00Z, or now", at)}
	}
	return c.ExplainTime(ctx, id, t)
}

// peeked is what a worker would decide from at the moment.
type peeked struct {
	plan  *plan.Plan
	state rollout.State
	in    rollout.Input
}

// peek looks as a tick would, and decides nothing.
func (w *worker) peek() reply {
	in, j, err := w.input()
	w.last = w.last.merge(j)
	return reply{peek: peeked{w.plan, w.state, in}, err: err}
}

// explainNow says what the next look would decide.
func (c *Controller) explainNow(ctx context.Context, w *worker) (Explanation, error) {
	if err := w.planKnown(); err != nil {
		return Explanation{}, err
	}
	got := w.send(ctx, request{peek: true})
	if got.err != nil {
		return Explanation{}, got.err
	}
	p, s := got.peek.plan, got.peek.state
	out := Explanation{Rollout: w.id, Now: true, At: got.peek.in.Wall, Earlier: s.Pos}
	out.Sentence = out.explain(p, s, got.peek.in).Sentence
	out.Same = true
	return out, nil
}

// explain computes the decision and fills in all that does not depend on the journal.
func (x *Explanation) explain(p *plan.Plan, s rollout.State, in rollout.Input) rollout.Explained {
	e := rollout.Explain(p, s, in)
	x.PlanHash, x.Revision, x.Stored = p.Hash, max(s.Revision, 1), true
	x.Before, x.After = standing(p, s), standing(p, e.State)
	x.Sentence, x.Decided, x.Steps, x.Next = e.Sentence, e.Decided, e.Looks, e.Next
	x.Events = entries(p, e.Events)
	if c := in.Command; c != nil {
		x.Command = &CommandView{Verb: c.Verb, By: c.By, Role: c.Role, Via: c.Via, Reason: c.Reason}
	}
	x.Input = &ExplainedInput{Quiet: in.Data.Quiet, NoData: in.Data.NoData, NewUsers: in.Data.Exposed, OldUsers: in.Data.ControlUsers,
		Unattributed: in.Data.Unattributed, Covered: in.Covered, Fresh: in.Fresh, Facts: in.Facts}
	return e
}

func standing(p *plan.Plan, s rollout.State) Standing {
	out := Standing{Status: s.Status, Traffic: percent(s.Exposure)}
	if s.Attempt > 0 && s.Stage < len(p.Stages) {
		out.Stage = p.Stages[s.Stage].Name
	}
	return out
}

func entries(p *plan.Plan, events []rollout.Event) []Entry {
	out := make([]Entry, len(events))
	for i, e := range events {
		out[i].Event = e
		out[i].Title, out[i].Text = rollout.Title(p, e)
	}
	return out
}

// explainPast computes the decision again that wrote position pos.
func (c *Controller) explainPast(ctx context.Context, w *worker, events []rollout.Event, pos int64) (Explanation, error) {
	if pos < 1 || pos > int64(len(events)) {
		return Explanation{}, fmt.Errorf("position %d of %s, whose journal ends at %d: %w", pos, w.id, len(events), store.ErrNotFound)
	}
	d, err := c.o.Store.Decision(ctx, w.id, pos)
	missing := ""
	if errors.Is(err, store.ErrNotFound) {
		d.First, d.Last = together(events, pos)
		missing = "what this decision rested on was not stored: an older serin took it, or it is past the time that such things are kept"
	} else if err != nil {
		return Explanation{}, fmt.Errorf("read the input of %s at %d: %w", w.id, pos, err)
	}
	before, own := rollout.Fold(events[:d.First-1]), events[d.First-1:min(d.Last, int64(len(events)))]
	plans := c.planReader()
	name, hash := before.Plan, before.PlanHash
	if hash == "" { // the creation itself
		name, hash = own[0].To, own[0].PlanHash
	}
	p, err := plans.read(ctx, name, hash)
	if err != nil {
		return Explanation{}, &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf("the plan of that time cannot be read: %v", err)}
	}
	out := Explanation{Rollout: w.id, Earlier: d.First - 1}
	if d.Last < int64(len(events)) {
		out.Later = d.Last + 1
	}
	after := before
	for _, e := range own {
		after = rollout.Apply(after, e)
	}
	if missing != "" {
		out.PlanHash, out.Revision, out.Before, out.Missing = p.Hash, max(before.Revision, 1), standing(p, before), missing
		out.Sentence, out.Steps = inWords(p, own), []rollout.Look{}
	} else if err := c.again(ctx, &out, p, before, own, d.Input, plans); err != nil {
		return Explanation{}, fmt.Errorf("input of %s at %d: %w", w.id, pos, err)
	}
	out.First, out.Last, out.At = d.First, d.Last, own[0].At
	out.Events, out.After = entries(p, own), standing(p, after)
	return out, nil
}

// again decides again and compares with the journal.
func (c *Controller) again(ctx context.Context, x *Explanation, p *plan.Plan, before rollout.State, own []rollout.Event, stored []byte, plans planReader) error {
	in, err := c.codec.unpack(stored)
	if err != nil {
		return err
	}
	if cmd := in.Command; cmd != nil && cmd.Verb == rollout.Revise {
		// Without its plan the revision is judged by its own words, and a difference would show.
		cmd.Plan, _ = plans.read(ctx, before.Plan, cmd.PlanHash)
	}
	computed := x.explain(p, before, in)
	x.Differences = differences(own, computed.Events)
	x.Same = len(x.Differences) == 0
	if !x.Same {
		x.Sentence = inWords(p, own)
	}
	return nil
}

// inWords is a decision in one sentence, from its events alone.
func inWords(p *plan.Plan, events []rollout.Event) string {
	last := events[len(events)-1]
	for _, e := range events {
		if e.Type != rollout.Baked {
			last = e
			break
		}
	}
	title, _ := rollout.Title(p, last)
	return title
}

// together are the positions of the events that were journalled with pos: a
// decision gives all of its events one time and one monotonic time.
func together(events []rollout.Event, pos int64) (first, last int64) {
	e := events[pos-1]
	same := func(pos int64) bool { return events[pos-1].At.Equal(e.At) && events[pos-1].Mono == e.Mono }
	for first = pos; first > 1 && same(first-1); first-- {
	}
	for last = pos; last < int64(len(events)) && same(last+1); last++ {
	}
	return first, last
}
