package evidence

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/judge"
	"serin/internal/stats"
)

// TestSample: a busy site is sampled by what came before the interval, and a
// restart draws the same sample.
func TestSample(t *testing.T) {
	g := newRig(t, nil)
	g.e.mu.Lock()
	for d := range int64(3) {
		at := g.e.daily.at("1", "production", toMS(t0)-(d+1)*24*hourMS)
		for i := range 200_000 {
			at.Users = at.Users.add(dailyHash(fmt.Sprint(d, "/", i)))
		}
		at.dirty = true
	}
	g.e.mu.Unlock()
	g.target.Plan.Stages[0].Bake = 48 * time.Hour
	g.watch()
	for i := range 4000 {
		g.send(g.failure(fmt.Sprintf("u%d", i), "info"))
	}
	counts := func() map[int]*[2]int64 {
		g.e.mu.Lock()
		defer g.e.mu.Unlock()
		r := g.e.rollouts["demo-1"]
		if diff := cmp.Diff([]int{3}, r.target.sample); diff != "" {
			t.Errorf("400,000 users expected (-want +got):\n%s", diff)
		}
		return r.ratio.counts
	}
	before := counts()
	if n := before[0][0] + before[0][1]; n < 400 || n > 600 {
		t.Errorf("%d of 4,000 users are in a sample of an eighth", n)
	}
	if g.view().Data().Mismatch {
		t.Error("mismatch of a healthy split")
	}
	g.clock.Advance(2 * time.Minute) // housekeeping writes the days
	g.send(g.failure("u0", "info"))
	g.restart()
	if diff := cmp.Diff(before, counts()); diff != "" {
		t.Errorf("after a restart (-before +after):\n%s", diff)
	}
}

func TestSampleStops(t *testing.T) {
	r := &rollout{target: Target{Attempt: 1}}
	for i := range uint64(stats.SampleStop + 10) {
		r.sight(1, 0, judge.AssignedNew, i*2+1)
	}
	if n := r.ratio.counts[0][0]; n != stats.SampleStop {
		t.Errorf("%d users were counted", n)
	}
}
