package plan

import (
	"fmt"
	"slices"
	"strings"
)

// onServer holds the plan against the server: E14, E15, E20, E21, W01, W15.
func (l *linter) onServer() {
	p, s := l.p, l.server
	for _, c := range p.Channels {
		kind, rest, _ := strings.Cut(c.Address, ":")
		if c.Address != "dashboard" && !slices.Contains(s.Channels, c.Address) && !slices.Contains(s.Channels, kind+":") {
			l.key(Error, "E14", fmt.Sprintf("channel %q: the server has no %s %q", c.Name, kind, rest), "configure it, or use another", "channels."+c.Name)
		}
	}
	if s.FlagOwner != "" {
		l.key(Error, "E15", fmt.Sprintf("flag %s is owned by rollout %s", p.Flag.Key, s.FlagOwner), "finish or cancel it", "flag.key", "flag")
	}
	if by := p.Flag.By; by != "targetingKey" && !slices.Contains(s.Carried, by) {
		l.key(Error, "E20", fmt.Sprintf("flag.by %q: no telemetry carries it", by), "leave it out or send it", "flag.by")
	}
	l.sources()
	for key, value := range p.Scope.Tags {
		tag := key + ":" + value
		if s.Events > 0 && s.Tagged[tag] == 0 {
			l.warn("W15", fmt.Sprintf("%s matched 0 of %d baseline events", tag, s.Events), "control would look clean", "scope.tags."+key)
		}
	}
}

// sources is E21 for guards and W01 for the rest: a metric without a source.
func (l *linter) sources() {
	p, s := l.p, l.server
	guards := p.guardRules()
	said := map[string]bool{}
	for i, rule := range append(guards, p.allRules()...) {
		m := p.Metrics[rule.Metric]
		if m == nil || rule.Default {
			continue
		}
		external := m.Source == "prometheus" || m.Source == "probe"
		switch {
		case external && s.Configured[m.Source]:
		case external && i < len(guards):
			l.rule(Error, rule, "E21", fmt.Sprintf("rollback %q: %s is not configured", rule.Text, m.Source), "configure it, or leave the rule out")
			said[m.Name] = true
		case said[m.Name] || s.Arrived[m.Source] && m.Source != "push" || m.Source == "push" && s.Arrived[m.Of]:
		case external:
			l.rule(Warning, rule, "W01", fmt.Sprintf("%q: %s is not configured", m.Name, m.Source), "its rules stay unknown")
			said[m.Name] = true
		default:
			l.rule(Warning, rule, "W01", fmt.Sprintf("%q: no %s ever arrived", m.Name, arrival(m)), "its rules stay unknown")
			said[m.Name] = true
		}
	}
}

// arrival is what a metric waits for.
func arrival(m *Metric) string {
	if m.Source == "push" {
		return "value " + m.Of
	}
	return m.Source
}
