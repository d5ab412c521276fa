package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/panel"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// ReadPanel answers a panel over (from, to], both moved down to whole steps of
// panel.Step but for a to that is not past yet, in about points steps. The
// error wraps store.ErrNotFound for a panel that is not counted.
func (e *Engine) ReadPanel(key string, from, to time.Time, points int) (panel.Span, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	c := e.panels[key]
	switch {
	case c == nil:
		return panel.Span{}, fmt.Errorf("panel %s: %w", key, store.ErrNotFound)
	case e.broken:
		return panel.Span{}, fmt.Errorf("panel %s: %w", key, ErrUnavailable)
	}
	first, end := toMS(from)/panelStepMS, toMS(to)/panelStepMS
	if toMS(e.clock.Now())/panelStepMS == end {
		end++ // the step under way
	}
	out := panel.Span{Since: fromMS(c.since)}
	if points < 1 || end <= first {
		return out, nil
	}
	each := max(1, (end-first+int64(points)/2)/int64(points))
	sums := make([]panelCell, (end-first+each-1)/each)
	var total panelCell
	for name, steps := range c.groups {
		var of panelCell
		for step, cell := range steps {
			if at := fromMS((step + 1) * panelStepMS); at.After(out.Last) {
				out.Last = at
			}
			if step < first || step >= end {
				continue
			}
			read := cell.read()
			of = of.plus(read)
			i := (step - first) / each
			sums[i] = sums[i].plus(read)
		}
		total = total.plus(of)
		if len(c.panel.Query.By) > 0 && of.all > 0 {
			out.Groups = append(out.Groups, panel.Group{Name: name, Value: c.value(of)})
		}
	}
	out.Total = c.value(total)
	for i, sum := range sums {
		stop := fromMS(min(first+int64(i+1)*each, end) * panelStepMS)
		p := panel.Point{T: stop}
		if v := c.value(sum); toMS(stop) > c.since {
			p.Value = v.Value
		}
		out.Points = append(out.Points, p)
	}
	slices.SortFunc(out.Groups, func(a, b panel.Group) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(b.All, a.All), strings.Compare(a.Name, b.Name))
	})
	return out, nil
}

// read is the step with its fields, packed or not.
func (c *panelCell) read() panelCell {
	if c.packed == nil {
		return *c
	}
	in, err := decodePanelCell(c.packed)
	if err != nil { // never: check has read it
		return panelCell{}
	}
	return in
}

// value is what a sum of steps tells.
func (c *panelCounts) value(sum panelCell) panel.Value {
	v := panel.Value{N: sum.n, Fresh: sum.fresh, All: max(sum.all, sum.n), Users: int64(sum.users.estimate() + 0.5)}
	number := func(f float64) { v.Value = &f }
	a := c.panel.Query.Aggregate
	switch q, quantile := a.Quantile(); {
	case quantile && sum.sketch != nil:
		if f, ok := sum.sketch.Quantile(q); ok {
			number(f)
		}
	case quantile:
	case a.Fn == "avg":
		if sum.measured > 0 {
			number(sum.sum / float64(sum.measured))
		}
	case a.CountsUsers():
		number(float64(v.Users))
	default:
		number(float64(v.N))
	}
	return v
}

// panelRecord is a page load as panels count it, when it is sealed.
func panelRecord(p *pageLoad) *telemetry.Event {
	in := p.vault.open()
	ev := in.Load
	if ev == nil {
		ev = in.Seen
	}
	if ev == nil {
		if ev = in.Waiting; ev == nil {
			return nil
		}
	}
	out := *ev
	out.Kind, out.Received, out.Late = telemetry.KindPage, p.Due.Add(-sealAfter), false
	if in.Waiting != nil && in.Waiting != ev {
		out.Measurements = withVitals(out.Measurements, in.Waiting.Measurements)
	}
	return &out
}

// withVitals is the vitals of old with those of newer in their place.
func withVitals(old, newer map[string]float64) map[string]float64 {
	out := make(map[string]float64, len(old)+len(newer))
	for k, v := range old {
		out[k] = v
	}
	for k, v := range newer {
		out[k] = v
	}
	return out
}
