package alerting

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/flag"
	"serin/internal/plan"
)

// refresh takes over which rollouts' alerts are active. The caller holds mu.
func (e *Engine) refresh(ctx context.Context, now time.Time) {
	active := map[string]bool{}
	for _, r := range e.o.Rollouts() {
		taken := map[string]int{}
		for i := range r.Plan.Alerts {
			rule := planRule(r, &r.Plan.Alerts[i], taken)
			active[rule.ID] = true
			w := e.rules[rule.ID]
			if w == nil {
				w = &watched{}
				if row, ok := e.rows[rule.ID]; ok {
					if err := w.take(row); err != nil {
						e.log.Error("read the state of an alert: it begins anew", "alert", rule.ID, "err", err)
					}
					delete(e.rows, rule.ID)
				}
				e.rules[rule.ID] = w
			}
			w.rule, w.asked, w.rollout = rule, r.Plan.Alerts[i].If, &r
		}
	}
	for id, w := range e.rules {
		if w.rollout != nil && !active[id] {
			e.end(ctx, w, "the rule is no longer watched", now)
		}
	}
}

// planRule is a plan's alert as a rule. Names that come to the same id are
// numbered in the plan's order.
func planRule(r Rollout, a *plan.Alert, taken map[string]int) alert.Rule {
	id := r.Rollout + "." + slug(a.Name)
	if taken[id]++; taken[id] > 1 {
		id = fmt.Sprintf("%s-%d", id, taken[id])
	}
	out := alert.Rule{ID: id, Name: a.Name, Project: flag.ProjectOf(r.Project), Rollout: r.Rollout, Text: a.If.Text,
		Op: a.If.Op, Limit: a.If.Value, Over: a.If.Over.Dur, For: a.If.For, Severity: cmp.Or(a.Severity, alert.DefaultSeverity)}
	if m := r.Plan.Metrics[a.If.Metric]; m != nil {
		out.Unit = m.Unit
	}
	if a.If.Ref != plan.None { // a relative change
		out.Unit = "%"
	}
	for _, name := range a.Notify {
		for _, ch := range r.Plan.Channels {
			if ch.Name == name {
				out.Notify = append(out.Notify, alert.Channel{Name: ch.Name, Address: ch.Address})
			}
		}
	}
	if r.Over { // nobody else tells that its telemetry stopped
		out.NoDataAfter = alert.DefaultNoDataAfter
	}
	return out.WithDefaults()
}

// longestSlug bounds the part of an id that is made of a name.
const longestSlug = 60

// slug makes a name fit for an address.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	s = strings.Trim(s[:min(len(s), longestSlug)], "-")
	return cmp.Or(s, "alert")
}

// end resolves what fires of a rule and stops looking at it. Its row and its
// history stay. The caller holds mu.
func (e *Engine) end(ctx context.Context, w *watched, why string, now time.Time) {
	next, changes := ended(w, why, now)
	if !e.commit(ctx, w, next, changes, now, nil) {
		return // again at the next round
	}
	if len(w.untold) == 0 || e.o.Opened == nil {
		delete(e.rules, w.rule.ID)
	}
}

// ended is the state of a rule after all that fires was resolved.
func ended(w *watched, why string, now time.Time) (alert.State, []alert.Change) {
	var changes []alert.Change
	for _, g := range w.state.Firing() {
		c := alert.Change{Rule: w.rule.ID, Name: w.rule.Name, Project: w.rule.Project, Rollout: w.rule.Rollout, Kind: alert.Ended,
			Labels: g.Labels, Incident: g.Incident, Severity: g.Severity, Limit: w.rule.Limit, Why: why, At: now}
		changes = append(changes, c)
	}
	next := w.state
	next.Groups, next.Blind, next.BlindWhy, next.BlindTold = nil, time.Time{}, "", false
	return next, changes
}
