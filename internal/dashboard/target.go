package dashboard

import (
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

// Target is a rule of `dashboard.targets` as it was last read.
type Target struct {
	Every   time.Duration  `json:"every" doc:"how often it is read, in nanoseconds"`
	Rule    string         `json:"rule"`
	Verdict *judge.Verdict `json:"verdict,omitempty" doc:"none before the rollout begins"`
	At      time.Time      `json:"at,omitzero" doc:"when it was read"`
	Next    time.Time      `json:"next,omitzero" doc:"when it is read next"`
	Before  *float64       `json:"before,omitempty" doc:"the metric's value the compared time before, in its unit"`
}

// read reads the targets that are due.
func (d *Dashboard) read() {
	now := d.o.Clock.Now()
	live := map[string]bool{}
	for _, r := range d.o.Rollouts() {
		if r.Over || !r.Began || len(r.Plan.Dashboard.Targets) == 0 {
			continue
		}
		live[r.Rollout] = true
		d.readOne(r, now)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.targets {
		if !live[id] {
			delete(d.targets, id)
			delete(d.held, id)
		}
	}
}

// readOne reads the due targets of one rollout.
func (d *Dashboard) readOne(r Rollout, now time.Time) {
	d.mu.Lock()
	last, held := d.targets[r.Rollout], d.held[r.Rollout]
	d.mu.Unlock()
	type due struct {
		every time.Duration
		rule  *plan.Rule
	}
	next := map[string]Target{}
	var list []due
	var rules []*plan.Rule
	for _, t := range r.Plan.Dashboard.Targets {
		for _, rule := range t.Rules {
			if have, ok := last[rule.Text]; ok && have.Every == t.Every && now.Before(have.Next) {
				next[rule.Text] = have
				continue
			}
			list, rules = append(list, due{t.Every, rule}), append(rules, rule)
		}
	}
	if len(rules) > 0 {
		ev, err := d.o.Evidence.View(r.Rollout)
		if err != nil {
			d.log.Error("targets were not read", "rollout", r.Rollout, "error", err)
			return
		}
		if held == nil {
			held = judge.Held{}
		}
		var verdicts []judge.Verdict
		verdicts, held = r.Judge(r.Plan, rules, judge.Gate, r.Place, ev, held, now)
		for i, one := range list {
			next[one.rule.Text] = Target{Every: one.every, Rule: one.rule.Text, Verdict: &verdicts[i], At: now, Next: now.Add(one.every)}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.targets[r.Rollout], d.held[r.Rollout] = next, held
}

// targetsOf are the targets of a rollout in the plan's order, each with the
// value of its metric earlier.
func (d *Dashboard) targetsOf(r Rollout, now time.Time, earlier time.Duration) []Target {
	d.mu.Lock()
	have := d.targets[r.Rollout]
	d.mu.Unlock()
	out := []Target{}
	for _, t := range r.Plan.Dashboard.Targets {
		for _, rule := range t.Rules {
			one, ok := have[rule.Text]
			if !ok {
				one = Target{Every: t.Every, Rule: rule.Text}
			}
			if earlier > 0 && rule.Ref == plan.None {
				one.Before = d.valueBefore(r, rule, now.Add(-earlier))
			}
			out = append(out, one)
		}
	}
	return out
}

// valueBefore is the value of a rule's metric over its window when that ended at to.
func (d *Dashboard) valueBefore(r Rollout, rule *plan.Rule, to time.Time) *float64 {
	over := rule.Over.Dur
	if over <= 0 {
		over = 24 * time.Hour
	}
	points, err := d.o.Metric(r.Rollout, rule.Metric, false, to.Add(-over), to, 1)
	if err != nil || len(points) == 0 {
		return nil
	}
	return points[len(points)-1].Value
}
