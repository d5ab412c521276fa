package dashboard

import (
	"fmt"
	"time"

	"serin/internal/panel"
	"serin/internal/plan"
)

// metric answers a panel that shows a metric of the plan: counts of both arms
// together, of everything else the canary's value.
func (d *Dashboard) metric(r Rollout, out *PanelView, v View) {
	m := r.Plan.Metrics[out.Metric]
	if m == nil {
		out.Problem = fmt.Sprintf("the plan has no metric %s", out.Metric)
		return
	}
	counted := m.User && (m.Kind == plan.Count || m.Kind == plan.Users)
	out.Unit, out.Read = m.Unit, m.Title+", on new"
	if counted {
		out.Read = m.Title + ", both arms"
	} else if !m.User {
		out.Read = m.Title
	}
	now, err := d.o.Metric(r.Rollout, out.Metric, counted, v.From, v.To, points)
	if err != nil {
		out.Problem = err.Error()
		return
	}
	for _, p := range now {
		out.T, out.Values = append(out.T, p.T.Unix()), append(out.Values, p.Value)
	}
	out.Now = d.whole(r, out.Metric, v.From, v.To, counted)
	for i := len(now) - 1; i >= 0 && out.Last.IsZero(); i-- {
		if value := now[i].Value; value != nil && (*value != 0 || !counted) {
			out.Last = now[i].T
		}
	}
	for _, t := range r.Plan.Dashboard.Targets {
		for _, rule := range t.Rules {
			if rule.Metric == out.Metric && rule.Ref == plan.None {
				out.Limit = &rule.Value
			}
		}
	}
	if out.Earlier == 0 {
		return
	}
	was := d.whole(r, out.Metric, v.From.Add(-out.Earlier), v.To.Add(-out.Earlier), counted)
	if was.Value != nil {
		out.Was = &was
	}
	before, err := d.o.Metric(r.Rollout, out.Metric, counted, v.From.Add(-out.Earlier), v.To.Add(-out.Earlier), points)
	if err != nil {
		return
	}
	for i := range min(len(before), len(out.T)) {
		out.Before = append(out.Before, before[i].Value)
	}
}

// whole is a metric over the whole of a span.
func (d *Dashboard) whole(r Rollout, metric string, from, to time.Time, counted bool) panel.Value {
	found, err := d.o.Metric(r.Rollout, metric, counted, from, to, 1)
	if err != nil || len(found) == 0 {
		return panel.Value{}
	}
	v := panel.Value{Value: found[0].Value}
	if v.Value != nil && counted {
		v.N = int64(*v.Value)
	}
	return v
}
