package backtest

import (
	"fmt"
	"time"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// RealEvents are the events of a journal within [from, to] as a result lists them.
func RealEvents(p *plan.Plan, journal []rollout.Event, from, to time.Time) []Event {
	out := []Event{}
	var s rollout.State
	for _, e := range journal {
		if !e.At.Before(from) && !e.At.After(to) && told(e, s) {
			out = append(out, event(p, e))
		}
		s = rollout.Apply(s, e)
	}
	return out
}

// Compare says how what a plan would have done differs from what happened.
func Compare(r Result) (out []string) {
	for _, k := range []struct{ kind, did, would string }{
		{string(rollout.RolledBackEvent), "rolled back", "rolls back"}, {string(rollout.ReducedEvent), "reduced", "reduces"},
	} {
		tried, really := first(r.Events, k.kind), first(r.Real, k.kind)
		switch {
		case tried == nil && really == nil:
		case really == nil:
			out = append(out, fmt.Sprintf("the plan %s at %s, by %s; really nothing was %s in that time", k.would, clock(tried.At), rule(*tried), k.did))
		case tried == nil && r.Ended.Before(really.At):
			out = append(out, fmt.Sprintf("really it was %s at %s; the plan had ended before", k.did, clock(really.At)))
		case tried == nil:
			out = append(out, fmt.Sprintf("really it was %s at %s, by %s; the plan does not", k.did, clock(really.At), rule(*really)))
		default:
			out = append(out, fmt.Sprintf("the plan %s at %s, by %s; really it was at %s, by %s: %s", k.would, clock(tried.At), rule(*tried), clock(really.At), rule(*really), apart(tried.At, really.At)))
		}
	}
	out = append(out, raises(r)...)
	if r.RealExposed > 0 && r.Exposed != r.RealExposed {
		out = append(out, fmt.Sprintf("until then %d users had the new variant; until the end of what was recorded %d", r.Exposed, r.RealExposed))
	}
	if len(out) == 0 {
		out = append(out, "no difference in rollbacks, reductions and raises")
	}
	return out
}

// raises compares when each share was reached.
func raises(r Result) (out []string) {
	for _, e := range r.Events {
		if e.Type != string(rollout.Advanced) {
			continue
		}
		when := ""
		for _, x := range r.Real {
			if x.Type == string(rollout.Advanced) && x.Exposure == e.Exposure {
				when = apart(e.At, x.At)
				break
			}
		}
		switch when {
		case "":
			out = append(out, fmt.Sprintf("the plan raises to %g%% at %s; really that was not reached", e.Exposure, clock(e.At)))
		case "at the same time":
		default:
			out = append(out, fmt.Sprintf("the plan raises to %g%% at %s: %s", e.Exposure, clock(e.At), when))
		}
	}
	return out
}

func first(list []Event, kind string) *Event {
	for i := range list {
		if list[i].Type == kind {
			return &list[i]
		}
	}
	return nil
}

func rule(e Event) string {
	if e.Rule != "" {
		return e.Rule
	}
	if e.By != "" {
		return e.By
	}
	return "serin"
}

func apart(tried, really time.Time) string {
	d := tried.Sub(really).Round(time.Minute)
	switch {
	case d.Abs() <= 2*time.Minute:
		return "at the same time"
	case d < 0:
		return length(-d) + " earlier"
	}
	return length(d) + " later"
}

// length writes whole minutes for people: "2h 28m", "3d 4h".
func length(d time.Duration) string {
	days, hours, minutes := d/(24*time.Hour), d%(24*time.Hour)/time.Hour, d%time.Hour/time.Minute
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	}
	return fmt.Sprintf("%dm", minutes)
}

func clock(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }
