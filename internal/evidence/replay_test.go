package evidence

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"serin/internal/backtest"
	"serin/internal/judge"
	"serin/internal/telemetry"
)

// TestReplay: what the judge says of the replayed evidence at each minute is
// what it said at that minute, over a raise in the middle; and nothing that came
// later is in it.
func TestReplay(t *testing.T) {
	g := newRig(t, nil)
	p := g.target.Plan
	place := func() judge.Place {
		at := g.target
		return judge.Place{Stage: at.Stage, Planned: 2, Exposure: 0.5, ControlShare: 0.5, StageBegan: at.StageAt, AttemptBegan: at.AttemptAt, RolloutBegan: at.RolloutAt, EvidenceBegan: at.AttemptAt,
			Levels: judge.Levels(p, p, 0, 0.01)}
	}
	type told struct {
		at       time.Time
		stand    backtest.Stand
		verdicts []judge.Verdict
		data     judge.Data
	}
	var all []told
	look := func() {
		now := g.clock.Now()
		v := g.view()
		verdicts, _ := judge.Judge(p, p.Rollback, judge.Guard, place(), v, nil, now)
		all = append(all, told{now, backtest.Stand{Stage: g.target.Stage, StageAt: g.target.StageAt, AttemptAt: g.target.AttemptAt, StartedAt: g.target.RolloutAt}, verdicts, v.Data()})
	}
	g.clock.Advance(t0.Truncate(time.Minute).Add(time.Minute).Sub(g.clock.Now()))
	for minute := range 240 {
		if minute == 120 { // the raise
			g.target.Stage, g.target.StageAt = 1, g.clock.Now()
			g.target.Split = p.Split(75_000)
			g.target.Intervals = append(g.target.Intervals, Interval{Attempt: 1, Stage: 1, Odds: 3, From: g.clock.Now()})
			g.watch()
		}
		for i := range 6 {
			user := fmt.Sprintf("u%d", (minute*7+i*13)%3000)
			g.send(g.page(user, 2000+float64((minute*31+i*17)%40)*10))
			bad := i < 1
			if g.target.Split.By != "" && (&telemetry.Target{Split: g.target.Split}).Assign(user) == telemetry.New {
				bad = i < 3
			}
			if bad {
				g.send(g.failure(user, "error"))
			}
		}
		g.clock.Advance(time.Minute)
		look()
	}
	x, err := g.e.Replay(t.Context(), g.target)
	if err != nil {
		t.Fatal(err)
	}
	near := cmp.Comparer(func(a, b float64) bool { return a == b || math.Abs(a-b) <= 1e-6*math.Max(math.Abs(a), math.Abs(b)) })
	early := cmpopts.IgnoreFields(judge.Verdict{}, "Approx") // how alike loads are is known from the begin
	differ := 0
	for _, was := range all {
		v := x.To(was.at, was.stand)
		at := place()
		at.Stage, at.StageBegan = was.stand.Stage, was.stand.StageAt
		got, _ := judge.Judge(p, p.Rollback, judge.Guard, at, v, nil, was.at)
		if data := v.Data(); data.Exposed != was.data.Exposed || data.ControlUsers != was.data.ControlUsers || data.NoData != was.data.NoData || !data.Last.Equal(was.data.Last) {
			t.Errorf("%s: the telemetry was %+v, replayed %+v", was.at.Format("15:04"), was.data, data)
		}
		if d := cmp.Diff(was.verdicts, got, near, early); d != "" {
			if differ++; differ < 3 {
				t.Errorf("%s (-said -replayed):\n%s", was.at.Format("15:04"), d)
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d minutes differ", differ, len(all))
	}
	if last := all[len(all)-1].verdicts[0]; last.LogE == nil || *last.LogE < 1 {
		t.Errorf("the errors of this test show nothing: %+v", last)
	}
}

// TestReplayFeedback: what users said is told minute by minute too, and before
// anything was said its source had not delivered.
func TestReplayFeedback(t *testing.T) {
	g := newRig(t, nil)
	g.clock.Advance(t0.Truncate(time.Minute).Add(time.Minute).Sub(g.clock.Now()))
	user := g.userOf(telemetry.New, 0)
	stand := backtest.Stand{Stage: g.target.Stage, StageAt: g.target.StageAt, AttemptAt: g.target.AttemptAt, StartedAt: g.target.RolloutAt}
	type told struct {
		at     time.Time
		source judge.SourceState
		n      int64
	}
	var all []told
	for minute := range 6 {
		g.send(g.page(user, 2000))
		if minute > 2 {
			g.send(telemetry.Event{Kind: telemetry.KindFeedback, Project: "1", ID: fmt.Sprintf("f%d", minute), Received: g.clock.Now(), User: user, Tags: map[string]string{"kind": "complaint"}})
		}
		g.clock.Advance(time.Minute)
		now, v := g.clock.Now(), g.view()
		all = append(all, told{now, v.Source("complaints").State, v.Window("complaints", judge.Exposed, now.Add(-time.Hour), now).Count})
	}
	if why := backtest.Unrecorded(g.target.Plan, g.target.Plan, "complaints"); why != "" {
		t.Errorf("complaints are called not recorded: %s", why)
	}
	if first, last := all[0], all[len(all)-1]; first.source != judge.NeverDelivered || last.source != judge.Delivering || last.n != 3 {
		t.Fatalf("the rig says %+v and %+v", first, last)
	}
	x, err := g.e.Replay(t.Context(), g.target)
	if err != nil {
		t.Fatal(err)
	}
	for _, was := range all {
		v := x.To(was.at, stand)
		if got := (told{was.at, v.Source("complaints").State, v.Window("complaints", judge.Exposed, was.at.Add(-time.Hour), was.at).Count}); got != was {
			t.Errorf("it was %+v, replayed %+v", was, got)
		}
	}
}
