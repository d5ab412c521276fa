package plan

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
	"serin/internal/stats"
	"serin/internal/telemetry"
)

// noControl is E09: a comparison with control where everybody has the new variant.
func (l *linter) noControl() {
	for _, u := range l.p.withoutControl() {
		if l.p.written(u) {
			l.rule(Error, u.rule, "E09", fmt.Sprintf("%q at 100 %%", u.rule.Text), "no control: flag.holdback or vs reference", u.paths()...)
		}
	}
}

// inheritedControl is W13 for what is E09 where it is written: the stage at
// 100 % has the comparison by like. It is unknown there, so a person decides.
func (l *linter) inheritedControl() {
	for _, u := range l.p.withoutControl() {
		if !l.p.written(u) {
			what := fmt.Sprintf("no control in %q: %q cannot be known there", l.p.Stages[u.stage].Name, u.rule.Text)
			l.warn("W13", what, "holdback: 10%, or rules of its own", fmt.Sprintf("stages.%d.like", u.stage))
		}
	}
}

// withoutControl returns the comparisons with control in stages that have none.
func (p *Plan) withoutControl() []use {
	return slices.DeleteFunc(p.uses(), func(u use) bool {
		return u.rule.Ref != Control || p.Exposure(u.stage) < flag.Everyone
	})
}

// written reports whether the stage itself gives the list a rule stands in.
func (p *Plan) written(u use) bool { return p.Positions[u.paths()[0]].Line > 0 }

// reach is E13: a share that cannot be reached.
func (l *linter) reach() {
	p := l.p
	check := func(rule *Rule, most flag.Percent, why string, paths []string) {
		m := p.Metrics[rule.Metric]
		if m == nil || m.Unit != "%" || !m.UpGood || rule.Ref != None {
			return
		}
		if m.Name != "adoption" || !m.BuiltIn {
			most, why = flag.Everyone, ""
		}
		limit := float64(most) / float64(flag.Everyone)
		if rule.Op == GT && rule.Value >= limit || (rule.Op == GE || rule.Op == EQ) && rule.Value > limit {
			l.rule(Error, rule, "E13", fmt.Sprintf("%q%s", rule.unscaled(), why), "at most "+spaced(most)+": lower one", paths...)
		}
	}
	for _, u := range p.uses() {
		s := p.Stages[u.stage]
		most := p.Exposure(u.stage)
		why := fmt.Sprintf(" in %q at %s", s.Name, spaced(s.Traffic))
		if most < s.Traffic {
			why = " with holdback " + spaced(p.Flag.Holdback)
		}
		check(u.rule, most, why, u.paths())
	}
}

// expected is E08 for a rule whose expected value the plan does not give.
func (l *linter) expected() {
	if l.p.Capacity.Concurrent > 0 {
		return
	}
	for _, rule := range l.p.allRules() {
		if rule.Ref == Expected && rule.Metric == "concurrent" {
			l.rule(Error, rule, "E08", fmt.Sprintf("%q: nothing is expected", rule.Text), "capacity: { concurrent_at_100: 200 }")
		}
	}
}

// limits looks at single rules: W08, W11, W12, W20, W21.
func (l *linter) limits() {
	p := l.p
	for _, u := range p.uses() {
		m := p.Metrics[u.rule.Metric]
		if m == nil {
			continue
		}
		if u.rule.tests() && m.User && (u.rule.Op == LE || u.rule.Op == LT) && u.rule.Value >= 0 && u.rule.Value < p.Judge.Margin {
			why := "equality cannot be proved"
			if u.rule.Value > 0 {
				why = "less than the margin"
			}
			margin := spacedRatio(p.Judge.Margin)
			l.rule(Warning, u.rule, "W08", fmt.Sprintf("%q: %s; read as margin %s", u.rule.Text, why, margin), "write +"+strings.ReplaceAll(margin, " ", ""), u.paths()...)
		}
		if u.entry < 0 && u.rule.Over.Name == "rollout" && (m.Kind == Count || m.Kind == Users) && (u.rule.Op == EQ || u.rule.Op == LE || u.rule.Op == LT) {
			l.rule(Warning, u.rule, "W20", fmt.Sprintf("%q: after %s no attempt can ever pass", u.rule.Text, events(u.rule)), "over attempt")
		}
		if u.entry == 0 && m.Name == "adoption" && u.rule.Ref == None && (u.rule.Op == GT || u.rule.Op == GE) {
			l.rule(Warning, u.rule, "W21", fmt.Sprintf("%q checked from minute 0 is red at first", u.rule.Text), "move it to proceed", u.paths()...)
		}
	}
	l.loose()
	l.fixed()
}

