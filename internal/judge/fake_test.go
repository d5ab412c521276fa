package judge

import (
	"time"

	"serin/internal/plan"
	"serin/internal/stats"
)

// start is when every rollout of these tests began.
var start = time.Date(2025, 2, 19, 9, 0, 0, 0, time.UTC)

// fake is evidence made by hand. Windows are the same for every span, unless
// in is given.
type fake struct {
	windows map[string][3]Window
	in      func(metric string, g Group, from, to time.Time) Window
	tests   map[string]Tests
	sources map[string]Source
	data    Data
}

func (f *fake) Window(metric string, g Group, from, to time.Time) Window {
	if f.in != nil {
		return f.in(metric, g, from, to)
	}
	return f.windows[metric][g]
}
func (f *fake) Tests(metric string) Tests { return f.tests[metric] }
func (f *fake) Source(metric string) Source {
	if s, ok := f.sources[metric]; ok {
		return s
	}
	return Source{State: Delivering}
}
func (f *fake) Pushed(string) (string, time.Time, bool) { return "", time.Time{}, false }
func (f *fake) Data() Data                              { return f.data }

// testPlan has one metric of every kind.
func testPlan() *plan.Plan {
	metrics := map[string]*plan.Metric{}
	for _, m := range []plan.Metric{
		{Name: "p1", Kind: plan.Count, User: true},
		{Name: "errors", Kind: plan.Count, User: true},
		{Name: "sessions", Kind: plan.Count, User: true, UpGood: true},
		{Name: "requests", Kind: plan.Count, User: true},
		{Name: "affected_users", Kind: plan.Users, User: true},
		{Name: "error_rate", Kind: plan.Ratio, Of: "errors", Per: "requests", Unit: "%", User: true},
		{Name: "crash_free", Kind: plan.Ratio, Of: "sessions", Per: "requests", Unit: "%", User: true, UpGood: true},
		{Name: "lcp", Kind: plan.Quantile, Q: 0.75, Unit: "ms", User: true},
		{Name: "satisfaction", Kind: plan.Average, Source: "survey", User: true, UpGood: true},
		{Name: "memory", Kind: plan.Gauge, Source: "prometheus", Unit: "B"},
		{Name: "backup_age", Kind: plan.Age, Source: "push", Unit: "ms"},
		{Name: "telemetry_age", Kind: plan.Age, Unit: "ms"},
		{Name: "bundle_size", Kind: plan.Gauge, Source: "push", Unit: "B"},
		{Name: "adoption", Kind: plan.Computed, Unit: "%", User: true, UpGood: true},
		{Name: "concurrent", Kind: plan.Computed, User: true},
	} {
		metrics[m.Name] = &m
	}
	return &plan.Plan{
		Metrics: metrics,
		Judge: plan.Judge{
			FalseRollback: 0.01, FalseProceed: 0.05, Margin: 0.05, EnoughUsers: 20, EnoughFor: time.Hour,
			NoData: plan.NoData{Grace: 10 * time.Minute},
		},
		Capacity: plan.Capacity{Concurrent: 1000},
		Rollback: []*plan.Rule{versus("errors", plan.GT, 0.5)},
	}
}

func place() Place {
	levels := map[string]float64{}
	for name := range testPlan().Metrics {
		levels[name] = 0.0045
	}
	levels["errors"] = 0.009
	return Place{
		Planned: 5, Exposure: 0.1, ControlShare: 0.9, Levels: levels,
		StageBegan: start, AttemptBegan: start, RolloutBegan: start,
	}
}

func limit(metric string, op plan.Op, value float64) *plan.Rule {
	return &plan.Rule{Text: metric + " " + string(op) + " x", Metric: metric, Op: op, Value: value, Over: plan.Span{Name: "stage"}}
}

func over(r *plan.Rule, d time.Duration) *plan.Rule {
	r.Over = plan.Span{Dur: d}
	return r
}

func versus(metric string, op plan.Op, value float64) *plan.Rule {
	r := limit(metric, op, value)
	r.Ref = plan.Control
	return r
}

func ref(r *plan.Rule, to plan.Ref) *plan.Rule {
	r.Ref = to
	return r
}

func byDefault(r *plan.Rule) *plan.Rule {
	r.Default = true
	return r
}

// plenty is a window that passes judge.enough.
func plenty(w Window) Window {
	w.Active, w.Covered, w.Known = 500, 6*time.Hour, true
	w.Last = start.Add(6 * time.Hour)
	return w
}

// counted is the test data of an attempt in its first stage at 10 %.
func counted(canary, control int64) Tests {
	return Tests{
		Odds: []float64{1. / 9}, Stage: []int{0}, Began: []time.Time{start},
		Cells:     []stats.UserCell{{Interval: 0, Last: -1, New: canary, Old: control}},
		EventsNew: canary, EventsOld: control,
	}
}

// events sets the raw events of the stage, in bursts of 4.
func events(t Tests, canary, control int64) Tests {
	t.EventsNew, t.EventsOld, t.Phi = canary, control, 4
	return t
}
