package rollout

import (
	"slices"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

// The words of a data_quality event.
const (
	qualityOpen = "open"
	qualityGone = "gone"
)

// observe journals what the input shows: silence, blind guards, data
// quality, a check that is due, and facts.
func (d *decision) observe() {
	d.observeSilence()
	d.observeBlind()
	d.observeQuality()
	d.check()
	d.verify()
}

// silence is when the silence began, at the latest now. One that is on record
// keeps its beginning, unless a newer one has begun. Time that nobody
// lived through is no silence: a downtime, and a step of the clock, count
// neither towards a page nor towards the plan's rollback.
func (d *decision) silence() time.Time {
	since := d.in.Data.Since
	switch known := d.s.NoDataSince; {
	case known.After(since):
		since = known
	case known.IsZero() && !since.IsZero():
		since = since.Add(d.away)
	}
	if since.IsZero() || since.After(d.now) {
		return d.now
	}
	return since
}

func (d *decision) observeSilence() {
	if !d.in.Data.NoData {
		if !d.s.NoDataSince.IsZero() {
			e := d.event(DataBack)
			e.Since = d.s.NoDataSince
			d.emit(e)
		}
		return
	}
	if !live(d.s.Status) || d.s.Exposure == 0 {
		return
	}
	since := d.silence()
	if d.s.NoDataSince.IsZero() {
		e := d.event(NoData)
		e.Since = since
		d.emit(e)
	}
	if !d.s.NoDataPaged && d.now.Sub(since) >= d.p.Judge.NoData.After {
		e := d.event(NoData)
		e.Since, e.Paged = since, true
		d.emit(e)
	}
}

func (d *decision) observeBlind() {
	if !live(d.s.Status) || d.s.Exposure == 0 {
		return
	}
	for i := range d.in.Rollback {
		d.observeGuard(&d.in.Rollback[i])
	}
	for i := range d.in.Reduce {
		d.observeGuard(&d.in.Reduce[i])
	}
	for i := 0; i < len(d.s.Blind); i++ {
		if b := d.s.Blind[i]; d.sees(b.Rule) {
			e := d.event(Sighted)
			e.Rule, e.Since = b.Rule, b.Since
			d.emit(e)
			i--
		}
	}
}

// sees reports whether the guard is judged and not blind.
func (d *decision) sees(rule string) bool {
	judged := false
	for _, list := range [2][]judge.Verdict{d.in.Rollback, d.in.Reduce} {
		for i := range list {
			if list[i].Rule == rule {
				if isBlind(&list[i]) {
					return false
				}
				judged = true
			}
		}
	}
	return judged || !d.guardsUnjudged()
}

// observeGuard journals that a guard has become blind, and that this lasts.
// The failure began at the verdict's Since, or else one grace ago.
func (d *decision) observeGuard(v *judge.Verdict) {
	if !isBlind(v) {
		return
	}
	b := Blind{Rule: v.Rule, Since: v.Since}
	known := slices.IndexFunc(d.s.Blind, func(o Blind) bool { return o.Rule == v.Rule })
	if known >= 0 {
		b = d.s.Blind[known]
	} else {
		if b.Since.IsZero() {
			b.Since = d.now.Add(-d.p.Judge.NoData.Grace)
		}
		d.emitBlind(v, b)
	}
	if !b.Paged && d.now.Sub(b.Since) >= d.p.Judge.NoData.After {
		b.Paged = true
		d.emitBlind(v, b)
	}
}

func (d *decision) emitBlind(v *judge.Verdict, b Blind) {
	e := d.event(BlindEvent)
	e.Rule, e.Item, e.Since, e.Paged, e.Reason = b.Rule, v.Metric, b.Since, b.Paged, v.Why
	d.emit(e)
}

func (d *decision) observeQuality() {
	if !live(d.s.Status) || d.s.Exposure == 0 {
		return
	}
	for g := gateIncomplete; g <= gateJudge; g++ {
		kind := gateKinds[g]
		bad := d.doubtful(g)
		if bad == slices.Contains(d.s.Quality, kind) {
			continue
		}
		e := d.event(DataQuality)
		e.Kind, e.To = kind, qualityGone
		if bad {
			e.To = qualityOpen
			if g == gateUnattributed || g == gateJudge {
				e.Reason = d.detail(g)
			}
		}
		d.emit(e)
	}
}

// check journals the check that is due, once its verdicts are there.
func (d *decision) check() {
	if d.in.Checks == nil {
		return
	}
	at, entry, _ := nextCheck(d.p, &d.s, d.now)
	if at.IsZero() || at.After(d.now) {
		return
	}
	e := d.event(Checked)
	e.N, e.Verdicts = entry, slices.Clone(d.in.Checks)
	for i := range d.in.Checks {
		if v := &d.in.Checks[i]; v.Status == judge.NotMet && !v.Dry {
			e.Red = append(e.Red, v.Rule)
		}
	}
	d.emit(e)
}

// NextCheck says when the next check of the running, paused or reduced
// rollout is due, which entry of the stage's cadence it is, and how often that
// one is due. Checks lie on a grid that begins with the stage; those missed
// in a downtime are not made up for. A zero at = no check is to come.
func NextCheck(p *plan.Plan, s State, now time.Time) (at time.Time, entry int, every time.Duration) {
	return nextCheck(p, &s, now)
}

func nextCheck(p *plan.Plan, s *State, now time.Time) (at time.Time, entry int, every time.Duration) {
	if s.Exposure == 0 || s.Status != Running && s.Status != Paused && s.Status != Reduced || s.Stage >= len(p.Stages) {
		return time.Time{}, 0, 0
	}
	last := s.CheckedAt
	if last.Before(s.StageAt) {
		last = s.StageAt
	}
	entry, every, ok := p.CheckAt(s.Stage, last.Sub(s.StageAt))
	if !ok || every <= 0 {
		return time.Time{}, 0, 0
	}
	at = onGrid(s.StageAt, last, every)
	if now.Sub(at) < every {
		return at, entry, every
	}
	if e, ev, ok := p.CheckAt(s.Stage, now.Sub(s.StageAt)); ok && ev > 0 {
		entry, every = e, ev
	}
	return now, entry, every
}

// onGrid is the first point after last of the grid that begins at begin.
func onGrid(begin, last time.Time, every time.Duration) time.Time {
	return begin.Add((last.Sub(begin)/every + 1) * every)
}
