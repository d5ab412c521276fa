package plan

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// strictRule is the grammar of a rule; looseRule finds the parts of what was
// meant as one, so that the message can show the right form.
var (
	strictRule = regexp.MustCompile(`^([a-z][a-z0-9_]*) (=|!=|<=|>=|<|>) ([+-]?)([0-9]+(?:\.[0-9]+)?)([A-Za-z%]*)(?: vs ([a-z]+))?(?: over ([a-z0-9]+))?(?: for ([a-z0-9]+))?$`)
	looseRule  = regexp.MustCompile(`^\s*([A-Za-z][A-Za-z0-9_]*)\s*(==|=|!=|<=|>=|<|>)\s*([+-]?)\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*?)((?:\s+(?:vs|over|for)\s+\S+)*)\s*$`)
)

// msPerUnit and bytesPerUnit convert a rule's value to its metric's unit.
var (
	msPerUnit    = map[string]float64{"ms": 1, "s": 1e3, "m": 60e3, "h": 3600e3, "d": 86400e3}
	bytesPerUnit = map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
)

// finding is a problem without its place.
type finding struct{ code, what, fix string }

// found builds a finding about a quoted text.
func found(code, text, what, fix string) *finding {
	return &finding{code, strings.TrimSuffix(fmt.Sprintf("%q: %s", text, what), ": "), fix}
}

// traffic is the pseudo metric of the decision tree.
var traffic = &Metric{Name: "traffic", Kind: Computed, Unit: "%"}

// ParseRule reads one rule over the given metrics. The error is a Problem
// without a place (Line 0).
func ParseRule(text string, metrics map[string]*Metric) (*Rule, error) {
	rule, bad := parseRule(text, metrics)
	if bad != nil {
		return nil, fmt.Errorf("%s: %s: %s", bad.code, bad.what, bad.fix)
	}
	return rule, nil
}

func parseRule(text string, metrics map[string]*Metric) (*Rule, *finding) {
	m := strictRule.FindStringSubmatch(text)
	if m == nil {
		return nil, malformed(text)
	}
	rule := &Rule{Text: text, Metric: m[1], Op: Op(m[2]), Unit: m[5], Ref: Ref(m[6]), Over: Span{Name: "stage"}}
	metric := metrics[rule.Metric]
	if metric == nil {
		return nil, unknownMetric(rule.Metric, metrics)
	}
	if bad := rule.compareWith(metric, m[3], m[4]); bad != nil {
		return nil, bad
	}
	number, err := strconv.ParseFloat(m[4], 64)
	if err != nil || math.IsInf(number, 0) {
		return nil, found("E04", text, "the number is too big", "write a smaller one")
	}
	if rule.Ref != None {
		rule.Value = number / 100
		if m[3] == "-" {
			rule.Value = -rule.Value
		}
	} else if bad := rule.scale(metric, number, m[4]); bad != nil {
		return nil, bad
	}
	return rule, rule.spans(m[7], m[8])
}

// malformed explains a text that is no rule.
func malformed(text string) *finding {
	if m := looseRule.FindStringSubmatch(text); m != nil {
		op := strings.Replace(m[2], "==", "=", 1)
		tail := strings.Join(strings.Fields(m[6]), " ")
		right := strings.TrimSpace(strings.ToLower(m[1]) + " " + op + " " + m[3] + m[4] + m[5] + " " + tail)
		if strictRule.MatchString(right) && right != text {
			return found("E04", text, "", "one space around the operator: "+right)
		}
	}
	return found("E04", text, "no rule", "write METRIC OPERATOR VALUE [vs REFERENCE] [over SPAN] [for DURATION], as in p1 > 5 over 1h")
}

func unknownMetric(name string, metrics map[string]*Metric) *finding {
	if name == traffic.Name {
		return &finding{"E05", `"traffic" is known to incident.decide only`, "use a metric"}
	}
	names := make([]string, 0, len(metrics))
	for n := range metrics {
		names = append(names, n)
	}
	slices.Sort(names)
	if near := suggest(name, names); near != "" {
		return &finding{"E05", fmt.Sprintf("%q is no metric", name), "did you mean " + near + "?"}
	}
	return &finding{"E05", fmt.Sprintf("%q is no metric", name), "define it in metrics, or use a built-in one"}
}

// compareWith checks sign and reference.
func (r *Rule) compareWith(m *Metric, sign, number string) *finding {
	switch {
	case r.Ref == None && sign != "":
		return found("E07", r.Text, "signed values need vs reference", "add it, or leave out the sign")
	case r.Ref == None:
		return nil
	case !slices.Contains([]Ref{Control, Baseline, Reference, Expected}, r.Ref):
		return found("E08", r.Text, fmt.Sprintf("no reference %q", r.Ref), "vs control, baseline, reference or expected")
	case sign == "" || r.Unit != "%":
		if sign == "" {
			sign = "+"
		}
		return found("E07", r.Text, "vs needs a signed share", "write "+sign+number+"%")
	case r.Ref == Control && !m.User:
		return found("E08", r.Text, m.Name+" is system-wide", "vs baseline")
	case r.Ref == Expected && m.Name != "concurrent" && m.Name != "adoption":
		return found("E08", r.Text, "only concurrent and adoption have an expected value", "vs reference")
	case m == traffic:
		return found("E08", r.Text, "traffic is compared with nothing", "write traffic = 100%")
	}
	return nil
}

// scale converts the value to the metric's unit.
func (r *Rule) scale(m *Metric, number float64, written string) *finding {
	factor, ok := 1.0, r.Unit == ""
	what, fix := m.Name+" is a number", written
	switch m.Unit {
	case "%":
		factor, ok = 0.01, r.Unit == "%"
		what, fix = m.Name+" is a share", written+"%"
	case "ms", "s":
		factor, ok = msPerUnit[r.Unit], msPerUnit[r.Unit] > 0
		if m.Unit == "s" {
			factor /= 1e3
		}
		what, fix = m.Name+" is a duration", written+"s"
		if number >= 100 {
			fix = written + "ms"
		}
	case "B":
		factor, ok = bytesPerUnit[r.Unit], bytesPerUnit[r.Unit] > 0
		what, fix = m.Name+" is a size", written+"kB"
	}
	if !ok {
		return found("E06", r.unscaled(), what, fix)
	}
	r.Value = number * factor
	return nil
}

// unscaled is the rule without spans: what a message about its value shows.
func (r *Rule) unscaled() string {
	text, _, _ := strings.Cut(r.Text, " over ")
	text, _, _ = strings.Cut(text, " for ")
	return text
}

// spans reads what follows over and for.
func (r *Rule) spans(over, lasts string) *finding {
	switch over {
	case "":
	case "stage", "attempt", "rollout":
		r.Over, r.Given = Span{Name: over}, true
	default:
		d, err := parseDuration(over)
		if err != nil || d <= 0 {
			return found("E04", r.Text, "over "+over, "over a duration such as 1h, or over stage, attempt or rollout")
		}
		r.Over, r.Given = Span{Dur: d}, true
	}
	if lasts == "" {
		return nil
	}
	d, err := parseDuration(lasts)
	if err != nil || d <= 0 {
		return found("E04", r.Text, "for "+lasts, "for a duration such as 15m")
	}
	r.For = d
	return nil
}

// String returns the span as rules write it, "over" left out.
func (s Span) String() string {
	if s.Dur > 0 {
		return FormatDuration(s.Dur)
	}
	return s.Name
}

const day = 24 * time.Hour
