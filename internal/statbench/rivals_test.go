package statbench

import "math"

// fixedLimits are those of the plan this project began with: more than five
// errors of the new variant in ten minutes, more than five p1 in an hour, more
// than ten p1 in a stage.
type fixedLimits struct{ hour, stage, at int32 }

func (f *fixedLimits) see(w *world) bool {
	now := w.now()
	if int(f.at) != w.stage {
		f.stage, f.at = 0, int32(w.stage)
	}
	s := w.slots[now-1]
	errors := s.events[fresh]
	if now > 1 {
		errors += w.slots[now-2].events[fresh]
	}
	f.hour, f.stage = f.hour+s.p1, f.stage+s.p1
	if now > slotsAnHour {
		f.hour -= w.slots[now-1-slotsAnHour].p1
	}
	return errors > 5 || f.hour > 5 || f.stage > 10
}

// failedChecks counts, as progressive-delivery controllers do, the checks of a
// stage at which the new variant's rate over the last hour is more than 1.5
// times control's, with five affected users or more, and rolls back at the fifth.
type failedChecks struct{ failed, stage int }

func (f *failedChecks) see(w *world) bool {
	const limit, threshold, fewest = 1.5, 5, 5
	if !w.due() {
		return false
	}
	if f.stage != w.stage {
		f.failed, f.stage = 0, w.stage
	}
	n := w.affected(w.now()-slotsAnHour, w.now())
	share := w.leg().share
	if n[fresh] >= fewest && float64(n[fresh])*(1-share) > limit*float64(n[old])*share {
		f.failed++
	}
	return f.failed >= threshold
}

// repeatedZ is the z-test of a textbook at p < 0.01, one-sided, on the incidents
// of the stage, at every check.
type repeatedZ struct {
	seen  [2]int64
	stage int
}

func (z *repeatedZ) see(w *world) bool {
	const critical = 2.326
	if z.stage != w.stage {
		z.seen, z.stage = [2]int64{}, w.stage
	}
	s := w.slots[w.now()-1]
	z.seen[fresh], z.seen[old] = z.seen[fresh]+int64(s.units[fresh]), z.seen[old]+int64(s.units[old])
	if !w.due() {
		return false
	}
	n, share := float64(z.seen[fresh]+z.seen[old]), w.leg().share
	return n > 0 && float64(z.seen[fresh])-n*share > critical*math.Sqrt(n*share*(1-share))
}
