package plan

import (
	"fmt"
	"slices"
	"strings"
)

// onServer holds the plan against the server: E14, E15, E20, E21, W01, W15, W23.
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
	l.shortBaseline()
	for key, value := range p.Scope.Tags {
		tag := key + ":" + value
		if n, known := s.Tagged[tag]; s.Events > 0 && known && n == 0 {
			l.warn("W15", fmt.Sprintf("%s matched 0 of %d baseline events", tag, s.Events), "control would look clean", "scope.tags."+key)
		}
	}
}

// sources is E21 for guards and W01 for the rest: a metric without a source.
// Where no telemetry arrives at all, one line says it of all its metrics.
func (l *linter) sources() {
	guards := l.p.guardRules()
	said := map[string]bool{}
	for i, rule := range append(guards, l.p.allRules()...) {
		m := l.p.Metrics[rule.Metric]
		if m == nil || rule.Default || said[m.Name] {
			continue
		}
		missing, external := l.missing(m)
		switch {
		case missing == "":
			continue
		case external && i < len(guards):
			l.rule(Error, rule, "E21", fmt.Sprintf("rollback %q: %s", rule.Text, missing), fmt.Sprintf("add a source of kind %s to sources in the server's configuration, or leave the rule out", m.Source))
		case missing == noTelemetry && said[noTelemetry]:
		default:
			l.rule(Warning, rule, "W01", fmt.Sprintf("%q: %s", m.Name, missing), "its rules stay unknown")
		}
		said[m.Name], said[missing] = true, true
	}
}

const noTelemetry = "no telemetry ever arrived"

// missing says what a metric still waits for, "" = nothing, and whether it is
// a source that the server would have to be set up for.
func (l *linter) missing(m *Metric) (what string, external bool) {
	arrived := l.server.Arrived
	gauge := m
	if base := l.p.Metrics[m.Of]; m.Kind == Slope && base != nil {
		gauge = base
	}
	switch {
	case m.Source == "prometheus" || m.Source == "probe":
		if l.server.Configured[m.Source] {
			return "", true
		}
		return m.Source + " is not configured", true
	case m.Source == "alertmanager":
		if arrived["alert "+gauge.Of] {
			return "", false
		}
		return "no alert " + gauge.Of + " ever arrived at /hooks/alertmanager", false
	case m.Source == "push" || m.Source == "telemetry" && gauge.Kind == Gauge:
		if arrived[gauge.Of] {
			return "", false
		}
		return "no value " + gauge.Of + " ever arrived", false
	case arrived[m.Source]:
		return "", false
	}
	return "no " + m.Source + " ever arrived", false
}
