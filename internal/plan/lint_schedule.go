package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
)

// schedule compares the timeline with what was promised (W02, W03), with the
// clock (W04, W16) and with whom it needs (W05). All of it needs a start.
func (l *linter) schedule() {
	p := l.p
	if p.Start.IsZero() {
		return
	}
	l.targets()
	enter, baked := p.entries(p.Start)
	if len(baked) < len(p.Stages) {
		l.warn("W02", "a stage can never be entered: no window of at, calendar and freeze is ever open", "change at or calendar", "calendar", "stages")
		return
	}
	for i := range p.Stages {
		l.waiting(i, enter, baked)
		l.twoRoads(i, enter)
		l.cover(i, enter[0], baked[i])
		l.duty(i, enter, baked[i])
	}
}

// targets is W02 and W03. A target.end at midnight means that whole day.
func (l *linter) targets() {
	p := l.p
	end, t := p.EarliestEnd(p.Start), p.Target
	promise := ""
	if t.Length > 0 && end.Sub(p.Start) > t.Length {
		promise += ", target.length " + FormatDuration(t.Length)
	}
	limit := t.End
	if !limit.IsZero() && limit.Format("15:04") == "00:00" {
		limit = limit.AddDate(0, 0, 1)
	}
	if !limit.IsZero() && end.After(limit) {
		promise += ", target.end " + t.End.Format("2006-01-02")
	}
	if promise != "" {
		l.warn("W02", "earliest end "+atBoth(end)+promise, "move target", "target")
	}
	if !t.Start.IsZero() && p.Start.Before(t.Start) {
		l.warn("W03", fmt.Sprintf("start %s is before target.start %s", atDay(p.Start), atDay(t.Start)), "change one", "target.start", "target")
	}
}

// waiting is W04: a stage's clock makes a finished bake wait.
func (l *linter) waiting(i int, enter, baked []time.Time) {
	const worthSaying = time.Hour
	s := l.p.Stages[i]
	if i == 0 || s.At == nil {
		return
	}
	wait := enter[i].Sub(baked[i-1])
	if wait < worthSaying {
		return
	}
	fix := "at " + baked[i-1].Format("15:04")
	bake := enter[i].Add(-day).Sub(enter[i-1])
	if bake > 0 && bake.Truncate(time.Hour) == bake {
		fix += ", or bake " + FormatDuration(bake)
	}
	what := fmt.Sprintf("%s: bake ends %s, at %s adds %d h (%s)", s.Name, atClock(baked[i-1]), enter[i].Format("15:04"),
		int(wait.Round(time.Hour)/time.Hour), atClock(enter[i]))
	l.warn("W04", what, fix, fmt.Sprintf("stages.%d.at", i), fmt.Sprintf("stages.%d.like", i))
}

// twoRoads is W16: early lets the next stage begin at two times.
func (l *linter) twoRoads(i int, enter []time.Time) {
	s := l.p.Stages[i]
	if s.Early == nil || i+1 >= len(l.p.Stages) {
		return
	}
	at := s.Early.At
	if at == nil {
		at = l.p.Stages[i+1].At
	}
	early := l.p.NextEntry(at, enter[i].Add(s.Early.After)).In(l.p.Location)
	if early.IsZero() || !early.Before(enter[i+1]) {
		return
	}
	what := fmt.Sprintf("%s starts %s (early) or %s", l.p.Stages[i+1].Name, atClock(early), atClock(enter[i+1]))
	l.warn("W16", what, "cover both", fmt.Sprintf("stages.%d.early", i), fmt.Sprintf("stages.%d.stage", i))
}

// cover is W05: an owner's cover ends before the stage does.
func (l *linter) cover(i int, start, end time.Time) {
	for _, name := range l.p.Stages[i].Owner {
		role, ok := l.p.Role(name)
		until := start.Add(role.Covers)
		if !ok || role.Covers == 0 || !until.Before(end) {
			continue
		}
		days := int((end.Sub(start) + day - 1) / day)
		what := fmt.Sprintf("%s covers until %s, owns %q until %s", name, atBoth(until.In(l.p.Location)), l.p.Stages[i].Name, atBoth(end))
		l.warn("W05", what, fmt.Sprintf("covers: %dd", days), "roles."+name+".covers")
	}
}

// duty is W05 where the server has the owner's rota: hours of the stage in which
// nobody is on call by it. Hours that the role does not cover are told by cover.
func (l *linter) duty(i int, enter []time.Time, end time.Time) {
	if l.server == nil || l.server.OnCall == nil {
		return
	}
	for _, name := range l.p.Stages[i].Owner {
		role, ok := l.p.Role(name)
		if until := enter[0].Add(role.Covers); role.Covers > 0 && until.Before(end) {
			end = until
		}
		if !ok || !strings.Contains(role.Who, ":") || !enter[i].Before(end) {
			continue
		}
		gaps, known := l.server.OnCall.Uncovered(role.Who, enter[i], end)
		if !known || len(gaps) == 0 {
			continue
		}
		g := gaps[0]
		what := fmt.Sprintf("nobody is on call by %s from %s until %s, in %q of %s", role.Who, atBoth(g.From.In(l.p.Location)), atBoth(g.To.In(l.p.Location)), l.p.Stages[i].Name, name)
		if len(gaps) > 1 {
			what += fmt.Sprintf(", and %d more times", len(gaps)-1)
		}
		_, rota, _ := strings.Cut(role.Who, ":")
		l.warn("W05", what, "fill it: serin oncall override "+rota, "roles."+name+".who", "roles."+name)
	}
}

