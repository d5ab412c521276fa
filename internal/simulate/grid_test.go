package simulate

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestCaught: what is badly broken is caught where there is traffic to see it,
// by fixed limits and by tests, and what is healthy is not.
func TestCaught(t *testing.T) {
	for _, tt := range []struct {
		name, rollback string
		effect         Effect
		least, most    float64
	}{
		{"fixed limit, healthy", "errors > 20 over 1h", Effect{}, 0, 0.1},
		{"fixed limit, broken", "errors > 20 over 1h", Effect{Errors: 20}, 1, 1},
		{"test, healthy", "errors > +50% vs control over 1h", Effect{}, 0, 0.1},
		{"test, broken", "errors > +50% vs control over 1h", Effect{Errors: 20}, 1, 1},
		{"latency, healthy", "lcp > +30% vs control over 1h", Effect{}, 0, 0.1},
		{"latency, half the limit", "lcp > +30% vs control over 1h", Effect{Latency: 1.15}, 0, 0.2},
		{"latency, broken", "lcp > +30% vs control over 1h", Effect{Latency: 1.6}, 1, 1},
		{"fixed latency, broken", "lcp > 3s over 1h", Effect{Latency: 1.6}, 1, 1},
		{"errors do not move latency", "lcp > +30% vs control over 1h", Effect{Errors: 20}, 0, 0.1},
		{"errors per request", "error_rate > +50% vs control over 6h", Effect{Errors: 20}, 1, 1},
		{"errors per request, healthy", "error_rate > +50% vs control over 6h", Effect{}, 0, 0.1},
	} {
		const runs = 30
		o := Options{Traffic: flat(t, "errors_per_view=0.2%"), Seed: 5}
		p := readPlan(t, one("errors < 100000", tt.rollback))
		if err := o.fill(p); err != nil {
			t.Fatal(err)
		}
		w, err := o.world(p)
		if err != nil {
			t.Fatal(err)
		}
		c, err := o.cell(w, tt.effect, runs)
		if err != nil {
			t.Fatal(err)
		}
		if c.Caught.P < tt.least || c.Caught.P > tt.most {
			t.Errorf("%s: caught in %s, want %g to %g", tt.name, c.Caught, tt.least, tt.most)
		}
		if c.Caught.P == 1 && (c.Hours.P50 <= 0 || c.Hours.P95 < c.Hours.P50 || c.Harmed.P50 < 1 || c.Exposed.P50 < c.Harmed.P50 || c.Exposed.P95 > 600) {
			t.Errorf("%s: after %+v, exposed %+v, harmed %+v", tt.name, c.Hours, c.Exposed, c.Harmed)
		}
	}
}

// TestSlowDetection: +30 % of a p75 at 10 % of 20,000 views a day is caught in
// hours, as docs/statistics.md measures it: about five.
func TestSlowDetection(t *testing.T) {
	o := Options{Traffic: DefaultTraffic(), Seed: 6}
	p := readPlan(t, strings.Replace(one("errors < 100000", "lcp > +15% vs control over 6h"), "50%", "10%", 1))
	if err := o.fill(p); err != nil {
		t.Fatal(err)
	}
	w, err := o.world(p)
	if err != nil {
		t.Fatal(err)
	}
	c, err := o.cell(w, Effect{Latency: 1.3}, 60)
	if err != nil {
		t.Fatal(err)
	}
	if c.Caught.P < 0.95 || c.Hours.P50 < 1 || c.Hours.P50 > 9 {
		t.Errorf("caught %s after %+v hours", c.Caught, c.Hours)
	}
}

func TestSmallest(t *testing.T) {
	w := &world{plan: readPlan(t, one("p1 = 0", "p1 > 5 over 1h"))}
	cell := func(e Effect, p float64, of int) CellResult {
		s := share(int(p*float64(of)), of)
		return CellResult{Effect: e, Caught: s, ByStage: []Share{s}}
	}
	grid := []CellResult{
		cell(Effect{Errors: 2}, 0.2, 100), cell(Effect{Errors: 8}, 1, 100),
		cell(Effect{Latency: 1.1}, 1, 10), cell(Effect{Latency: 1.2}, 0.5, 100),
	}
	got := w.smallest(grid, Result{})
	if want := 2 * math.Pow(4, 0.75); len(got) != 2 || math.Abs(got[0].Errors-want) > 1e-9 || got[0].Latency != 0 || got[1].Stage != "only" {
		t.Errorf("got %+v, want errors ×%g and no latency", got, want)
	}
	few := w.smallest([]CellResult{cell(Effect{Errors: 2}, 1, 10)}, Result{})
	if few[0].Errors != TooFew || few[0].Latency != TooFew {
		t.Errorf("of ten runs: %+v", few[0])
	}
	// a rule that takes a healthy feature back finds nothing
	false80 := Result{FalseRollback: Share{P: 0.9}, Guards: []GuardResult{{ByStage: []Share{{P: 0.9}}}}}
	for _, s := range w.smallest(grid, false80) {
		if s.Errors != HealthyToo || s.Latency != HealthyToo {
			t.Errorf("where a healthy feature is caught: %+v", s)
		}
	}
}

