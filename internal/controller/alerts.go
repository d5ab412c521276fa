package controller

import (
	"time"

	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// AlertPlan is a rollout whose plan's alerts are watched now.
type AlertPlan struct {
	Rollout string
	Project string
	Plan    *plan.Plan  // in force; shared, nobody changes it
	Place   judge.Place // where the rollout stands, for the judge
	Judge   judge.Func  // of the version that the attempt is under
	Over    bool        // done: nobody else watches its telemetry any more
}

// alerts reports whether the alerts of a plan are active: from the start on
// until after.alerts after the rollout is done, and not once it was cancelled.
func alerts(p *plan.Plan, s rollout.State, now time.Time) bool {
	switch {
	case len(p.Alerts) == 0, s.StartedAt.IsZero(), s.Status == rollout.Cancelled:
		return false
	case s.Status == rollout.Done:
		return now.Before(s.At.Add(p.AfterAlerts))
	}
	return true
}

// AlertPlans lists the rollouts whose alerts are active, oldest first. The
// evidence of one whose time is over is let go.
func (c *Controller) AlertPlans() []AlertPlan {
	now := c.o.Clock.Now()
	c.mu.Lock()
	workers := make([]*worker, 0, len(c.order))
	for _, id := range c.order {
		workers = append(workers, c.workers[id])
	}
	c.mu.Unlock()
	var out []AlertPlan
	for _, w := range workers {
		p, v := w.inForce.Load(), w.view.Load()
		if p == nil || len(p.Alerts) == 0 {
			continue
		}
		s := v.State
		if !alerts(p, s, now) {
			if s.Status == rollout.Done && w.alertsOver.CompareAndSwap(false, true) {
				c.o.Evidence.Forget(w.id)
			}
			continue
		}
		out = append(out, c.alertPlan(w.id, v.Project, p, s))
	}
	return out
}

// alertPlan is where an alert's rules are judged from. Rules that compare with
// control have a budget of their own: an alert moves no traffic.
func (c *Controller) alertPlan(id, project string, p *plan.Plan, s rollout.State) AlertPlan {
	release, _ := c.o.Judges.Of(s.Judge)
	share := float64(s.Exposure) / float64(flag.Everyone)
	return AlertPlan{Rollout: id, Project: project, Plan: p, Judge: release.Judge, Over: store.Over(s.Status), Place: judge.Place{
		Stage: s.Stage, Planned: len(p.Stages), Exposure: share, ControlShare: 1 - share,
		StageBegan: s.StageAt, AttemptBegan: s.AttemptAt, RolloutBegan: s.StartedAt, EvidenceBegan: s.EvidenceAt, MismatchAccepted: s.MismatchAccepted(),
		Levels: release.Levels(p, p, s.Revisions, p.Judge.FalseRollback),
	}}
}

// WakeCourier tells the courier that notices were stored for it.
func (c *Controller) WakeCourier() { c.courier.wake() }
