package alerting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/notify"
	"serin/internal/store"
)

// ErrStore is the answer to a command whose outcome could not be stored.
var ErrStore = errors.New("the alert could not be stored: nothing was changed")

// Put creates or replaces a stand-alone rule and returns it as it is in force.
// Its state stays as long as it counts the same things. Errors wrap
// alert.ErrInvalid, or store.ErrConflict where the id is another project's or
// a plan's.
func (e *Engine) Put(ctx context.Context, r alert.Rule, by store.AuditEntry) (View, error) {
	r.Rollout, r.Project = "", flag.ProjectOf(r.Project)
	r, err := r.Complete()
	if err != nil {
		return View{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	old := e.rules[r.ID]
	switch {
	case old != nil && (old.rollout != nil || old.rule.Project != r.Project):
		return View{}, fmt.Errorf("%w: alert %s is another project's", store.ErrConflict, r.ID)
	case old == nil && e.alone() >= MaxRules:
		return View{}, fmt.Errorf("%w: this server has %d rules of its own, which is the most: delete one first", alert.ErrInvalid, MaxRules)
	}
	now := e.o.Clock.Now()
	w := &watched{rule: r}
	var changes []alert.Change
	if old != nil {
		*w = *old
		w.rule = r
		if old.rule.CountsOf() != r.CountsOf() {
			w.state, changes = ended(old, "the rule was changed", now)
		}
		by.Before, _ = json.Marshal(old.rule)
	}
	if err := e.watch(ctx, r); err != nil {
		return View{}, err
	}
	by.At, by.Verb, by.Target = now, "put alert", "alert "+r.ID
	by.After, _ = json.Marshal(r)
	if !e.commit(ctx, w, w.state, changes, now, nil, by) {
		e.unwatch(ctx, r, old)
		return View{}, ErrStore
	}
	e.rules[r.ID] = w
	if old != nil {
		e.dropUnused(ctx, old.rule, r)
	}
	w.by = "change"
	e.look(ctx, w, now)
	return e.view(w), nil
}

// unwatch goes back to counting what a rule counted before a change that failed.
func (e *Engine) unwatch(ctx context.Context, r alert.Rule, old *watched) {
	if old == nil {
		e.forget(r)
		return
	}
	if err := e.watch(ctx, old.rule); err != nil {
		e.log.Error("count for an alert again", "alert", r.ID, "err", err)
	}
}

// alone is the number of stand-alone rules.
func (e *Engine) alone() (n int) {
	for _, w := range e.rules {
		if w.rollout == nil && w.rule.Outside == "" {
			n++
		}
	}
	return n
}

// drop removes the counts of a rule that nobody asks any more.
func (e *Engine) drop(ctx context.Context, r alert.Rule) {
	for _, c := range conditions(r) {
		e.dropOne(ctx, c)
	}
}

// dropUnused removes the counts of old that now does not read.
func (e *Engine) dropUnused(ctx context.Context, old, now alert.Rule) {
	for _, c := range conditions(old) {
		if slices.ContainsFunc(conditions(now), func(n alert.Rule) bool { return e.o.Key(n) == e.o.Key(c) }) {
			continue
		}
		e.dropOne(ctx, c)
		if !slices.ContainsFunc(conditions(now), func(n alert.Rule) bool { return n.ID == c.ID }) {
			e.o.Evidence.ForgetAlert(c.ID)
		}
	}
}

func (e *Engine) dropOne(ctx context.Context, r alert.Rule) {
	if _, err := e.o.Store.DropCounts(ctx, e.o.Key(r), math.MaxInt64); err != nil {
		e.log.Error("remove the counts of an alert", "alert", r.ID, "err", err)
	}
}

// Delete removes a stand-alone rule, its history and its counts. What fires of
// it is resolved first. Errors wrap store.ErrNotFound, or alert.ErrInvalid for
// a plan's rule.
func (e *Engine) Delete(ctx context.Context, id string, by store.AuditEntry) error {
	e.mu.Lock()
	w, err := e.find(id)
	if err == nil && w.rollout != nil {
		err = fmt.Errorf("%w %s: %w", alert.ErrInvalid, id, errPlanRule)
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	now := e.o.Clock.Now()
	next, changes := ended(w, "the rule was deleted", now)
	if !e.commit(ctx, w, next, changes, now, nil) {
		e.mu.Unlock()
		return ErrStore
	}
	e.mu.Unlock()
	e.tell(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	by.At, by.Verb, by.Target = now, "delete alert", "alert "+id
	by.Before, _ = json.Marshal(w.rule)
	if err := e.o.Store.CommitAlerts(ctx, store.AlertCommit{Delete: []string{id}, Audit: []store.AuditEntry{by}}); err != nil {
		return err
	}
	delete(e.rules, id)
	if w.rule.Outside != "" {
		return nil
	}
	e.forget(w.rule)
	e.drop(ctx, w.rule)
	return nil
}

// change carries out a person's command on a rule. tell, where it is not nil,
// adds notices about what was done.
func (e *Engine) change(ctx context.Context, id string, by store.AuditEntry, f func(w *watched, now time.Time) (alert.State, []alert.Change, error), tell func(r alert.Rule, next *alert.State, now time.Time) []notify.Notice) (View, error) {
	e.mu.Lock()
	w, err := e.find(id)
	if err != nil {
		e.mu.Unlock()
		return View{}, err
	}
	now := e.o.Clock.Now()
	next, changes, err := f(w, now)
	if err != nil {
		e.mu.Unlock()
		return View{}, err
	}
	by.At, by.Target = now, "alert "+id
	by.After, _ = json.Marshal(changes)
	var extra []notify.Notice
	if tell != nil && len(changes) > 0 {
		extra = tell(w.rule, &next, now)
	}
	if !e.commit(ctx, w, next, changes, now, extra, by) {
		e.mu.Unlock()
		return View{}, ErrStore
	}
	v := e.view(w)
	e.mu.Unlock()
	e.tell(ctx)
	return v, nil
}

// Ack acknowledges what fires of a rule and has all of labels. Errors are
// alert.ErrNotFiring and store.ErrNotFound.
func (e *Engine) Ack(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (View, error) {
	by.Verb = "acknowledge alert"
	return e.change(ctx, id, by, func(w *watched, now time.Time) (alert.State, []alert.Change, error) {
		return alert.Ack(w.rule, w.state, labels, by.Who, by.Reason, now)
	}, func(r alert.Rule, next *alert.State, now time.Time) []notify.Notice {
		return e.acked(r, next, by.Who, now)
	})
}

// Silence keeps the notices of a rule's groups that have all of labels back
// until a time.
// Errors wrap alert.ErrInvalid or store.ErrNotFound.
func (e *Engine) Silence(ctx context.Context, id string, labels alert.Labels, until time.Time, by store.AuditEntry) (View, error) {
	by.Verb = "silence alert"
	return e.change(ctx, id, by, func(w *watched, now time.Time) (alert.State, []alert.Change, error) {
		return alert.Mute(w.rule, w.state, labels, until, by.Who, by.Reason, now)
	}, nil)
}

// Unsilence ends the silence of these labels; without one nothing changes.
func (e *Engine) Unsilence(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (View, error) {
	by.Verb = "end silence of alert"
	return e.change(ctx, id, by, func(w *watched, now time.Time) (alert.State, []alert.Change, error) {
		next, changes := alert.Unmute(w.rule, w.state, labels, by.Who, now)
		return next, changes, nil
	}, nil)
}
