package evidence

import (
	"fmt"
	"time"

	"serin/internal/judge"
	"serin/internal/stats"
)

// srmAlpha is the chance of a false alarm of sample ratio mismatch.
const srmAlpha = 0.001

// sampleRatio counts, for each allocation interval of an attempt, the users
// first seen in it by assigned arm (docs/statistics.md, "Sample ratio
// mismatch"). It follows from the activity cells, so a restart finds it again.
// Of a busy site only a sample of users counts, see sampleBits.
type sampleRatio struct {
	attempt int
	sighted map[uint64]struct{}
	counts  map[int]*[2]int64 // interval -> new, old
}

// sight notes a user with an assigned arm.
func (r *rollout) sight(attempt, interval int, group judge.Group, user uint64) {
	s := &r.ratio
	if attempt != s.attempt || s.sighted == nil {
		*s = sampleRatio{attempt: attempt, sighted: map[uint64]struct{}{}, counts: map[int]*[2]int64{}}
	}
	if interval < 0 {
		return
	}
	n := s.counts[interval]
	if n == nil {
		n = new([2]int64)
		s.counts[interval] = n
	}
	if _, known := s.sighted[user]; known || n[0]+n[1] >= stats.SampleStop || !r.target.inSample(interval, user) {
		return
	}
	s.sighted[user] = struct{}{}
	n[side(group.Arm())]++
}

// mismatch reports whether the arms of some interval of the attempt are not
// filled as allocated. Intervals in which one arm has no share are passed over.
func (r *rollout) mismatch() bool {
	if r.ratio.attempt != r.target.Attempt {
		return false
	}
	for i, interval := range r.target.Intervals {
		n := r.ratio.counts[i]
		if n == nil || !(interval.Odds > 0) || interval.Odds > 1e6 {
			continue
		}
		share := interval.Odds / (1 + interval.Odds)
		if stats.SRM(n[:], []float64{share, 1 - share}) >= stats.SRMLimit(i+1, srmAlpha) {
			return true
		}
	}
	return false
}

// inSample reports whether a user counts in an allocation interval. The sample
// is drawn from the hash under which users are stored, so that a restart,
// which knows no names, draws it again.
func (t *Target) inSample(interval int, user uint64) bool {
	if interval >= len(t.sample) || t.sample[interval] == 0 {
		return true
	}
	return stats.InSample(stats.SampleHash(t.Split.Flag, fmt.Sprintf("%016x", user)), t.sample[interval])
}

// sampleDays is how many days before an interval tell how many users it brings.
const sampleDays = 7

// sampleBits fixes, for each allocation interval, how many bits of a user's
// sample hash must be 0: from the mean daily users of the week before it and
// the planned length of its stage, so that it depends on nothing that happens
// in it. Where no day before is kept, everybody is in the sample.
func (e *Engine) sampleBits(t Target) []int {
	out := make([]int, len(t.Intervals))
	for i, interval := range t.Intervals {
		last := dayOf(interval.From)
		users, seen := 0.0, map[int64]bool{}
		for _, at := range e.daily.between(t.Project, t.Plan.Environment, last-sampleDays, last) {
			users += at.Users.estimate()
			seen[at.Day] = true
		}
		days := 1.0
		if interval.Stage >= 0 && interval.Stage < len(t.Plan.Stages) {
			days = max(days, float64(t.Plan.Stages[interval.Stage].Bake)/float64(24*time.Hour))
		}
		if len(seen) > 0 {
			out[i] = stats.SampleBits(users / float64(len(seen)) * days)
		}
	}
	return out
}