// events is how many events break an upper bound.
func events(r *Rule) string {
	n := int(r.Value) + 1
	if r.Op == LT {
		n = int(math.Ceil(r.Value))
	}
	if n <= 1 {
		return "one event"
	}
	return fmt.Sprintf("%d events", n)
}

// tests reports whether a rule is a comparison with another group or time.
func (r *Rule) tests() bool { return r.Ref == Control || r.Ref == Baseline || r.Ref == Reference }

// upper reports whether a rule is an upper bound.
func (r *Rule) upper() bool { return r.Op == LT || r.Op == LE }

// loose is W11: a dashboard target that is looser than every check. Both are
// what people watch while a stage runs; what lets traffic on may be stricter.
func (l *linter) loose() {
	for _, t := range l.p.Dashboard.Targets {
		for _, rule := range t.Rules {
			other := l.p.loosest(rule)
			if other == nil || !rule.upper() || rule.Value <= other.Value {
				continue
			}
			where := "a stage"
			if other.Set != "" {
				where = fmt.Sprintf("%q", other.Set)
			}
			l.rule(Warning, rule, "W11", fmt.Sprintf("%s here, %s in %s", limitOnly(rule), strings.TrimPrefix(limitOnly(other), rule.Metric+" "), where), "use one")
		}
	}
}

// limitOnly is a rule without reference and spans.
func limitOnly(r *Rule) string {
	text, _, _ := strings.Cut(r.unscaled(), " vs ")
	return text
}

// loosest returns the loosest check on the metric of an upper bound.
func (p *Plan) loosest(rule *Rule) (found *Rule) {
	for _, u := range p.uses() {
		r := u.rule
		if u.entry >= 0 && r.Metric == rule.Metric && r.Ref == rule.Ref && (r.upper() || r.Op == EQ) && (found == nil || r.Value > found.Value) {
			found = r
		}
	}
	return found
}

// leastChance is the chance below which W12 has nothing to say.
const leastChance = 0.001

// fixed is W12: what a fixed number of events means depends on the site.
func (l *linter) fixed() {
	for _, rule := range l.p.guardRules() {
		m := l.p.Metrics[rule.Metric]
		if m == nil || m.Kind != Count && m.Kind != Users || rule.Ref != None || rule.Default {
			continue
		}
		switch chance, measured := l.chance(rule); {
		case !measured:
			l.rule(Warning, rule, "W12", fmt.Sprintf("%q: how often a healthy site meets it depends on its size", rule.Text), "compare vs reference, which fits any traffic")
		case chance >= leastChance:
			l.rule(Warning, rule, "W12", fmt.Sprintf("%q: a healthy site of this size meets it with %s chance", rule.Text, percentText(chance)), "raise it, or compare vs reference")
		}
	}
}

// percentText writes a chance for people: whole percents from 1 % on.
func percentText(chance float64) string {
	switch {
	case chance > 0.99:
		return "more than 99 %"
	case chance >= 0.01:
		return spacedRatio(math.Round(chance*100) / 100)
	}
	return spacedRatio(math.Round(chance*1e3) / 1e3)
}

// chance is the probability that events at the rate of the baseline meet a
// rule at least once in the plan, each stage at its exposure; measured is
// false where the rate is not known. Windows slide, see stats.ScanProbability.
func (l *linter) chance(rule *Rule) (chance float64, measured bool) {
	if l.server == nil {
		return 0, false
	}
	perHour, measured := l.server.PerHour[rule.Metric]
	if !measured {
		return 0, false
	}
	limit := int(rule.Value)
	if rule.Op == GE {
		limit = int(math.Ceil(rule.Value)) - 1
	}
	quiet, mean, total := 1.0, 0.0, time.Duration(0)
	for i, s := range l.p.Stages {
		rate := perHour * float64(l.p.Exposure(i)) / float64(flag.Everyone)
		window := s.Bake
		if rule.Over.Dur > 0 {
			window = min(rule.Over.Dur, s.Bake)
		}
		quiet *= 1 - stats.ScanProbability(rate, window, s.Bake, limit)
		mean, total = mean+rate*s.Bake.Hours(), total+s.Bake
	}
	if name := rule.Over.Name; (name == "attempt" || name == "rollout") && total > 0 {
		return stats.ScanProbability(mean/total.Hours(), total, total, limit), true
	}
	return 1 - quiet, true
}

