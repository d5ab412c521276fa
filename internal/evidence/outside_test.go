package evidence

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/alert"
	"serin/internal/judge"
	"serin/internal/plan"
)

// TestAlertsHeard: another system's alert as a metric of a plan.
func TestAlertsHeard(t *testing.T) {
	g := newRig(t, func(p *plan.Plan) {
		p.Metrics["slow"] = &plan.Metric{Name: "slow", Kind: plan.Gauge, Of: "HighLatency", Source: "alertmanager"}
	})
	value := func() (float64, bool) {
		t.Helper()
		v, err := g.e.View("demo-1")
		if err != nil {
			t.Fatal(err)
		}
		w := v.Window("slow", judge.Exposed, time.Time{}, g.clock.Now())
		return w.Value, w.Known
	}
	state := func() judge.SourceState {
		t.Helper()
		v, err := g.e.View("demo-1")
		if err != nil {
			t.Fatal(err)
		}
		return v.Source("slow").State
	}
	if _, known := value(); known || state() != judge.NeverDelivered {
		t.Errorf("before anything was told: known %v, source %v", known, state())
	}
	hear := func(counts ...alert.Count) {
		t.Helper()
		if err := g.e.AlertsHeard(t.Context(), counts, "1"); err != nil {
			t.Fatal(err)
		}
	}
	hear(alert.Count{Project: "1", Name: "Watchdog", All: 1})
	if v, known := value(); v != 0 || !known || state() != judge.Delivering {
		t.Errorf("nothing of that name fires: %v, known %v", v, known)
	}
	hear(alert.Count{Project: "1", Name: "HighLatency", All: 6, ByRollout: map[string]int{"demo-1": 2, "other,{1}": 3}})
	if v, _ := value(); v != 3 {
		t.Errorf("%v alerts concern the rollout, want 3: one that names none and two that name it", v)
	}
	hear(alert.Count{Project: "2", Name: "HighLatency", All: 9})
	if v, _ := value(); v != 3 {
		t.Errorf("%v after another project's alerts, want 3", v)
	}
	g.clock.Advance(25 * time.Hour)
	if state() != judge.Failing {
		t.Errorf("the source after a day of silence: %v", state())
	}
	hear()
	if v, _ := value(); v != 3 || state() != judge.Delivering {
		t.Errorf("%v and %v after a word that nothing changed", v, state())
	}
}

func TestCountText(t *testing.T) {
	c := alert.Count{All: 4, ByRollout: map[string]int{`a"b=1,c}`: 1, "plan": 2}}
	for rollout, want := range map[string]float64{`a"b=1,c}`: 2, "plan": 3, "none": 1} {
		if diff := cmp.Diff(want, firingFor(countText(c), rollout, "")); diff != "" {
			t.Errorf("%q of %s: %s", rollout, countText(c), diff)
		}
	}
	if got := firingFor("", "x", "y"); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
