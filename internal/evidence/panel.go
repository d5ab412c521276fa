package evidence

import (
	"context"
	"fmt"
	"strings"
	"time"

	"serin/internal/panel"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// Panels of plans are counted as events arrive, whether or not a rollout is
// under way, so that the days before a start are there to compare with. Each
// has steps of panel.Step, a series for each group, stored as cells under the
// panel's key and written with the events that changed them. Page loads are
// counted when they are sealed, with all their vitals; a session is counted
// when it first fits the search; late events at their own time.

const (
	longestGroup = 120 // bytes of a group's name
	panelPrefix  = "panel:"
	panelSince   = "~panel " // and a panel's key: since when it is counted, "" = no longer
	panelStepMS  = int64(panel.Step / time.Millisecond)
	stepMinutes  = int64(panel.Step / time.Minute)
)

// panelCounts is what the engine holds for one panel. Engine.mu guards it.
type panelCounts struct {
	panel  panel.Panel
	base   telemetry.Filter // of what shares are told of
	shared bool
	users  bool // distinct users are counted
	since  int64
	groups map[string]map[int64]*panelCell // by group and step
	dirty  []dirtyPanel
}

type dirtyPanel struct {
	group string
	step  int64
	cell  *panelCell
}

func newPanelCounts(p panel.Panel) *panelCounts {
	c := &panelCounts{panel: p, groups: map[string]map[int64]*panelCell{}}
	c.base, c.shared = p.Query.Base()
	c.users = p.Query.Aggregate.CountsUsers() || p.Query.Dataset == telemetry.Events || p.Query.Dataset == telemetry.Feedback
	return c
}

// WatchPanels makes list the panels that are counted, at most panel.Max; those
// beyond are not. What was counted for the same question is read from the
// store. Panels of issues and those without a question are left out: they need
// no counting.
func (e *Engine) WatchPanels(ctx context.Context, list []panel.Panel) error {
	e.commit.Lock()
	defer e.commit.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.ready(ctx); err != nil {
		return fmt.Errorf("watch panels: %w", err)
	}
	next := map[string]*panelCounts{}
	var b batch
	b.now = e.clock.Now()
	for _, p := range list {
		if !p.Counted() || next[p.Key] != nil || len(next) >= panel.Max {
			continue
		}
		if next[p.Key] = e.panels[p.Key]; next[p.Key] == nil {
			c, err := e.loadPanel(ctx, p)
			if err != nil {
				return fmt.Errorf("watch panels: %w", err)
			}
			next[p.Key] = c
		}
		c := next[p.Key]
		if old, ok := e.values[panelSince+p.Key]; ok && old.Text != "" {
			continue
		}
		c.since = toMS(b.now)
		e.setValue(&b, store.KeyValue{Key: panelSince + p.Key, Value: store.Value{Text: b.now.UTC().Format(time.RFC3339), At: b.now}})
	}
	for key := range e.panels {
		if next[key] == nil {
			e.setValue(&b, store.KeyValue{Key: panelSince + key, Value: store.Value{At: b.now}})
		}
	}
	if !b.empty() {
		if err := e.store.AppendEvidence(ctx, b.Batch); err != nil {
			e.broken = true
			return fmt.Errorf("watch panels: %w", err)
		}
	}
	e.panels = next
	e.loads.measured = false
	for _, c := range next {
		e.loads.measured = e.loads.measured || c.panel.Query.Dataset == telemetry.PageLoads
	}
	return nil
}

// loadPanel reads what was counted for a panel. The caller holds commit and mu.
func (e *Engine) loadPanel(ctx context.Context, p panel.Panel) (*panelCounts, error) {
	c := newPanelCounts(p)
	if since, err := time.Parse(time.RFC3339, e.values[panelSince+p.Key].Text); err == nil {
		c.since = toMS(since)
	}
	oldest := toMS(e.clock.Now().Add(-panel.Kept)) / minuteMS
	err := e.store.LoadCells(ctx, panelPrefix+p.Key, oldest, func(row store.Cell) error {
		cell := &panelCell{packed: append([]byte(nil), row.Data...)}
		if err := cell.check(); err != nil {
			return fmt.Errorf("step of minute %d: %w", row.Minute, err)
		}
		c.steps(row.Metric)[row.Minute/stepMinutes] = cell
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read panel %s: %w", p.Key, err)
	}
	return c, nil
}

func (c *panelCounts) steps(group string) map[int64]*panelCell {
	s := c.groups[group]
	if s == nil {
		s = map[int64]*panelCell{}
		c.groups[group] = s
	}
	return s
}

// panelAdd counts a record for every panel that asks for it.
func (e *Engine) panelAdd(b *batch, ev *telemetry.Event) {
	for _, c := range e.panels {
		q := &c.panel.Query
		if !q.Dataset.Holds(ev.Kind) || !sameProject(c.panel.Project, ev.Project) {
			continue
		}
		found := q.Filter.Match(ev, ev.Received)
		if !found && !(c.shared && c.base.Match(ev, ev.Received)) || ev.Kind == telemetry.KindSession && !e.firstSession(b, c, ev) {
			continue
		}
		e.panelCount(b, c, ev, found)
	}
}

// firstSession reports whether a session was not counted for the panel yet. One
// that is heard of again after the memory for ids counts again.
func (e *Engine) firstSession(b *batch, c *panelCounts, ev *telemetry.Event) bool {
	if ev.Session == nil || ev.Session.ID == "" {
		return true
	}
	h := eventHash(ev.Project, c.panel.Key+"/"+ev.Session.ID)
	if e.seen.add(h, b.now) {
		return false
	}
	b.Seen = append(b.Seen, store.Seen{Hash: h, At: b.now})
	return true
}

// panelCount counts one record; found is false for one that only a share is told of.
func (e *Engine) panelCount(b *batch, c *panelCounts, ev *telemetry.Event, found bool) {
	at := ev.Received
	if ev.Late {
		at = ev.Time
	}
	step := toMS(at) / panelStepMS
	if step < toMS(b.now.Add(-panel.Kept))/panelStepMS || step > toMS(b.now)/panelStepMS {
		return
	}
	group := c.group(ev)
	steps := c.steps(group)
	cell := steps[step]
	if cell == nil {
		cell = &panelCell{}
		steps[step] = cell
	}
	cell.open()
	n := ev.Times()
	if ev.Kind == telemetry.KindSession && ev.Session != nil {
		n = int64(max(ev.Session.Count, 1))
	}
	cell.all += n
	if found {
		cell.count(c, ev, n, e.freshOf(c.panel.Flag, ev))
	}
	if !cell.dirty {
		cell.dirty = true
		c.dirty = append(c.dirty, dirtyPanel{group, step, cell})
	}
}

// count adds a record that was found.
func (cell *panelCell) count(c *panelCounts, ev *telemetry.Event, n int64, fresh bool) {
	cell.n += n
	if fresh {
		cell.fresh += n
	}
	user := ev.User
	if user == "" {
		user = ev.SessionUser
	}
	if c.users && user != "" {
		cell.users = cell.users.add(dailyHash(user))
	}
	a := c.panel.Query.Aggregate
	if !a.Measures() {
		return
	}
	value, ok := ev.Number(a.Field)
	if !ok || value != value {
		return
	}
	cell.measured, cell.sum = cell.measured+n, cell.sum+value*float64(n)
	if _, quantile := a.Quantile(); quantile {
		cell.sketch = addTo(cell.sketch, value)
	}
}

// freshOf reports whether an event is known to be of the new variant of a
// flag that a watched rollout moves.
func (e *Engine) freshOf(flagKey string, ev *telemetry.Event) bool {
	for _, r := range e.rollouts {
		if r.target.Split.Flag == flagKey && r.of(ev) && r.attr.InEnvironment(ev) {
			return telemetry.Attribute(&r.attr, ev, r.members.has).Arm() == telemetry.New
		}
	}
	return false
}

// group is the group of a record; beyond the bound all are one.
func (c *panelCounts) group(ev *telemetry.Event) string {
	by := c.panel.Query.By
	if len(by) == 0 {
		return ""
	}
	parts := make([]string, len(by))
	for i, key := range by {
		value, ok := ev.Field(key)
		if !ok || value == "" {
			value = panel.None
		} else if key == "url.path" {
			value = pathForm(value)
		}
		parts[i] = value
	}
	name := cutText(strings.Join(parts, ", "), longestGroup)
	if c.groups[name] == nil && len(c.groups) >= panel.MaxGroups-1 {
		return panel.Others
	}
	return name
}

// cutText cuts a text to at most n bytes, between characters.
func cutText(s string, n int) string {
	if len(s) <= n {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s[:n], "")
}

// pathForm is a path with :id in place of numbers and long hexadecimal names,
// so that the pages of one kind are one group.
func pathForm(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		digits := p != "" && strings.Trim(p, "0123456789") == ""
		if digits || len(p) >= 16 && strings.Trim(p, "0123456789abcdefABCDEF-") == "" {
			parts[i] = ":id"
		}
	}
	return strings.Join(parts, "/")
}

// collectPanels moves changed steps into the batch.
func (e *Engine) collectPanels(b *batch) {
	for key, c := range e.panels {
		for _, d := range c.dirty {
			d.cell.dirty = false
			b.Cells = append(b.Cells, store.Cell{Rollout: panelPrefix + key, Metric: d.group, Minute: d.step * stepMinutes, Data: d.cell.encode()})
		}
		c.dirty = c.dirty[:0]
	}
}

// agePanels packs steps that are over and drops those that are not kept.
func (e *Engine) agePanels(now time.Time) {
	oldest, open := toMS(now.Add(-panel.Kept))/panelStepMS, toMS(now)/panelStepMS-1
	for _, c := range e.panels {
		for name, steps := range c.groups {
			for step, cell := range steps {
				if step < oldest {
					delete(steps, step)
				} else if step < open {
					cell.pack()
				}
			}
			if len(steps) == 0 {
				delete(c.groups, name)
			}
		}
	}
}

// dropPanels removes stored steps that are not kept any longer, also of panels
// that nobody asks for now.
func (e *Engine) dropPanels(ctx context.Context) {
	e.mu.Lock()
	now := e.clock.Now()
	due := !e.panelsDropped.IsZero() && now.Sub(e.panelsDropped) < time.Hour
	var keys []string
	if !due {
		e.panelsDropped = now
		for key := range e.values {
			if rest, ok := strings.CutPrefix(key, panelSince); ok {
				keys = append(keys, rest)
			}
		}
	}
	e.mu.Unlock()
	for _, key := range keys {
		if _, err := e.store.DropCounts(ctx, panelPrefix+key, now.Add(-panel.Kept).Unix()/60); err != nil {
			e.log.Error("old steps of a panel were not removed", "panel", key, "error", err)
			return
		}
	}
}
