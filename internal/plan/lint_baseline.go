package plan

import (
	"fmt"
	"slices"
	"strings"

	"serin/internal/flag"
)

// BaselineRules are the rules of the plan that rest on the baseline at some
// time: those that name it, and those on the reference where no control is left
// at the end or, for system metrics, never was any.
func (p *Plan) BaselineRules() []*Rule {
	last := len(p.Stages) - 1
	noControl := last >= 0 && flag.Everyone-p.Exposure(last) < leastControl
	var out []*Rule
	for _, r := range p.allRules() {
		if r == nil || p.Metrics[r.Metric] == nil {
			continue
		}
		if r.Ref == Baseline || r.Ref == Reference && (noControl || !p.Metrics[r.Metric].User) {
			out = append(out, r)
		}
	}
	return out
}

// BaselineHours is how many hours of a metric's baseline a server has.
type BaselineHours struct {
	Want     int // what the plan asks for
	Measured int
	Imported int    // not measured, but imported from elsewhere
	Text     string // these in words: "1.5 of 7 d"
	Short    bool   // hours are missing
}

// shortBaseline is W23, one line for metrics that have the same hours. Default
// rules give no warning: nobody asked for them.
func (l *linter) shortBaseline() {
	first, metrics := map[string]*Rule{}, map[string][]string{} // by the text of how much there is
	var texts []string
	for _, r := range l.p.BaselineRules() {
		have, known := l.server.Baseline[r.Metric]
		if !known || !have.Short || r.Default || slices.Contains(metrics[have.Text], r.Metric) {
			continue
		}
		if first[have.Text] == nil {
			first[have.Text] = r
			texts = append(texts, have.Text)
		}
		metrics[have.Text] = append(metrics[have.Text], r.Metric)
	}
	for _, text := range texts {
		l.rule(Warning, first[text], "W23", fmt.Sprintf("baseline of %s: %s", strings.Join(metrics[text], ", "), text), "import the rest with serin baseline import, or wait")
	}
}
