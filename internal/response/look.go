package response

import (
	"slices"
	"time"

	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// lookBack is how far before the opening the first bad event is looked for.
const lookBack = time.Hour

// first is a reading at the opening: it looks for the first bad event.
func (e *Engine) first(r *Rollout, now time.Time) *incident.Reading {
	s := incident.State{OpenedAt: now}
	ev, err := e.o.Evidence.View(r.ID)
	if err == nil && r.Plan.Metrics["errors"] != nil {
		from := now.Add(-lookBack)
		if r.Place.AttemptBegan.After(from) {
			from = r.Place.AttemptBegan
		}
		for _, k := range e.all { // what came before was another incident's
			if k.state.Rollout == r.ID && k.state.ResolvedAt.After(from) {
				from = k.state.ResolvedAt
			}
		}
		for at := from.Truncate(time.Minute); at.Before(now); at = at.Add(time.Minute) {
			if ev.Window("errors", judge.Exposed, at, at.Add(time.Minute)).Count > 0 {
				s.Impact.FirstBad = at
				break
			}
		}
	}
	return e.read(r, s, now)
}

// read measures what an incident is about.
func (e *Engine) read(r *Rollout, s incident.State, now time.Time) *incident.Reading {
	out := &incident.Reading{Exposure: r.State.Exposure, Why: string(r.State.Status)}
	if d := s.Decided(); d != nil && d.Journal > 0 {
		out.Served = r.State.Lowering == nil || r.State.Lowering.Pos != d.Journal
	}
	if r.State.ReleaseAt.After(s.OpenedAt) {
		out.Release = r.State.Release
	}
	if e.passedOn(s) {
		out.Exposure, out.Release = s.Exposure, ""
	}
	for _, c := range r.State.Companions {
		if c.Incident == s.ID && c.Incident != "" {
			out.Companions = append(out.Companions, incident.Companion{Flag: c.Flag, To: c.To})
		}
	}
	out.Impact = incident.Impact{Exposure: r.State.Exposure, Users: r.Seen, FirstBad: s.Impact.FirstBad}
	ev, err := e.o.Evidence.View(r.ID)
	if err != nil {
		out.Impact.Why = "the evidence could not be read"
		out.Tree = incident.Tree(r.Plan, nil, out.Impact)
		return out
	}
	measure(&out.Impact, r, ev, s, now)
	in := r.Plan.Incident
	out.Tree = incident.Tree(r.Plan, verdicts(r, ev, now), out.Impact)
	if in.Severe != nil {
		v, _ := r.Judge(r.Plan, []*plan.Rule{in.Severe}, judge.Guard, r.Place, ev, nil, now)
		out.Severe = v[0].Status
	}
	return out
}

// passedOn reports whether a newer incident of the same rollout is there: what
// happens to the rollout is written into that one. The caller holds mu.
func (e *Engine) passedOn(s incident.State) bool {
	for _, id := range slices.Backward(e.order) {
		if e.all[id].state.Rollout == s.Rollout {
			return s.ID != "" && id != s.ID && s.Status != incident.Open
		}
	}
	return false
}

// measure counts the harm from the first bad event on, until it is resolved.
func measure(i *incident.Impact, r *Rollout, ev judge.Evidence, s incident.State, now time.Time) {
	from := s.Impact.FirstBad
	if from.IsZero() {
		from = s.OpenedAt
	}
	if !s.ResolvedAt.IsZero() {
		now = s.ResolvedAt
	}
	count := func(metric string, g judge.Group) judge.Window {
		if r.Plan.Metrics[metric] == nil {
			return judge.Window{}
		}
		return ev.Window(metric, g, from, now)
	}
	i.Known = true
	i.Affected = count("affected_users", judge.Exposed).Users
	i.P1 = count("p1", judge.Exposed).Count
	i.New, i.Old = count("errors", judge.AssignedNew).Count, count("errors", judge.AssignedOld).Count
	if d := ev.Data(); d.NoData {
		i.Known, i.Why = false, "the telemetry is silent"
	}
}

// verdicts answer the rules of the tree's branches.
func verdicts(r *Rollout, ev judge.Evidence, now time.Time) map[*plan.Rule]judge.Verdict {
	out := map[*plan.Rule]judge.Verdict{}
	for _, b := range r.Plan.Incident.Tree {
		if b.If == nil || b.If.Metric == incident.TrafficMetric {
			continue
		}
		asked := *b.If
		asked.For = 0 // what holds now is the question
		v, _ := r.Judge(r.Plan, []*plan.Rule{&asked}, judge.Guard, r.Place, ev, nil, now)
		out[b.If] = v[0]
	}
	return out
}

// owner is the role that owns the stage where a rollout stands, "" = none.
func owner(r *Rollout) string {
	if s := r.State; s.Stage >= 0 && s.Stage < len(r.Plan.Stages) && len(r.Plan.Stages[s.Stage].Owner) > 0 {
		return r.Plan.Stages[s.Stage].Owner[0]
	}
	return ""
}

// lead is the role from which an incident escalates: the stage's owner.
func lead(r *Rollout, s incident.State) string {
	if r == nil {
		return ""
	}
	if _, ok := r.Plan.Role(s.Lead); ok {
		return s.Lead
	}
	return owner(r)
}

// stage is the name of the stage where a rollout stands.
func stage(r *Rollout) string {
	if s := r.State; s.Status != rollout.Preflight && s.Stage >= 0 && s.Stage < len(r.Plan.Stages) {
		return r.Plan.Stages[s.Stage].Name
	}
	return ""
}