// comparisons is W06: how many users with an event a proof takes, and how many
// the measured traffic will bring. Where nothing is measured it speaks of the
// rules that the plan writes only: who takes the defaults did not ask for them.
func (l *linter) comparisons() {
	type place struct {
		stage int
		text  string
	}
	said := map[place]bool{}
	for _, u := range l.p.uses() {
		m := l.p.Metrics[u.rule.Metric]
		at := place{u.stage, u.rule.Text}
		if m == nil || m.Kind != Count && m.Kind != Users || u.rule.Ref != Control && u.rule.Ref != Reference || !u.rule.upper() || said[at] {
			continue
		}
		said[at] = true
		if need := l.p.proof(u.stage, u.rule.Value); need > 0 {
			l.fewUsers(u, m, need)
		}
	}
}

// fewUsers is W06 of one comparison.
func (l *linter) fewUsers(u use, m *Metric, need float64) {
	s := l.p.Stages[u.stage]
	what := fmt.Sprintf("%s: proving %q takes about %s users with %s in both groups", s.Name, u.rule.Text, grouped(need), eventOf(m))
	daily, measured := 0.0, false
	if l.server != nil {
		daily, measured = l.server.Users[u.rule.Metric]
	}
	expect := daily * s.Bake.Hours() / 24
	switch {
	case !measured && u.rule.Default:
	case !measured:
		l.rule(Warning, u.rule, "W06", what, "with fewer it will "+inconclusiveDoes(s.Inconclusive), u.paths()...)
	case expect < need:
		what += fmt.Sprintf(", %s are expected", grouped(expect))
		l.rule(Warning, u.rule, "W06", what, "it will "+inconclusiveDoes(s.Inconclusive), u.paths()...)
	}
}

func eventOf(m *Metric) string {
	if m.Name == "errors" {
		return "an error"
	}
	return m.Title
}

func inconclusiveDoes(i Inconclusive) string {
	return map[Inconclusive]string{Ask: "ask", Hold: "wait", Pass: "pass unproved"}[i]
}

// proofFactor allows for looking all the time and for the mixture's loss.
const proofFactor = 1.5

// proof is the number of users with the event, in both groups, that proving
// a count not worse than the limit takes in a stage:
// 1.5 ln(1/false_proceed) / KL(s || s'), where s is the share of the new group
// and s' that under a change of m = max(limit, margin); 0 without a control.
func (p *Plan) proof(stage int, limit float64) float64 {
	s := float64(p.Exposure(stage)) / float64(flag.Everyone)
	m := max(limit, p.Judge.Margin)
	if s <= 0 || s >= 1 || m <= 0 {
		return 0
	}
	shifted := s * (1 + m) / (s*(1+m) + 1 - s)
	kl := s*math.Log(s/shifted) + (1-s)*math.Log((1-s)/(1-shifted))
	return proofFactor * math.Log(1/p.Judge.FalseProceed) / kl
}

// looseForm is what telemetry's filters read beside their own grammar.
var looseForm = regexp.MustCompile(`largest_contentful_paint|first_contentful_paint|cumulative_layout_shift|interaction_to_next_paint|time_to_first_byte|time_to_interactive|\btags\.[A-Za-z]|measurements\.[a-z_]+:[\[{]|"1 day"`)

// dialects is W14: filters that are read as another text.
func (l *linter) dialects() {
	say := func(text string, paths ...string) {
		if !looseForm.MatchString(text) {
			return
		}
		if f, err := telemetry.ParseFilter(text); err == nil && f.String() != text {
			l.warn("W14", fmt.Sprintf("%q read as %s", text, f), "write it so", paths...)
		}
	}
	for i, panel := range l.p.Dashboard.Panels {
		if q, err := telemetry.ParseQuery(panel.Query); err == nil && len(q.Notes) > 0 {
			l.warn("W14", fmt.Sprintf("%q read as %s", panel.Query, q), "write it so", fmt.Sprintf("dashboard.panels.%d.query", i))
		}
	}
	for _, m := range l.p.Metrics {
		if !m.BuiltIn {
			say(m.Where, "metrics."+m.Name+".where")
		}
	}
	for _, s := range l.p.Severity {
		say(s.Filter, "severity."+s.Name)
	}
	say(l.p.Scope.Spans, "scope.spans")
}
