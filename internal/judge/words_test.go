package judge

import (
	"math"
	"strings"
	"testing"
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// TestWords: the sentence of every kind of comparison says how the arms compare
// with an interval, since when, what that rests on by arm, the evidence as odds,
// and how much more is needed; and the same stands in the verdict's fields.
func TestWords(t *testing.T) {
	loads := func(good, bad, times int, shifts ...float64) Tests {
		out := Tests{Odds: []float64{1}, Stage: []int{0}, Began: []time.Time{start}, Shifted: map[int][]stats.Block{}}
		for _, x := range shifts {
			for range times {
				out.Shifted[stats.Shift(x)] = append(out.Shifted[stats.Shift(x)], stats.Block{New: int64(good + bad), BadNew: int64(bad), Old: int64(good + bad), BadOld: int64(bad)})
			}
		}
		return out
	}
	spread := func(n int) *stats.Sketch {
		s := new(stats.Sketch)
		for i := range n {
			s.Add(1000 + 2000*float64(i)/float64(n))
		}
		return s
	}
	shares := func(bad, all, times int) Tests {
		out := Tests{Odds: []float64{1}, Stage: []int{0}, Began: []time.Time{start}}
		for range times {
			out.Blocks = append(out.Blocks, stats.Block{New: int64(all), BadNew: int64(bad), Old: int64(all), BadOld: int64(bad)})
		}
		return out
	}
	users := func(fresh, old int64) Tests {
		return Tests{Odds: []float64{1}, Stage: []int{0}, Began: []time.Time{start}, Cells: []stats.UserCell{{Last: -1, New: fresh, Old: old}}}
	}
	for _, tt := range []struct {
		name   string
		use    Use
		rule   *plan.Rule
		tests  Tests
		window Window
		want   []string
	}{
		{"a count that is not proved", Gate, versus("errors", plan.LE, 0.05), users(9, 10), Window{Count: 30, Users: 10}, []string{
			"errors are -10% against control in this stage (95% interval ", "not yet proved to be within +5%",
			"9 users affected on new, 10 on control", "evidence less than 1 to 1, needed 20 to 1",
			"; about 13,100 users affected are needed if nothing is wrong, 19 so far, more than 60d at the present rate"}},
		{"a count on its way to a rollback", Guard, over(versus("errors", plan.GT, 0.5), 24*time.Hour), users(18, 5), Window{Count: 30, Users: 10}, []string{
			"+260% since it began (95% interval ", "limit +50%", "18 users affected on new, 5 on control", "needed 112 to 1", "; if it goes on like this about "}},
		{"loads", Gate, versus("lcp", plan.LE, 0.05), loads(75, 25, 3, 0.05), Window{Sketch: spread(300), Known: true}, []string{
			"lcp is +0% against control in this stage (2.5", " control 2.5", "; 95% interval -", "300 loads on new, 300 on control", " loads are needed if nothing is wrong, 600 so far, about "}},
		{"loads of which nothing came", Gate, versus("lcp", plan.LE, 0.05), Tests{Odds: []float64{1}, Stage: []int{0}}, Window{}, []string{
			"nothing to compare yet: no lcp has been measured"}},
		{"loads before a block has closed", Gate, versus("lcp", plan.LE, 0.05), Tests{Odds: []float64{1}, Stage: []int{0}}, Window{Sketch: spread(3), Known: true}, []string{
			"no block of loads has closed"}},
		{"a common share", Gate, versus("error_rate", plan.LE, 0.05), shares(20, 100, 3), Window{Count: 60, Known: true}, []string{
			"95% interval -", "60 of 300 bad on new, 60 of 300 on control", " trials are needed if nothing is wrong, 600 so far"}},
		{"a rare share", Gate, versus("error_rate", plan.LE, 0.05), shares(2, 100, 3), Window{Count: 6, Known: true}, []string{
			"6 of 300 bad on new, 6 of 300 on control", " bad outcomes are needed if nothing is wrong, 12 so far"}},
		{"a quantile that shall fall", Gate, versus("lcp", plan.LE, -0.1), loads(75, 25, 30, 0.1), Window{Sketch: spread(3000), Known: true}, []string{
			"lcp is +0% against control in this stage", "95% interval", "limit -10%; 3,000 loads on new, 3,000 on control"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := tt.window
			w.Active, w.Covered = 100_000, 24*time.Hour
			ev := &fake{windows: arms(tt.rule.Metric, w), tests: map[string]Tests{tt.rule.Metric: tt.tests}}
			if tt.rule.Metric == "error_rate" {
				all := w
				all.Count = 300
				ev.windows["errors"], ev.windows["requests"] = arms("errors", w)["errors"], arms("requests", all)["requests"]
			}
			v, _ := Judge(testPlan(), []*plan.Rule{tt.rule}, tt.use, place(), ev, nil, start.Add(24*time.Hour))
			t.Log(v[0].Why)
			for _, want := range tt.want {
				if !strings.Contains(v[0].Why, want) {
					t.Errorf("%q is not said", want)
				}
			}
			if s := v[0].Sample; strings.Contains(v[0].Why, " on new") && (s == nil || s.New == 0 || s.Old == 0) {
				t.Errorf("the sample is %+v", s)
			}
			if strings.Contains(v[0].Why, "interval") && (v[0].Estimate == nil || v[0].Low == nil || v[0].High == nil || *v[0].Estimate < *v[0].Low || *v[0].Estimate > *v[0].High) {
				t.Errorf("estimate %v, interval %v … %v", v[0].Estimate, v[0].Low, v[0].High)
			}
		})
	}
}

func TestOdds(t *testing.T) {
	for logE, want := range map[float64]string{
		math.Inf(-1): "less than 1 to 1", -0.1: "less than 1 to 1", 0: "1 to 1", math.Log(2.5): "2.5 to 1", math.Log(19.99): "19 to 1",
		math.Log(4321): "4,321 to 1", 100: "over 1,000,000 to 1", math.Inf(1): "over 1,000,000 to 1",
	} {
		if got := odds(logE); got != want {
			t.Errorf("e^%g: %q, want %q", logE, got, want)
		}
	}
}

func TestProof(t *testing.T) {
	few, enough := math.Log(4.9), math.Log(112)
	v := Verdict{LogE: &few, LogLimit: &enough}
	if got := v.Proof(); got != "4.9 of 112 to 1" {
		t.Errorf("got %q", got)
	}
	if got := (&Verdict{}).Proof(); got != "" {
		t.Errorf("a fixed limit has %q", got)
	}
}

// TestLevelsOfOtherTests: a revision that changes the margin, or how a part of a
// metric is counted, makes other tests: they have the budget of a revision.
func TestLevelsOfOtherTests(t *testing.T) {
	with := func(edit func(p *plan.Plan)) *plan.Plan {
		p := testPlan()
		p.Rollback = []*plan.Rule{versus("error_rate", plan.GT, 0.5)}
		if edit != nil {
			edit(p)
		}
		return p
	}
	was := with(nil)
	kept := Levels(was, with(nil), 1, 0.01)["error_rate"]
	for name, now := range map[string]*plan.Plan{
		"margin": with(func(p *plan.Plan) { p.Judge.Margin = 0.01 }),
		"part": with(func(p *plan.Plan) {
			p.Metrics["errors"] = &plan.Metric{Name: "errors", Kind: plan.Count, User: true, Where: "level:fatal"}
		}),
	} {
		if got := Levels(was, now, 1, 0.01)["error_rate"]; got >= kept/10 {
			t.Errorf("%s: level %g, as it was %g", name, got, kept)
		}
	}
}

// TestValuesOfOneTime: the values of the arms in a gate's sentence are of the stage,
// as the estimate beside them is, whatever the rule's window.
func TestValuesOfOneTime(t *testing.T) {
	tests := shifted(25, 40, 0.05)
	ev := &fake{tests: map[string]Tests{"lcp": tests}, in: func(_ string, _ Group, from, _ time.Time) Window {
		w := Window{Sketch: sketch(2000, 4000), Known: true, Active: 500, Covered: 24 * time.Hour}
		if from.After(start) {
			w.Sketch = sketch(9000, 100) // the last hour
		}
		return w
	}}
	v, _ := Judge(testPlan(), []*plan.Rule{over(versus("lcp", plan.LE, 0.05), time.Hour)}, Gate, place(), ev, nil, start.Add(24*time.Hour))
	if v[0].Canary == nil || *v[0].Canary > 2100 || !strings.Contains(v[0].Why, "in this stage (2 s, control 2 s;") {
		t.Errorf("canary %v: %s", v[0].Canary, v[0].Why)
	}
}

// TestRevised: what a revision changes of a metric's acting rules, or of how it is
// counted, lets its comparison begin empty; texts, gates and fixed limits do not.
func TestRevised(t *testing.T) {
	with := func(edit func(p *plan.Plan)) *plan.Plan {
		p := testPlan()
		p.Rollback = []*plan.Rule{versus("errors", plan.GT, 0.5), versus("error_rate", plan.GT, 0.5)}
		edit(p)
		return p
	}
	was := with(func(*plan.Plan) {})
	for _, c := range []struct {
		name string
		edit func(p *plan.Plan)
		want string
	}{
		{"nothing", func(*plan.Plan) {}, ""},
		{"a gate and a fixed limit", func(p *plan.Plan) {
			p.Stages = []plan.Stage{{Proceed: []*plan.Rule{versus("lcp", plan.LE, 0.1)}}}
			p.Rollback = append(p.Rollback, limit("p1", plan.GT, 5))
		}, ""},
		{"a limit", func(p *plan.Plan) { p.Rollback[0] = versus("errors", plan.GT, 0.4) }, "errors"},
		{"a new rule", func(p *plan.Plan) { p.Rollback = append(p.Rollback, versus("lcp", plan.GT, 0.3)) }, "lcp"},
		{"a rule taken away", func(p *plan.Plan) { p.Rollback = p.Rollback[:1] }, ""},
		{"what a part counts", func(p *plan.Plan) {
			p.Metrics["requests"] = &plan.Metric{Name: "requests", Kind: plan.Count, User: true, Where: "level:fatal"}
		}, "error_rate"},
		{"the margin", func(p *plan.Plan) { p.Judge.Margin = 0.1 }, "error_rate errors"},
	} {
		if got := strings.Join(Revised(was, with(c.edit)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
