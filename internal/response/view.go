package response

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"serin/internal/incident"
)

// View is an incident as pages, API and CLI show it. Tree, People and Timeline
// are left out of a list. It is a snapshot; nobody changes it.
type View struct {
	incident.State
	Plan  string        `json:"plan,omitempty"`  // name
	Stage string        `json:"stage,omitempty"` // where the rollout stands
	For   time.Duration `json:"for"`             // open for; until it was resolved
	// Live is what is measured now; State.Impact the most that was noted.
	Live   incident.Impact `json:"live"`
	Clocks []ClockView     `json:"clocks"`
	Needs  []string        `json:"needs,omitempty"` // items that are missing to close

	Tree     []incident.Answer `json:"tree,omitempty"`
	Unsure   bool              `json:"unsure,omitempty"` // a branch before the proposed one is unknown
	Proposed *incident.Answer  `json:"proposed,omitempty"`
	People   []RoleView        `json:"people,omitempty"`
	Steps    []string          `json:"steps,omitempty"`    // what the plan asks for as a response
	Timeline []Entry           `json:"timeline,omitempty"` // newest first
	Now      time.Time         `json:"now"`                // server time of the snapshot
}

// The states of a clock.
const (
	ClockRuns   = "runs"
	ClockKept   = "kept"
	ClockMissed = "missed" // it ran out before it was stopped, or still goes on
	ClockVoid   = "void"   // the incident ended before
)

// ClockView is one clock.
type ClockView struct {
	Clock incident.Clock `json:"clock"`
	Limit time.Duration  `json:"limit"`
	Due   time.Time      `json:"due"`
	Done  time.Time      `json:"done,omitzero"`  // when it stopped
	Took  time.Duration  `json:"took,omitempty"` // from the opening until then
	Left  time.Duration  `json:"left"`           // until it runs out; negative = over
	State string         `json:"state"`
}

// RoleView is a role of the plan.
type RoleView struct {
	Role string   `json:"role"`
	Who  string   `json:"who,omitempty"`
	Does []string `json:"does,omitempty"`
	To   string   `json:"escalates_to,omitempty"`
	Lead bool     `json:"lead,omitempty"` // leads this incident
}

// Entry is an event of the timeline with its text.
type Entry struct {
	incident.Event
	Title string `json:"title"`
}

// List gives the incidents of the projects that the asker sees: open ones
// first, then the newest. all adds those that are closed.
func (e *Engine) List(sees func(project string) bool, all bool) []View {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.o.Clock.Now()
	out := []View{}
	for _, id := range slices.Backward(e.order) {
		k := e.all[id]
		if !sees(k.state.Project) || !all && k.state.Status == incident.Closed {
			continue
		}
		r, _ := e.standing(k.state.Rollout)
		out = append(out, e.view(k, r, now, false))
	}
	slices.SortStableFunc(out, func(a, b View) int { return rank(a.Status) - rank(b.Status) })
	return out
}

func rank(s incident.Status) int {
	return slices.Index([]incident.Status{incident.Open, incident.Resolved, incident.Closed}, s)
}

// Get is one incident with its timeline, or store.ErrNotFound.
func (e *Engine) Get(ctx context.Context, id string) (View, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, err := e.find(id)
	if err != nil {
		return View{}, err
	}
	r, err := e.standing(k.state.Rollout)
	if err != nil {
		return View{}, err
	}
	v := e.view(k, r, e.o.Clock.Now(), true)
	events, err := e.events(ctx, id)
	for _, x := range slices.Backward(events) {
		v.Timeline = append(v.Timeline, Entry{x, incident.Title(x)})
	}
	return v, err
}

// PostMortem is an incident in Markdown, or store.ErrNotFound.
func (e *Engine) PostMortem(ctx context.Context, id string) (string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, err := e.find(id)
	if err != nil {
		return "", err
	}
	events, err := e.events(ctx, id)
	if err != nil {
		return "", err
	}
	s, now := k.state, e.o.Clock.Now()
	if r, _ := e.standing(s.Rollout); r != nil && s.Status == incident.Open {
		s.Impact = s.Impact.Most(e.read(r, s, now).Impact)
	}
	return incident.PostMortem(s, events, now), nil
}

func (e *Engine) events(ctx context.Context, id string) ([]incident.Event, error) {
	rows, err := e.o.Store.IncidentEvents(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]incident.Event, len(rows))
	for i, data := range rows {
		if err := json.Unmarshal(data, &out[i]); err != nil {
			return nil, fmt.Errorf("read incident %s: %w", id, err)
		}
	}
	return out, nil
}

// view is an incident as it stands at now. The caller holds mu.
func (e *Engine) view(k *kept, r *Rollout, now time.Time, whole bool) View {
	s := k.state
	v := View{State: s, Now: now, Live: s.Impact, Needs: s.Missing(), For: now.Sub(s.OpenedAt)}
	if !s.ResolvedAt.IsZero() {
		v.For = s.ResolvedAt.Sub(s.OpenedAt)
	}
	for _, c := range incident.AllClocks {
		v.Clocks = append(v.Clocks, clockView(s, c, now))
	}
	if r == nil {
		return v
	}
	v.Plan, v.Stage = r.Plan.Name, stage(r)
	if s.Status != incident.Open {
		return withPeople(v, r, whole)
	}
	read := e.read(r, s, now)
	v.Live = read.Impact
	if whole {
		v.Tree, v.Unsure, v.Proposed = read.Tree, incident.Unsure(read.Tree), incident.Proposal(read.Tree)
	}
	return withPeople(v, r, whole)
}

func withPeople(v View, r *Rollout, whole bool) View {
	if !whole {
		return v
	}
	v.Steps = r.Plan.Incident.Steps
	for _, role := range r.Plan.Roles {
		v.People = append(v.People, RoleView{Role: role.Name, Who: role.Who, Does: role.Does, To: role.EscalatesTo, Lead: role.Name == v.Lead})
	}
	return v
}

func clockView(s incident.State, c incident.Clock, now time.Time) ClockView {
	v := ClockView{Clock: c, Limit: s.Limits.Of(c), Due: s.Due(c), Done: s.Done[c], State: ClockRuns}
	v.Left = v.Due.Sub(now)
	missed := !s.Breached[c].IsZero()
	if !v.Done.IsZero() {
		v.Took, v.Left = v.Done.Sub(s.OpenedAt), v.Due.Sub(v.Done)
	}
	switch {
	case missed:
		v.State = ClockMissed
	case !v.Done.IsZero():
		v.State = ClockKept
	case s.Status != incident.Open:
		v.State, v.Left = ClockVoid, 0
	}
	return v
}
