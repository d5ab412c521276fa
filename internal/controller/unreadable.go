package controller

import (
	"fmt"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// unreadable is the worker of a rollout whose stored plan or journal cannot be
// read: one written by a newer serin, or damaged. It must not keep the server
// and every other rollout from running, so it is not judged and nothing of it
// rises; its flag is served as it was stored. It can still be rolled back,
// which switches the flag off because its split is not known any more, and
// then be cancelled. A start with a serin that can read it takes it up again.
func (c *Controller) unreadable(s rollout.State, why error) *worker {
	stages := make([]plan.Stage, s.Stage+1)
	for i := range stages {
		stages[i] = plan.Stage{Name: fmt.Sprintf("stage %d", i+1), Traffic: s.Exposure}
	}
	stub := &plan.Plan{Timezone: "UTC", Location: time.UTC, Name: s.Plan, Title: s.Plan, Hash: s.PlanHash, Flag: plan.Flag{Key: c.flags.ownedBy(s.ID)}, Stages: stages}
	w := c.bareWorker(s, stub)
	w.unread = why
	w.show(rollout.Input{Wall: c.o.Clock.Now()})
	return w
}

// unreadableKind is the rollout.Waiting kind of an unreadable rollout.
const unreadableKind = "unreadable"

// readable refuses what an unreadable rollout cannot do.
func (w *worker) readable(v rollout.Verb) error {
	if w.unread == nil || v == rollout.Rollback || v == rollout.Cancel {
		return nil
	}
	return &rollout.Refusal{Kind: rollout.Barred, Why: fmt.Sprintf(
		"%s cannot be read, so it is not judged and only rollback and then cancel are possible: %v", w.id, w.unread)}
}

// showUnreadable is show for what can be told without the plan.
func (w *worker) showUnreadable(now time.Time) {
	s := w.state
	v := View{
		ID: w.id, Project: w.project(), Plan: s.Plan, Title: s.Plan, Flag: w.plan.Flag.Key, State: s, Version: s.Version,
		Exposure: percent(s.Exposure), Stages: stages(w.plan, s), Metrics: map[string]MetricView{}, Charts: []ChartView{},
		Actions: []Action{}, At: now,
	}
	if !store.Over(s.Status) {
		why := strings.ReplaceAll(w.unread.Error(), "\n", "; ")
		v.Waiting = []rollout.Waiting{{Kind: unreadableKind, Detail: why, Text: "a serin that can read it: " + why}}
		verb := rollout.Rollback
		if s.Status == rollout.RolledBack || s.Status == rollout.Preflight {
			verb = rollout.Cancel
		}
		v.Actions = append(v.Actions, Action{Verb: verb, Open: true, CLI: cli(w.id, verb, s)})
	}
	w.view.Store(&v)
}

// switchedOff is the flag of an unreadable rollout after a decision: as it was,
// but off, so that every client falls back to what its code says.
func (f *Flags) switchedOff(rec store.FlagRecord) *store.FlagRecord {
	f.mu.RLock()
	defer f.mu.RUnlock()
	rec.Definition = f.records[rec.Definition.Key].Definition
	rec.Definition.State = flag.StateOff
	return &rec
}

// ownedBy is the key of the flag that a rollout owns, "" if none.
func (f *Flags) ownedBy(id string) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for key, r := range f.records {
		if r.Owner == id {
			return key
		}
	}
	return ""
}
