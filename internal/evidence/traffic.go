package evidence

import (
	"fmt"
	"math"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/simulate"
)

// Traffic is what the audience of a project's plan did in the hours of its
// baseline, for a simulation: what this server measured, without imported hours,
// which count users and not events. id is the plan's rollout whose baseline it
// is, "" = one that would start now. The error says that a filter of the plan
// cannot be read.
func (e *Engine) Traffic(project string, p *plan.Plan, id string) (simulate.Measured, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	v, err := e.lookAt(project, id, p, e.clock.Now())
	if err != nil {
		return simulate.Measured{}, fmt.Errorf("traffic of plan %s: %w", p.Name, err)
	}
	out := simulate.Measured{Hours: map[string][]judge.Hour{}}
	var first, last time.Time
	for name := range v.r.byName {
		var hours []judge.Hour
		for _, h := range v.historyOf(name).Before {
			if h.Source == "" {
				hours = append(hours, h)
			}
		}
		if len(hours) == 0 {
			continue
		}
		out.Hours[name] = hours
		if begin := hours[0].Begin; first.IsZero() || begin.Before(first) {
			first = begin
		}
		if end := hours[len(hours)-1].Begin.Add(time.Hour); end.After(last) {
			last = end
		}
	}
	if !first.IsZero() {
		out.Users = v.people(first, last)
	}
	return out, nil
}

// people are the distinct users in whole hours, an estimate: of the rollout's own
// audience, or of everybody in the plan's environment, whichever are more, as
// the hours of metrics are taken.
func (v *view) people(from, to time.Time) float64 {
	first, end := toMS(from)/hourMS, toMS(to)/hourMS
	own := v.r.peek(seriesActive, int(judge.AssignedOld)).window(toMS(from), toMS(v.now)).Users // exact up to now only
	if !everybody(v.r.target.Plan) {
		return float64(own)
	}
	var all distinct
	project, env := v.r.target.Project, v.r.target.Plan.Environment
	for _, name := range []string{regionOf(project, env), regionOf(project, "")} {
		ring := v.e.hours.rings[name]
		if ring == nil {
			continue
		}
		for number := max(first, end-keptHours, 0); number < end; number++ {
			if at := ring[number%keptHours]; at != nil && at.Hour == number {
				all = all.merge(at.Users)
			}
		}
	}
	return max(float64(own), math.Round(all.estimate()))
}
