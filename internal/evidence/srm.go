package evidence

import (
	"serin/internal/judge"
	"serin/internal/stats"
)

const (
	// srmAlpha is the chance of a false alarm of sample ratio mismatch.
	srmAlpha = 0.001
	// srmUsers is where counting of an interval stops.
	srmUsers = 100_000
)

// sampleRatio counts, for each allocation interval of an attempt, the users
// first seen in it by assigned arm (docs/statistics.md, "Sample ratio
// mismatch"). It follows from the activity cells, so a restart finds it again.
// Users are not sampled: counting stops at srmUsers an interval.
type sampleRatio struct {
	attempt int
	sighted map[uint64]struct{}
	counts  map[int]*[2]int64 // interval -> new, old
}

// sight notes a user with an assigned arm.
func (s *sampleRatio) sight(attempt, interval int, group judge.Group, user uint64) {
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
	if n[0]+n[1] >= srmUsers {
		return
	}
	if _, known := s.sighted[user]; known {
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