// TestSuggestions are played, and say what they bring.
func TestSuggestions(t *testing.T) {
	r := simulated(t, readPlan(t, "minimal"), Options{Traffic: DefaultTraffic(), Runs: 2, GridRuns: 2, Suggest: true, Seed: 1})
	var texts []string
	for _, s := range r.Suggestions {
		texts = append(texts, s.Change)
		if s.Before.Caught.Of != 2 || s.After.Caught.Of != 2 || s.Effect == "" {
			t.Errorf("%s was not played: %+v", s.Change, s)
		}
	}
	if got := strings.Join(texts, "; "); got != "canary at 20% in place of 10%; bake canary for 4d in place of 48h; holdback 10%" {
		t.Errorf("got %s", got)
	}
	if len(r.Grid) != len(errorFactors)+len(latencyFactors) || len(r.Smallest) != 4 {
		t.Errorf("%d cells, %d smallest", len(r.Grid), len(r.Smallest))
	}
}

// TestProvable holds the margins against the table of docs/statistics.md: the
// affected users that a proof takes.
func TestProvable(t *testing.T) {
	for _, tt := range []struct{ users, share, margin float64 }{
		{29500, 0.1, 0.05}, {12200, 0.5, 0.05}, {7700, 0.1, 0.1}, {2880, 0.5, 0.1}, {540, 0.5, 0.25}, {164, 0.5, 0.5},
	} {
		if got := provable(tt.users, tt.share, 0.05) - 1; math.Abs(got/tt.margin-1) > 0.2 {
			t.Errorf("%g users at %g: margin %.3f, measured %g", tt.users, tt.share, got, tt.margin)
		}
	}
	if provable(1000, 1, 0.05) != 0 || provable(0, 0.5, 0.05) != NothingProvable || provable(3, 0.5, 0.05) != NothingProvable {
		t.Error("something is proved without control, or without errors")
	}
	// twenty users are the most that can be affected, however often they err
	w := &world{users: 20, streams: []stream{{perDay: 10_000}}}
	if n := w.affected(24 * time.Hour); math.Abs(n-20) > 1e-6 {
		t.Errorf("%g of 20 users are affected", n)
	}
}

func TestText(t *testing.T) {
	for want, got := range map[string]string{
		"0%": Percent(0), "<0.01%": Percent(0.00001), "0.35%": Percent(0.0035), "1.2%": Percent(0.012), "34%": Percent(0.34), "99.9%": Percent(0.9999), "100%": Percent(1),
		"-": share(0, 0).String(), "0% (<3.0%)": share(0, 100).String(), "12% ±1": share(120, 1000).String(), "1.2% ±0.34": share(12, 1000).String(),
		"8d 15h": Hours(207), "3d": Hours(72), "45m": Hours(0.75), "2h 30m": Hours(2.5), "0h": Hours(0), "1,234,567": Thousands(1234567), "12": Thousands(12),
		"errors ×1.2": Effect{Errors: 1.2}.String(), "latency +5%": Effect{Latency: 1.05}.String(), "none of those played": Factor(NoneCaught), "+28%": Change(1.28), "none: healthy is caught too": Change(HealthyToo), "too few runs": Factor(TooFew),
		"no control": Provable(0), "nothing": Provable(NothingProvable), "+21%": Provable(1.21), "×4": Provable(4),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestDoubtful: suggestions are played with the regression whose fate is least sure.
func TestDoubtful(t *testing.T) {
	cell := func(e Effect, count int) CellResult { return CellResult{Effect: e, Caught: share(count, 100)} }
	for _, tt := range []struct {
		name string
		grid []CellResult
		want Effect
	}{
		{"nothing is caught", []CellResult{cell(Effect{Errors: 1.2}, 0), cell(Effect{Errors: 20}, 0), cell(Effect{Latency: 1.3}, 0)}, Effect{Errors: 20}},
		{"all is caught", []CellResult{cell(Effect{Errors: 1.2}, 100), cell(Effect{Errors: 20}, 100)}, Effect{Errors: 1.2}},
		{"one is doubtful", []CellResult{cell(Effect{Errors: 1.2}, 0), cell(Effect{Errors: 2}, 40), cell(Effect{Errors: 5}, 100)}, Effect{Errors: 2}},
	} {
		if got := doubtful(tt.grid); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestUsedTo: people override a criterion that keeps a healthy feature as a rule,
// so that the stages after it say what they catch; another ends the run.
func TestUsedTo(t *testing.T) {
	p := readPlan(t, strings.Replace(one("errors < 1", "p1 > 50 over 1h"), "stages:", "stages:\n  - { stage: before, traffic: 5%, bake: 24h, proceed: [errors < 1], checks: [] }", 1))
	o := Options{Traffic: flat(t, "errors_per_view=0.2%"), Runs: 30, GridRuns: 30, Seed: 1}
	r := simulated(t, p, o)
	if s := r.Stages[0].Proceed[0].Stuck; s.P < asARule {
		t.Fatalf("the criterion keeps only %s of healthy runs", s)
	}
	for _, c := range r.Grid[:1] {
		if c.ByStage[1].Of != 30 || c.Kept.Count != 0 {
			t.Errorf("%s: %d runs reached the second stage, %s were kept", c.Name, c.ByStage[1].Of, c.Kept)
		}
	}
}
