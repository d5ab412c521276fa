package controller_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// judgeOf is a version of the judge that signs its verdicts; it takes traffic
// back whenever trips is set.
func judgeOf(version int, mark string, trips *atomic.Bool) judge.Release {
	return judge.Release{Version: version, What: "a test's", Levels: judge.Levels,
		Judge: func(p *plan.Plan, rules []*plan.Rule, use judge.Use, place judge.Place, ev judge.Evidence, held judge.Held, now time.Time) ([]judge.Verdict, judge.Held) {
			out, held := judge.Judge(p, rules, use, place, ev, held, now)
			for i := range out {
				out[i].Why = mark + out[i].Why
				if trips != nil && trips.Load() && use == judge.Guard {
					out[i].Status, out[i].Cause = judge.Met, judge.CauseNone
				}
			}
			return out, held
		}}
}

// upgrade ends the process and starts one with these versions of the judge.
func (r *rig) upgrade(to judge.Releases) {
	r.Helper()
	r.judges = to
	r.restart()
}

// judgedBy expects the mark of a version on the newest verdicts, and the version.
func (r *rig) judgedBy(mark string, version int) {
	r.Helper()
	v := r.view()
	if len(v.Rollback) == 0 {
		r.Fatalf("no rollback rule was judged")
	}
	for _, verdict := range v.Rollback {
		if !strings.HasPrefix(verdict.Why, mark) {
			r.Errorf("at %s %s was judged as %q, want the judge of %q", r.now(), verdict.Rule, verdict.Why, mark)
		}
	}
	if got := v.State.JudgeVersion(); got != version {
		r.Errorf("at %s the attempt is under version %d of the judge, want %d", r.now(), got, version)
	}
}

// TestAttemptKeepsItsJudge: an upgrade to a program with a newer judge leaves
// a running attempt under the version it began with; the next attempt is under
// the newer one.
func TestAttemptKeepsItsJudge(t *testing.T) {
	one, two := judgeOf(1, "one: ", nil), judgeOf(2, "two: ", nil)
	bubble(t, func(r *rig) {
		r.upgrade(judge.Releases{one})
		r.lead(rollout.Start)
		r.drive("0:20")
		r.judgedBy("one: ", 1)
		r.upgrade(judge.Releases{one, two})
		r.drive("2:20")
		r.judgedBy("one: ", 1)
		r.exposure(25) // it went on and was raised under version 1
		if raised := r.of(rollout.Advanced); len(raised) != 1 || !strings.HasPrefix(raised[0].Verdicts[0].Why, "one: ") {
			t.Errorf("raised %d times, want once on the word of version 1", len(raised))
		}
		r.lead(rollout.Rollback)
		r.drive("3:00")
		r.lead(rollout.Restart, cause("mended"))
		r.drive("3:10")
		r.judgedBy("two: ", 2)
		r.restart() // what the journal says, not what the process remembered
		r.drive("3:20")
		r.judgedBy("two: ", 2)
		if s := rollout.Fold(r.journal()); s.Judge != 2 {
			t.Errorf("the journal comes to version %d, want 2", s.Judge)
		}
		r.explainAll()
	}, "rollback: [", "actions: { restart: { from: c10, after: 0m, needs: [cause] } }\nrollback: [")
}

// TestJudgeThatIsGone: a program without the attempt's version judges the
// rollback rules by its newest, and raises nothing until a person accepts that.
func TestJudgeThatIsGone(t *testing.T) {
	bubble(t, func(r *rig) {
		r.upgrade(judge.Releases{judgeOf(1, "one: ", nil)})
		r.lead(rollout.Start)
		r.drive("0:20")
		var trips atomic.Bool
		r.upgrade(judge.Releases{judgeOf(3, "three: ", &trips)})
		r.drive("2:30")
		r.judgedBy("three: ", 1)
		r.exposure(10)
		r.waiting("judge version 1 is not in this serin, 3 judges")
		r.refused(409, "accept it with a reason", "lead", rollout.Promote, reason("in a hurry"))
		opened := r.of(rollout.DataQuality)
		if len(opened) != 1 || opened[0].Kind != "judge version" || opened[0].To != "open" {
			t.Errorf("journalled %+v, want once that the judge version is missing", opened)
		}
		r.lead(rollout.Accept, reason("the tests did not change for us"))
		r.drive("2:35")
		r.judgedBy("three: ", 3)
		r.exposure(25)
		trips.Store(true)
		r.drive("2:40")
		r.exposure(0)
		r.explainAll()
	})
}

// TestJudgeThatIsGoneStillGuards: what nobody has accepted still takes traffic
// back, and a resume after a reduction begins under the newest version.
func TestJudgeThatIsGoneStillGuards(t *testing.T) {
	bubble(t, func(r *rig) {
		r.upgrade(judge.Releases{judgeOf(1, "one: ", nil)})
		r.lead(rollout.Start)
		r.drive("0:20")
		var trips atomic.Bool
		r.upgrade(judge.Releases{judgeOf(3, "three: ", &trips)})
		r.drive("0:30")
		r.lead(rollout.Reduce, percent(2000))
		r.drive("0:40")
		r.lead(rollout.Resume)
		r.drive("0:50")
		r.judgedBy("three: ", 3)
		r.upgrade(judge.Releases{judgeOf(4, "four: ", &trips)})
		trips.Store(true)
		r.drive("1:00")
		r.exposure(0)
	})
}
