package plan

import (
	"os"
	"testing"
	"time"

	"serin/internal/flag"
)

// TestLikeAndOverrides reads a plan whose stages copy the first one.
func TestLikeAndOverrides(t *testing.T) {
	source, err := os.ReadFile("testdata/rig.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := parsed(t, source)
	last := p.Stages[4]
	switch {
	case len(p.Stages) != 5 || last.Name != "full" || last.Traffic != flag.Everyone || last.Bake != 3*time.Hour:
		t.Errorf("last stage: %+v", last)
	case last.Owner[0] != "lead" || ruleTexts(last.Proceed) != "errors <= +5% vs control, canary_lcp < 1s":
		t.Errorf("like copied %v, %s", last.Owner, ruleTexts(last.Proceed))
	case last.Inconclusive != Hold || p.Judge.Inconclusive != Ask:
		t.Errorf("inconclusive %s, judge %s", last.Inconclusive, p.Judge.Inconclusive)
	case last.At != nil || p.Stages[2].At == nil:
		t.Error("at belongs to one stage")
	case !p.Metrics["canary_lcp"].Dry || !p.Metrics["canary_lcp"].User || p.Metrics["canary_lcp"].Unit != "ms":
		t.Errorf("%+v", p.Metrics["canary_lcp"])
	case p.Actions.RestartFrom != "r50" || p.Actions.RestartAfter != 0:
		t.Errorf("%+v", p.Actions)
	case last.Checks[0].Expect[2].Set != "ok" || last.Proceed[0].Set != "":
		t.Error("a rule does not know its set")
	}
}

// TestGrades: an event has the first grade that matches.
func TestGrades(t *testing.T) {
	p := parsed(t, readExample(t, "admin-workbench"))
	if got := p.Metrics["p2"].Where; got != secondGrade(p.Severity[0].Filter, p.Severity[1].Filter) {
		t.Errorf("p2 counts %s", got)
	}
	if p = parsed(t, []byte(base)); p.Metrics["p2"].Where != nothing {
		t.Errorf("a grade that is not given counts %s", p.Metrics["p2"].Where)
	}
}

// TestMetricRedefined: the slope follows the gauge to its source.
func TestMetricRedefined(t *testing.T) {
	p := parsed(t, readExample(t, "admin-workbench"))
	if m := p.Metrics["memory_trend"]; m.Source != "prometheus" || m.User {
		t.Errorf("%+v", m)
	}
	if m := p.Metrics["pool"]; m.Unit != "%" || m.BuiltIn || m.User {
		t.Errorf("%+v", m)
	}
}
