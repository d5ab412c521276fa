package controller_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"serin/internal/rollout"
)

// scenario is one acceptance scenario: what is done with the service, and the
// journal that it must leave.
type scenario struct {
	name string
	plan []string // edits of the rig's plan: pairs of old and new text
	// before is how many minutes of telemetry come before T, prepare what is
	// changed about the rig before them.
	before  int
	prepare func(r *rig)
	do      func(r *rig)
	want    string // the journal; "" is not compared
}

func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRigAfter(t, max(s.before, warmUp), s.prepare, s.plan...)
				s.do(r)
				if s.want != "" {
					r.events(s.want)
				}
			})
		})
	}
}

// everybody lets all users of the rig come.
func everybody(r *rig) { r.every = 1 }

var scenarios = slices.Concat(steady, lowered, stood, told, judged)

// steady are rollouts in which things go well, or as people want them.
var steady = []scenario{
	{
		name:    "S1 healthy run",
		prepare: everybody,
		do: func(r *rig) {
			r.lead(rollout.Start)
			var before map[int]bool
			for _, at := range []struct {
				time     string
				exposure float64
			}{{"1:55", 10}, {"2:55", 25}, {"3:55", 50}, {"4:55", 75}, {"5:10", 100}, {"8:30", 100}} {
				r.drive(at.time)
				r.exposure(at.exposure)
				now := r.onNew()
				for n := range before {
					if !now[n] {
						r.Errorf("%s: user %d is no longer on new", at.time, n)
					}
				}
				before = now
			}
			r.advancesAreProved()
			checks := r.of(rollout.Checked)
			if len(checks) != 32 {
				r.Errorf("%d checks, want 32", len(checks))
			}
			for _, e := range checks {
				if len(e.Red) > 0 {
					r.Errorf("%s: check is red: %v", sinceBegin(e.At), e.Red)
				}
			}
			r.notices(`
				started: c10
				advanced: r25
				advanced: r50
				advanced: r75
				advanced: full
				clean-up began
				finished`)
		},
		want: `
			0:00 started c10
			2:00 advanced r25
			3:00 advanced r50
			4:00 advanced r75
			5:00 advanced full
			8:00 advanced cleanup
			8:00 finished`,
	},
}

// advancesAreProved checks that every raise carries the values it rested on,
// and that no two came within a tick.
func (r *rig) advancesAreProved() {
	r.Helper()
	var last rollout.Event
	for _, e := range r.of(rollout.Advanced) {
		seen := map[string]bool{}
		for _, v := range e.Verdicts {
			seen[v.Metric] = v.Value != nil
		}
		if !seen["p1"] || !seen["errors"] || !seen["lcp"] {
			r.Errorf("advanced %s has the values %v, want p1, errors and lcp", e.To, seen)
		}
		if e.At.Sub(last.At) < 60e9 {
			r.Errorf("advanced %s and %s within one tick", last.To, e.To)
		}
		last = e
	}
}