// told is W22: a page, a question at the end of bake and a rollback that reach
// nobody who is not looking at serin's own page. A plan that writes the
// dashboard means it.
func (l *linter) told() {
	talks := func(c Channel) bool { return !strings.HasPrefix(c.Address, "jira:") }
	if !slices.ContainsFunc(l.p.Channels, talks) {
		l.warn("W22", "nobody is told of a rollback, a page or a question", `channels: { team: "slack:#team" }`, "channels", "plan")
	}
}

// people is W19: what nobody may do. A plan without roles leaves all to operators.
func (l *linter) people() {
	p := l.p
	if len(p.Roles) == 0 {
		return
	}
	asks := slices.ContainsFunc(p.Stages, func(s Stage) bool { return s.Inconclusive == Ask })
	for _, need := range []struct {
		verb, why string
		wanted    bool
	}{
		{"start", "nobody can begin", true},
		{"accept", "a stage that asks waits for ever", asks},
		{"resume", "a pause or a reduce ends this rollout", true},
		{"restart", "a rollback ends this rollout", true},
		{"approve", "a restart that needs approval waits for ever", slices.Contains(p.Actions.RestartNeeds, "approval")},
	} {
		may := func(r Role) bool { return slices.Contains(r.May, need.verb) }
		if need.wanted && !slices.ContainsFunc(p.Roles, may) {
			l.warn("W19", "no role may "+need.verb, need.why, "roles")
		}
	}
	for i, s := range p.Stages {
		for _, name := range s.Approve {
			if role, ok := p.Role(name); ok && !slices.Contains(role.May, "approve") {
				l.warn("W19", fmt.Sprintf("%s is to approve %q and may not", name, s.Name), "may: [approve]", fmt.Sprintf("stages.%d.approve", i), "roles."+name)
			}
		}
	}
}

// decisions looks at the ways down: W07, W09, W10, W13, W17, W18.
func (l *linter) decisions() {
	p := l.p
	said := false
	for i, b := range p.Incident.Tree {
		path := fmt.Sprintf("incident.decide.%d.do", i)
		if b.Do == "reduce" && b.Traffic != p.Actions.ReduceTraffic {
			l.warn("W09", fmt.Sprintf("reduce %s, actions.reduce %s", formatPercent(b.Traffic), formatPercent(p.Actions.ReduceTraffic)), "use one", path)
		}
		if b.Do == "hotfix" && !said {
			said = true
			l.warn("W17", "hotfix switches everybody off until a new release is seen", "reduce keeps some", path)
		}
		if first := p.shadow(b.If); first != nil {
			l.rule(Warning, b.If, "W07", fmt.Sprintf("incident.decide[%d] %s", i, b.If.Text), "rollback "+first.Text+" fires first")
		}
	}
	if rv := p.Actions.Revert.Within; rv > 0 && rv < p.Actions.RollbackWithin {
		what := fmt.Sprintf("revert within %s, rollback %s: served flags switch in seconds", FormatDuration(rv), FormatDuration(p.Actions.RollbackWithin))
		l.warn("W10", what, "rollback within 1m", "actions.rollback.within", "actions.revert.within")
	}
	if p.Positions["severity"].Line == 0 {
		for _, grade := range []string{"p1", "p2"} {
			if p.names(grade) {
				l.key(Warning, "W18", grade+" without severity", "the default grading applies")
				break
			}
		}
	}
	l.noHoldback()
}

// shadow returns the rollback rule that is met before a branch of the tree is.
func (p *Plan) shadow(rule *Rule) *Rule {
	if rule == nil || rule.Op != GT && rule.Op != GE {
		return nil
	}
	for _, guard := range p.Rollback {
		if guard.Metric == rule.Metric && guard.Ref == rule.Ref && (guard.Op == GT || guard.Op == GE) && guard.Value <= rule.Value && guard.Text != rule.Text {
			return guard
		}
	}
	return nil
}

// names reports whether a rule that the plan writes names a metric.
func (p *Plan) names(metric string) bool {
	return slices.ContainsFunc(p.allRules(), func(r *Rule) bool { return r.Metric == metric && !r.Default })
}

// allRules returns every rule of the plan.
func (p *Plan) allRules() []*Rule {
	var all []*Rule
	for _, u := range p.uses() {
		all = append(all, u.rule)
	}
	all = append(all, p.guardRules()...)
	for _, a := range p.Alerts {
		all = append(all, a.If)
	}
	all = append(all, p.Incident.Opens...)
	if p.Incident.Severe != nil {
		all = append(all, p.Incident.Severe)
	}
	for _, b := range p.Incident.Tree {
		if b.If != nil {
			all = append(all, b.If)
		}
	}
	for _, t := range slices.Concat(p.Preflight, p.Cleanup.Tasks) {
		if t.Verify != nil && t.Verify.Rule != nil {
			all = append(all, t.Verify.Rule)
		}
	}
	for _, t := range p.Dashboard.Targets {
		all = append(all, t.Rules...)
	}
	return all
}

// leastControl is the allocated share below which a reference is the baseline.
const leastControl = flag.Everyone / 20

// noHoldback is W13.
func (l *linter) noHoldback() {
	p := l.p
	last := len(p.Stages) - 1
	if last < 0 || flag.Everyone-p.Exposure(last) >= leastControl {
		return
	}
	for _, rule := range p.guardRules() {
		m := p.Metrics[rule.Metric]
		if m == nil || !m.User || rule.Ref != Reference && rule.Ref != Control {
			continue
		}
		what := `no control at ` + spaced(p.Stages[last].Traffic) + `: "vs reference" is the baseline there, and never rolls back by itself`
		if rule.Ref == Control {
			what = fmt.Sprintf("no control at %s: %q cannot be known there", spaced(p.Stages[last].Traffic), rule.Text)
		}
		l.warn("W13", what, "keep some with holdback: 10%", "flag.holdback", "flag")
		return
	}
}
