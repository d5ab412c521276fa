package rollout

import (
	"time"

	"serin/internal/plan"
)

// bakeEvery is how often bake is journalled at most by itself.
const bakeEvery = 5 * time.Minute

// The keys of State.Account that are no status.
const (
	accountBake   = "bake"
	accountDown   = "down"
	accountNoData = "waiting:no data"
)

// slice is the time since the last event, taken apart.
type slice struct {
	total time.Duration // wall time
	grown time.Duration // what bake grows by
	down  time.Duration // nobody looked: the process was down, or the clock was stepped
	rest  time.Duration // the remainder
}

// since takes the time since the last event apart: bake grows by the least of
// wall, monotonic and covered time, up to the stage's bake. A step of the
// clock and an uncovered downtime add nothing.
func (d *decision) since() slice {
	t := slice{total: d.now.Sub(d.s.At)}
	if d.s.Status != Running || t.total <= 0 {
		return slice{}
	}
	covered := min(max(d.in.Covered, 0), t.total)
	seen := covered
	if !d.in.Fresh {
		seen = min(max(d.in.Mono-d.s.Mono, 0), t.total)
		covered = min(covered, seen)
	}
	if d.in.Data.NoData && !d.s.NoDataSince.IsZero() {
		covered = 0
	}
	t.grown = min(covered, max(0, d.stage().Bake-d.s.Bake))
	t.down = t.total - seen
	t.rest = seen - t.grown
	return t
}

// baked is the stage's bake as of now, journalled or not.
func (d *decision) baked() time.Duration { return d.s.Bake + d.since().grown }

// settle journals the time since the last event. It comes before every other
// event of a running rollout.
func (d *decision) settle() {
	t := d.since()
	e := d.event(Baked)
	e.Duration, e.To = t.grown, d.accountKey()
	if d.s.Bake+t.grown >= d.stage().Bake {
		e.N = 1
	}
	e.Kind = d.s.Waiting
	if e.Kind == accountBake || e.Kind == "" {
		e.Kind = accountNoData
		if e.N == 1 {
			e.Kind = e.To
		}
	}
	if t.total > 0 {
		e.Account = make(map[string]time.Duration, 3)
		add(e.Account, accountBake, t.grown)
		add(e.Account, accountDown, t.down)
		add(e.Account, e.Kind, t.rest)
	}
	d.append(e)
	d.in.Fresh = false
}

func add(account map[string]time.Duration, key string, d time.Duration) {
	if d > 0 {
		account[key] += d
	}
}

// unsettled reports whether the time since the last event should be
// journalled even though nothing else happens.
func (d *decision) unsettled() bool {
	if d.s.Status != Running {
		return false
	}
	if d.in.Fresh || d.now.Sub(d.s.At) >= bakeEvery {
		return true
	}
	if d.s.BakeEnd.IsZero() && d.baked() >= d.stage().Bake {
		return true
	}
	return d.now.After(d.s.At) && d.accountKey() != d.s.Waiting
}

// accountKey is where the time goes that is not bake: the main reason to wait.
func (d *decision) accountKey() string {
	g := d.first()
	if g == open || g == gateBake {
		return accountBake
	}
	return accountKeys[d.kind(g)]
}

// statusKey is where the time of a rollout goes that does not run; "" is
// nowhere: before start and after the end.
func statusKey(s Status) string {
	switch s {
	case Paused, Reduced, RolledBack, Cleanup:
		return string(s)
	}
	return ""
}

// AccountAt is s.Account with the time up to now that is not journalled yet:
// its parts sum to the wall time since the start, or until the end.
func AccountAt(p *plan.Plan, s State, in Input) map[string]time.Duration {
	d := begin(p, s, in)
	if d.s.Status == Running {
		d.settle()
		return d.s.Account
	}
	total := d.now.Sub(d.s.At)
	if key := statusKey(d.s.Status); key != "" && total > 0 {
		return spend(d.s.Account, map[string]time.Duration{key: total})
	}
	return d.s.Account
}
