package alerting

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"time"

	"serin/internal/alert"
	"serin/internal/judge"
	"serin/internal/notify"
	"serin/internal/plan"
	"serin/internal/store"
)

// maxUnattributed is the share of events without an arm from which on an alert
// cannot tell that all is well: that of the rollout's gate.
const maxUnattributed = 0.05

// look looks at one rule and carries out what comes of it. A fault in judging
// ends here: one rule must not take the others down. The caller holds mu.
func (e *Engine) look(ctx context.Context, w *watched, now time.Time) {
	defer func() {
		if fault := recover(); fault != nil {
			e.log.Error("an alert rule panicked", "alert", w.rule.ID, "panic", fault, "stack", string(debug.Stack()))
			w.failed = "internal fault: the log says more"
		}
	}()
	ev, err := e.evidence(w, now)
	if err != nil {
		if w.failed == "" {
			e.log.Error("look at an alert rule", "alert", w.rule.ID, "err", err)
		}
		w.failed = err.Error()
		return
	}
	w.failed, w.why = "", ev.NoData
	for _, r := range ev.Readings {
		w.why = r.Why
	}
	before := w.state
	next, changes := alert.Step(w.rule, w.state, ev, now)
	if !e.commit(ctx, w, next, changes, now, e.blind(w.rule, before, &next, now)) || w.rule.Outside == "" {
		return
	}
	e.counts = append(e.counts, alert.CountOf(w.rule, w.state, now))
}

// evidence reads what a rule asks for.
func (e *Engine) evidence(w *watched, now time.Time) (out alert.Evidence, err error) {
	if w.rule.Outside != "" {
		return alert.Heard(w.state, now), nil
	}
	if w.rollout == nil {
		if since := e.o.Evidence.AlertSilence(w.rule.Project); !since.IsZero() {
			out.NoData, out.Since = "nothing has arrived of this project since "+since.UTC().Format("2 Jan 15:04 UTC"), since
		}
		out.Readings, err = e.readings(w.rule, now, out.NoData != "")
		return out, err
	}
	ev, err := e.o.Evidence.View(w.rollout.Rollout)
	if err != nil {
		return out, err
	}
	asked := *w.asked
	asked.For = 0 // the state machine waits, and remembers it
	verdicts, _ := w.rollout.Judge(w.rollout.Plan, []*plan.Rule{&asked}, judge.Guard, w.rollout.Place, ev, nil, now)
	data, v := ev.Data(), verdicts[0]
	w.skipped = data.NotCounted
	holds := v.Status == judge.Met
	read := alert.Reading{Holds: &holds, Why: v.Why}
	if v.Value != nil {
		read.Value, read.Known = *v.Value, true
	}
	out.Readings = []alert.Reading{read}
	out.NoData, out.Since = noData(w.rollout.Plan.Metrics[asked.Metric], v, data)
	return out, nil
}

// noData says why a verdict tells nothing although the rule is not met; "" = it does.
func noData(m *plan.Metric, v judge.Verdict, d judge.Data) (why string, since time.Time) {
	switch v.Cause {
	case judge.CauseNoData, judge.CauseBlind, judge.CauseNoSource, judge.CauseQuality:
		return v.Why, d.Since
	}
	if m != nil && (m.Source == "prometheus" || m.Source == "probe" || m.Source == "push" || m.Source == "alertmanager") {
		return "", time.Time{}
	}
	switch {
	case d.NoData:
		return "the telemetry is silent", d.Since
	case d.Incomplete:
		return "telemetry was lost: clients say so, or this server refused some", time.Time{}
	case d.Unattributed > maxUnattributed:
		return fmt.Sprintf("%.0f%% of the events cannot be attributed to an arm", 100*d.Unattributed), time.Time{}
	}
	return "", time.Time{}
}

// commit stores a new state with what it causes, takes it over and lets it be
// known; false means that the store failed and nothing has changed. The caller
// holds mu.
func (e *Engine) commit(ctx context.Context, w *watched, next alert.State, changes []alert.Change, now time.Time, extra []notify.Notice, audit ...store.AuditEntry) bool {
	notices, entries, said := e.decide(ctx, w, &next, now)
	notices = append(extra, notices...)
	d := durable{State: next, Untold: w.untold}
	if e.o.Opened != nil {
		d.Untold = append(append([]alert.Change{}, w.untold...), changes...)
	}
	c := store.AlertCommit{Notices: notices, Audit: audit}
	for _, x := range append(changes, entries...) {
		data, err := json.Marshal(x)
		if err != nil {
			e.log.Error("write a change of an alert", "alert", w.rule.ID, "err", err)
			return false
		}
		c.Entries = append(c.Entries, store.AlertEntry{Alert: w.rule.ID, At: x.At, Data: data})
	}
	state, err := json.Marshal(d)
	if err != nil {
		e.log.Error("write the state of an alert", "alert", w.rule.ID, "err", err)
		return false
	}
	if string(state) != w.stored || len(c.Entries)+len(c.Notices)+len(c.Audit) > 0 {
		row := store.AlertRow{ID: w.rule.ID, Project: w.rule.Project, Rollout: w.rule.Rollout, State: state, At: now}
		if w.rollout == nil {
			if row.Rule, err = json.Marshal(w.rule); err != nil {
				e.log.Error("write an alert rule", "alert", w.rule.ID, "err", err)
				return false
			}
		}
		c.Put = []store.AlertRow{row}
		if len(c.Notices) > 0 {
			e.o.Fault("before alert commit")
		}
		if err := e.o.Store.CommitAlerts(ctx, c); err != nil {
			e.log.Error("store an alert", "alert", w.rule.ID, "err", err)
			w.failed = "it could not be stored: the log says why"
			return false
		}
		if len(c.Notices) > 0 {
			e.o.Fault("after alert commit")
		}
		w.stored = string(state)
	}
	w.state, w.untold, w.said = next, d.Untold, said
	e.known(w, changes, len(notices) > 0)
	return true
}

// known wakes the courier and writes the log after a commit.
func (e *Engine) known(w *watched, changes []alert.Change, notices bool) {
	if notices && e.o.Wake != nil {
		e.o.Wake()
	}
	if len(changes) > 0 && e.o.Changed != nil {
		e.o.Changed()
	}
	for _, c := range changes {
		e.log.Info("alert", "alert", w.rule.ID, "kind", c.Kind, "labels", c.Labels.String(), "severity", c.Severity)
	}
}
