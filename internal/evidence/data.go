package evidence

import (
	"time"

	"serin/internal/judge"
)

const (
	// expectedEvents is how many events the same hours of the days before must
	// have brought on average for a silence to be improbable.
	expectedEvents = 7
	// silenceDays is how many days back silence is compared with.
	silenceDays = 7
	// lossShare is the share of lost events, of the last hour, above which the
	// data is incomplete. One lost packet in a thousand must not stop a rollout.
	lossShare = 0.01
)

// data is the state of the telemetry as a whole. Shares are of the events in
// scope since the stage began.
func (v *view) data() judge.Data {
	r, now := v.r, toMS(v.now)
	var d judge.Data
	d.Last = fromMS(r.scopeAt)
	v.silence(&d, now)

	stage := toMS(v.r.target.StageAt)
	if v.r.target.StageAt.IsZero() {
		stage = now - hourMS
	}
	d.Attributed = r.sum(seriesKnown, stage, now)
	d.Reported, d.Both = r.sum(seriesReported, stage, now), r.sum(seriesBoth, stage, now)
	d.Unattributable = r.sum(seriesNoArm, stage, now)
	d.Unattributed = ratio(d.Unattributable, d.Attributed+d.Unattributable)
	d.Conflicts = ratio(r.sum(seriesConflict, stage, now), d.Attributed)
	d.NotCounted = r.sum(seriesSkipped, stage, now)
	lost := r.sum(seriesLost, now-hourMS, now)
	d.Incomplete = lost > 0 && ratio(lost, lost+r.sum(seriesScope, now-hourMS, now)) > lossShare

	d.Mismatch = r.mismatch() || r.loss.Mismatch && r.loss.Attempt == r.target.Attempt
	d.LossByArm = r.loss.Unequal && r.loss.Attempt == r.target.Attempt

	from := v.r.target.AttemptAt
	if from.IsZero() {
		from = v.now.Add(-time.Hour)
	}
	d.Exposed = v.active(judge.AssignedNew, from, v.now)
	d.ControlUsers = v.active(judge.AssignedOld, from, v.now)
	return d
}

// silence tells quiet from no data.
func (v *view) silence(d *judge.Data, now int64) {
	r, grace := v.r, v.r.grace()
	if r.aliveAt == 0 || now-r.aliveAt > grace {
		d.NoData, d.Since = true, fromMS(r.aliveAt)
		if r.aliveAt == 0 {
			d.Since = v.r.target.AttemptAt
		}
		return
	}
	if r.scopeAt != 0 && now-r.scopeAt <= grace {
		return
	}
	d.Quiet = true
	if r.scopeAt != 0 && r.expected(r.scopeAt, now) >= expectedEvents {
		d.Quiet, d.NoData, d.Since = false, true, fromMS(r.scopeAt)
	}
}

// expected is the mean number of events in scope in the same span of the days
// before, of those days on which the rollout was already watched.
func (r *rollout) expected(from, to int64) float64 {
	s := r.peek(seriesScope, 0)
	if s == nil || len(s.hours) == 0 {
		return 0
	}
	const dayMS = 24 * hourMS
	first := s.hours[0].first
	var n, days int64
	for i := int64(1); i <= silenceDays; i++ {
		if from-i*dayMS < first-hourMS {
			break
		}
		n += s.countIn(from-i*dayMS, to-i*dayMS)
		days++
	}
	return ratio(n, days)
}

func (r *rollout) sum(metric string, from, to int64) int64 {
	s := r.peek(metric, 0)
	if s == nil {
		return 0
	}
	if to >= s.newest {
		to = openEnd
	}
	return s.countIn(from, to)
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// covered is the part of (from, to] in which the pipeline was alive: from the
// first sign of life on, without the gaps beyond grace.
func (r *rollout) covered(from, to, now int64) time.Duration {
	s := r.peek(seriesAlive, 0)
	if s == nil || len(s.hours) == 0 {
		return 0
	}
	from, to = max(from, s.hours[0].first), min(to, now)
	if end := r.aliveAt + r.grace(); to > end {
		to = end
	}
	if to <= from {
		return 0
	}
	total := to - from
	for i := len(r.gaps) - 1; i >= 0 && r.gaps[i].to > from; i-- {
		total -= max(0, min(r.gaps[i].to, to)-max(r.gaps[i].from, from))
	}
	return time.Duration(total) * time.Millisecond
}
