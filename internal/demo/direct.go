package demo

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// entry is a journal event in words.
type entry struct {
	Pos         int64
	Type        string
	At          time.Time
	Stage       int
	Rule        string
	Title, Text string
	Verdict     *struct{ Why string }

	stage string // name of the stage it happened in
}

// lookEvery is how often the director and the team look at the rollout.
const lookEvery = 60 * time.Millisecond

// patience is how long the demo waits for its end at most.
const patience = 15 * time.Minute

// direct watches the rollout, lets the team answer, breaks the new dashboard
// at a random moment of the 25 % stage, and returns the event that ended it.
func (d *demo) direct(ctx context.Context, t *team) (entry, error) {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	moment := 0.15 + 0.7*d.random.Float64() // share of the stage's bake
	var last entry
	for {
		v, err := t.look(limit, d.rollout)
		if err != nil {
			return entry{}, err
		}
		if err := d.news(limit, t, &last); err != nil {
			return entry{}, err
		}
		if v.ended() {
			d.out.done()
			last.stage = v.stage()
			return last, nil
		}
		d.progress(v)
		if d.Effect > 1 && v.stage() == breakAt && d.injected.IsZero() && v.State.Status == "running" {
			if st := v.Stages[v.State.Stage]; float64(st.Baked) >= moment*float64(st.Bake) {
				d.inject()
			}
		}
		if err := t.answer(limit, v); err != nil {
			return entry{}, err
		}
		if err := pause(limit, lookEvery); err != nil {
			return entry{}, err
		}
	}
}

// news prints what the journal has since the last look, oldest first, and
// remembers the last move in last.
func (d *demo) news(ctx context.Context, t *team, last *entry) error {
	var list []entry
	if err := t.admin.Call(ctx, http.MethodGet, "/rollouts/"+url.PathEscape(d.rollout)+"/timeline?limit=40", nil, &list); err != nil {
		return err
	}
	for i := len(list) - 1; i >= 0; i-- {
		e := list[i]
		if e.Pos <= d.seen {
			continue
		}
		d.seen = e.Pos
		d.out.journal(e)
		if e.Type == "rolled_back" || e.Type == "advanced" {
			*last = e
		}
	}
	return nil
}

// progress shows where the rollout is, on one line that is written over.
func (d *demo) progress(v view) {
	wait := ""
	if len(v.Waiting) > 0 {
		wait = "waits for " + v.Waiting[0].Text
	}
	d.out.status("%-8s %-14s %s   %d events acknowledged", v.State.Status, v.stage(), wait, d.tally.total())
}

// settle measures the rollback: when the deciding event was sent, when the
// first client and when the last one had the old dashboard back.
func (d *demo) settle(ctx context.Context, res *Result, end entry) {
	res.Outcome, res.Stage = outcomeCleanup, end.stage
	if end.Type != "rolled_back" {
		return
	}
	res.Outcome = outcomeRolledBack
	res.Rule = end.Rule
	if end.Verdict != nil {
		res.Why = end.Verdict.Why
	}
	verdict := d.Wall(end.At)
	first, last, on := d.switched(ctx, verdict)
	res.ClientsOnNew = on
	d.mu.Lock()
	defer d.mu.Unlock()
	res.HarmedUsers = len(d.harmed)
	if !d.injected.IsZero() {
		res.InjectToVerdictMS = milliseconds(verdict.Sub(d.injected))
	}
	if !d.firstBad.IsZero() {
		res.FirstBadToVerdictMS = milliseconds(verdict.Sub(d.firstBad))
	}
	deciding := d.firstBad
	for _, at := range d.lastBad {
		if at.After(deciding) && !at.After(verdict) {
			deciding = at
		}
	}
	if !deciding.IsZero() && !first.IsZero() {
		res.EventToFlagOffMS = milliseconds(first.Sub(deciding))
		res.EventToLastMS = milliseconds(last.Sub(deciding))
	}
}

// switchLimit is how long the demo waits for the last client.
const switchLimit = 10 * time.Second

// switched waits until no admin is on the new dashboard and returns when the
// first and the last of those who were had left it.
func (d *demo) switched(ctx context.Context, since time.Time) (first, last time.Time, clients int) {
	deadline := time.Now().Add(switchLimit)
	for {
		left := 0
		first, last, clients = time.Time{}, time.Time{}, 0
		for _, v := range d.crowd {
			on, off := v.state()
			if on {
				left++
			}
			if off.Before(since) {
				continue
			}
			clients++
			if first.IsZero() || off.Before(first) {
				first = off
			}
			if off.After(last) {
				last = off
			}
		}
		if left == 0 || time.Now().After(deadline) || pause(ctx, 5*time.Millisecond) != nil {
			return first, last, clients
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
