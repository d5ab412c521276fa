package evidence

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// TestMeansOfArms: answers of sticky users become moments by interval and arm,
// which a restart finds again, and which the judge can compare.
func TestMeansOfArms(t *testing.T) {
	g := newRig(t, func(p *plan.Plan) {
		p.Judge.FalseProceed = 0.05
		p.Stages[0].Proceed = []*plan.Rule{{Text: "satisfaction >= -5% vs control", Metric: "satisfaction", Op: plan.GE, Value: -0.05, Ref: plan.Control, Over: plan.Span{Name: "stage"}, Given: true}}
	})
	assign := telemetry.Target{Split: g.target.Split}
	answer := func(user string) {
		score := 4.0
		if assign.Assign(user) == telemetry.New {
			score = 3
		}
		g.seq++
		g.send(telemetry.Event{Kind: telemetry.KindSurvey, Project: "1", ID: fmt.Sprint("q", g.seq), User: user, Value: score + float64(g.seq%2)})
	}
	field := g.target.Plan.Metrics["satisfaction"].Field
	probe := telemetry.Event{Kind: telemetry.KindSurvey, Value: 3}
	if _, ok := probe.Number(field); !ok {
		t.Fatalf("satisfaction reads %q, which a survey lacks", field)
	}
	for i := range 600 {
		answer(fmt.Sprint("u", i))
		if i%3 == 0 {
			answer(fmt.Sprint("u", i))
		}
	}
	g.clock.Advance(time.Minute)
	g.target.Split = g.target.Plan.Split(75_000)
	g.target.Stage = 1
	g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Stage: 1, Odds: 3, From: g.clock.Now()})
	g.watch()
	answer("u1")
	tests := g.view().Tests("satisfaction")
	if len(tests.Means) != 2 || tests.Means[0].New.Users+tests.Means[0].Old.Users != 600 || tests.Means[0].New.N+tests.Means[0].Old.N != 800 {
		t.Fatalf("moments %+v", tests.Means)
	}
	g.restart()
	if diff := cmp.Diff(tests.Means, g.view().Tests("satisfaction").Means, cmp.Comparer(func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 })); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
	p := g.target.Plan
	at := judge.Place{Planned: 2, Exposure: 0.5, ControlShare: 0.5, StageBegan: t0, AttemptBegan: t0, RolloutBegan: t0}
	v, _ := judge.Judge(p, p.Stages[0].Proceed, judge.Gate, at, g.view(), nil, g.clock.Now())
	if v[0].Status != judge.NotMet || !v[0].Approx {
		t.Errorf("%s: %s", v[0].Status, v[0].Why)
	}
}
