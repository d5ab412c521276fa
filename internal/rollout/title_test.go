package rollout

import (
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

func TestTitle(t *testing.T) {
	p := parse(t, `
serin: 1
plan: words
timezone: UTC
flag: { key: words }
stages:
  - { stage: canary, traffic: 12.5%, bake: 1h }
rollback: [lcp > +30% vs reference over 1h, p1 > 5 over 1h, lcp > 2.5s for 10m, error_rate > 2% over 6h]
`)
	judged := func(rule, metric string, value, limit float64, ref plan.Ref, unit string) Event {
		return Event{Type: RolledBackEvent, Rule: rule,
			Verdict: &judge.Verdict{Rule: rule, Metric: metric, Value: &value, Limit: limit, Ref: ref, Unit: unit}}
	}
	tests := []struct {
		e    Event
		want string
	}{
		{judged("lcp > +30% vs reference over 1h", "lcp", .373, .3, plan.Control, ""), "rolled back: lcp +37 % vs control over 1h, limit +30 %"},
		{judged("p1 > 5 over 1h", "p1", 6, 5, plan.None, ""), "rolled back: p1 6 over 1h, limit 5"},
		{judged("lcp > 2.5s for 10m", "lcp", 2612, 2500, plan.None, "ms"), "rolled back: lcp 2.612 s for 10m, limit 2.5 s"},
		{judged("error_rate > 2% over 6h", "error_rate", .0312, .02, plan.None, ""), "rolled back: error_rate 3.12 % over 6h, limit 2 %"},
		{Event{Type: RolledBackEvent, Rule: "no data", Reason: "no data for 1h"}, "rolled back: no data for 1h"},
		{Event{Type: RolledBackEvent, By: "ann", Reason: "enough"}, "rolled back by ann"},
		{Event{Type: Started, Exposure: 12500, By: "ann"}, "started: canary 12.5 % by ann"},
		{Event{Type: Checked, Red: []string{"p1 = 0"}}, "check of canary is red: p1 = 0"},
		{Event{Type: NoData, Since: time.Date(2025, 3, 3, 11, 20, 0, 0, time.UTC)}, "no data since 11:20 UTC"},
	}
	for _, tt := range tests {
		if got, _ := Title(p, tt.e); got != tt.want {
			t.Errorf("Title(%s) = %q, want %q", tt.e.Type, got, tt.want)
		}
	}
}
