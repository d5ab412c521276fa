package demo

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
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
	seen := int64(0)
	for {
		v, err := t.look(limit, d.rollout)
		if err != nil {
			return entry{}, err
		}
		entries, err := d.news(limit, t, &seen)
		if err != nil {
			return entry{}, err
		}
		for i := range entries {
			if e := entries[i]; e.Type == "rolled_back" || e.Type == "advanced" && v.ended() && i == len(entries)-1 {
				d.out.done()
				return e, nil
			}
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

// news prints what the journal has since the last look, oldest first.
func (d *demo) news(ctx context.Context, t *team, seen *int64) ([]entry, error) {
	var list []entry
	if err := t.admin.Call(ctx, http.MethodGet, "/rollouts/"+url.PathEscape(d.rollout)+"/timeline?limit=40", nil, &list); err != nil {
		return nil, err
	}
	var fresh []entry
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].Pos > *seen {
			*seen = list[i].Pos
			fresh = append(fresh, list[i])
			d.out.journal(list[i])
		}
	}
	return fresh, nil
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
	res.Outcome = map[bool]string{true: "rolled_back", false: "cleanup"}[end.Type == "rolled_back"]
	res.Stage = strconv.Itoa(end.Stage)
	if v, err := d.API(d.Admin), error(nil); err == nil {
		var w view
		if v.Call(ctx, http.MethodGet, "/rollouts/"+url.PathEscape(d.rollout), nil, &w) == nil && end.Stage < len(w.Stages) {
			res.Stage = w.Stages[end.Stage].Name
		}
	}
	if end.Type != "rolled_back" {
		return
	}
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
		res.FirstBadToVerdict = milliseconds(verdict.Sub(d.firstBad))
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
