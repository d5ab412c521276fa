package web

import (
	"math"
	"testing"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/plan"
)

// TestTripsShowProof: beside what a rollback rule sees stands what it has proved:
// two errors may be +800 % and prove nothing.
func TestTripsShowProof(t *testing.T) {
	seen, few, enough, count := 8.0, math.Log(1.3), math.Log(112), 3.0
	list, sum, _ := trips(controller.View{Rollback: []judge.Verdict{
		{Rule: "errors > +50% vs control over 24h", Metric: "errors", Ref: plan.Control, Status: judge.NotMet, Value: &seen, Limit: 0.5, LogE: &few, LogLimit: &enough},
		{Rule: "p1 > 5 over 6h", Metric: "p1", Status: judge.NotMet, Value: &count, Limit: 5},
	}})
	if sum != "none near" || len(list) != 2 {
		t.Fatalf("%s: %+v", sum, list)
	}
	texts := map[string]string{}
	for _, m := range list {
		texts[m.Text] = m.Value
	}
	if got := texts["errors > +50% vs control over 24h"]; got != "+800%, evidence 1.3 of 112 to 1" {
		t.Errorf("got %q", got)
	}
	if got := texts["p1 > 5 over 6h"]; got != "3 of 5" {
		t.Errorf("got %q", got)
	}
}

// TestSampleOfGate: a comparison shows what it rests on by arm.
func TestSampleOfGate(t *testing.T) {
	for want, v := range map[string]judge.Verdict{
		"12 new, 1,340 control": {Events: 1352, Sample: &judge.Sample{What: "users affected", New: 12, Old: 1340}},
		"456 events":            {Events: 456}, "1 user": {Users: 1}, dash: {},
	} {
		if got := sample(v); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
