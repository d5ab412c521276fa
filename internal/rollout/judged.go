package rollout

import (
	"fmt"

	"serin/internal/judge"
)

// Which version of the judge an attempt is under. It is the newest that the
// program had when the attempt began (State.Judge), also after an upgrade. A
// program that does not have it any more judges by its newest and says so: no
// raise until a person accepts that, which puts the attempt under the newest.

// kindJudge is the kind of waiting for that.
const kindJudge = "judge version"

// judgeGone reports whether the attempt's version is not in the program.
func (d *decision) judgeGone() bool {
	return d.in.JudgeGone && d.s.Attempt > 0 && d.s.JudgeVersion() != max(d.in.Judge, judge.FirstVersion)
}

// judgeText says which version is missing and which judges in its place.
func (d *decision) judgeText() string {
	return fmt.Sprintf("%d is not in this serin, %d judges", d.s.JudgeVersion(), max(d.in.Judge, judge.FirstVersion))
}

// JudgeVersion is the version of the judge that the attempt is under.
func (s *State) JudgeVersion() int { return max(s.Judge, judge.FirstVersion) }

// keepJudge takes over the version that e puts the attempt under.
func (s *State) keepJudge(e Event) {
	switch {
	case e.Type == Started || e.Type == Restarted, e.Judge > 0:
		s.Judge = e.Judge
	}
}
