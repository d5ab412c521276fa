package simulate

import (
	"slices"
	"sort"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// guards judges the rules that act wherever they may be met until next, and
// reports whether one did.
func (r *run) guards(next time.Duration) bool {
	list := slices.Concat(r.plan.Rollback, r.plan.Reduce)
	for _, at := range r.moments(list, next) {
		candidates := make([]bool, len(list))
		any := false
		for i, rule := range list {
			candidates[i] = r.mayBeMet(rule, at) || r.counting[rule]
			any = any || candidates[i]
		}
		if any && r.act(list, candidates, at) {
			return true
		}
	}
	return false
}

// moments are when a guard may be met for the first time: at each event of the
// new variant that one counts, and at next.
func (r *run) moments(list []*plan.Rule, next time.Duration) []time.Duration {
	out := []time.Duration{next}
	seen := map[*model]bool{}
	for _, rule := range list {
		m := r.models[rule.Metric]
		if m == nil || m.kind != counted || seen[m] || r.site.onBaseline(rule) {
			continue
		}
		seen[m] = true
		t := &r.site.tracks[fresh][m.index]
		i, j := t.span(r.now, next)
		out = append(out, t.at[i:j]...)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return slices.Compact(out)
}

// mayBeMet reports, without the judge's work, whether a guard may be met at an
// age: false is certain, and only saves time.
func (r *run) mayBeMet(rule *plan.Rule, at time.Duration) bool {
	m := r.models[rule.Metric]
	if m == nil {
		return false
	}
	if r.site.onBaseline(rule) && m.kind != absent {
		return r.baselineMayAct(rule, m, at)
	}
	from := r.from(rule, at)
	switch m.kind {
	case absent:
		return false
	case steady:
		return rule.Ref == plan.None && rule.Op.Compare(m.level, rule.Value)
	case counted:
		if rule.Ref == plan.None && m.metric.Kind == plan.Count {
			return rule.Op.Compare(float64(r.site.tracks[fresh][m.index].count(from, at)), rule.Value)
		}
		if versus(rule) && !m.metric.UpGood {
			return r.ratioOfUsers(m, from, at) >= 1+rule.Value && r.mayProve(rule, min(rule.Value, r.plan.Judge.Margin), at)
		}
	case timed:
		if n, below := r.site.loads[fresh][m.index].window(from, at); rule.Ref == plan.None {
			return n > 0 && rule.Op.Compare(1.01*r.site.estimate(m, fresh, n, below), rule.Value)
		} else if k, under := r.site.loads[old][m.index].window(from, at); versus(rule) {
			const rounding = 1.02 // both estimates are edges of buckets of 1 %
			return n > 0 && k > 0 && rounding*r.site.estimate(m, fresh, n, below) >= (1+rule.Value)*r.site.estimate(m, old, k, under) &&
				r.mayProve(rule, min(rule.Value, r.plan.Judge.Margin), at)
		}
	}
	return true
}

// from is where a rule's window begins.
func (r *run) from(rule *plan.Rule, at time.Duration) time.Duration {
	if rule.Over.Dur > 0 {
		return max(at-rule.Over.Dur, r.age(r.state.EvidenceAt))
	}
	switch rule.Over.Name {
	case "attempt":
		return r.age(r.state.AttemptAt)
	case "rollout":
		return r.age(r.state.StartedAt)
	}
	return r.age(r.state.StageAt)
}

// ratioOfUsers estimates the rate ratio of affected users in a window, at
// least as large as the judge's.
func (r *run) ratioOfUsers(m *model, from, at time.Duration) float64 {
	last := r.site.intervals[len(r.site.intervals)-1]
	from = max(from, last.from)
	if last.share >= 1 {
		return 0
	}
	n := r.site.tracks[fresh][m.index].count(from, at)
	if r.streams[m.stream].heavy { // quickly told, and far fewer where users err again and again
		n = r.site.distinct(m, fresh, from, at)
	}
	c := r.site.distinct(m, old, from, at)
	if c == 0 {
		return float64(n) * 1e9
	}
	return float64(n) / (float64(c) * last.share / (1 - last.share))
}

// act lets the judge and the state machine decide on the candidates.
func (r *run) act(list []*plan.Rule, candidates []bool, at time.Duration) bool {
	verdicts := make([]judge.Verdict, len(list))
	met := false
	for i, rule := range list {
		if !candidates[i] {
			continue
		}
		verdicts[i] = r.judge([]*plan.Rule{rule}, judge.Guard, at)[0]
		if rule.For > 0 {
			r.counting[rule] = !verdicts[i].Since.IsZero()
		}
		met = met || verdicts[i].Status == judge.Met && !verdicts[i].Dry
	}
	if !met {
		return false
	}
	r.now = at
	n := len(r.plan.Rollback)
	r.step(rollout.Input{Rollback: verdicts[:n:n], Reduce: verdicts[n:]})
	return r.state.Status != rollout.Running
}
