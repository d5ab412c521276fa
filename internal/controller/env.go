package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// canarySuffix makes the second key of a flag in a build variable.
const canarySuffix = "_canary"

// BuildVariable is a build-time variable that holds flags as one JSON object
// of booleans, as applications had them before: KEY is true while any user is
// on new, KEY_canary while only some are. A build that reads it knows neither
// user nor share: it can only switch.
type BuildVariable struct {
	Name  string      `json:"name"` // of the variable: NEXT_PUBLIC_FEATURE_FLAGS
	Flags []BuildFlag `json:"flags"`
}

// BuildFlag is one flag of a build variable.
type BuildFlag struct {
	Key      string  `json:"key"`
	Rollout  string  `json:"rollout"`  // that says so
	Exposure float64 `json:"exposure"` // percent
	On       bool    `json:"on"`       // exposure above 0
	Canary   bool    `json:"canary"`   // exposure above 0 and below 100
}

// Object is the JSON object that the variable holds.
func (v BuildVariable) Object() map[string]bool {
	out := make(map[string]bool, 2*len(v.Flags))
	for _, f := range v.Flags {
		out[f.Key], out[f.Key+canarySuffix] = f.On, f.Canary
	}
	return out
}

// BuildVariables lists the variables that plans name in flag.env, by name, with
// their flags, by key, of the projects for which sees is true. Of several
// rollouts of one flag the one under way counts, else the one whose attempt
// began last: one that was never started says nothing of the flag while
// another was.
func (c *Controller) BuildVariables(sees func(project string) bool) []BuildVariable {
	return variables(slices.DeleteFunc(c.holdings(), func(h holding) bool { return !sees(flag.ProjectOf(h.state.Project)) }))
}

// ErrNoVariable says that no plan names a build variable.
var ErrNoVariable = errors.New("no rollout's plan has this flag.env")

// errRevising says that a plan is just being replaced.
var errRevising = errors.New("a plan is just being revised: try again")

// BuildObject is the JSON object that a build variable has to hold as of the
// last decision that is stored: what a deploy hook is given. ErrNoVariable says
// that there is no such variable.
func (c *Controller) BuildObject(ctx context.Context, name string) ([]byte, error) {
	states, err := c.o.Store.States(ctx)
	if err != nil {
		return nil, fmt.Errorf("read rollouts: %w", err)
	}
	stored := make(map[string]rollout.State, len(states))
	for _, s := range states {
		stored[s.ID] = s
	}
	list := c.holdings()
	for i, at := range list {
		s, ok := stored[at.id]
		if !ok {
			continue
		}
		if at.plan.Hash != s.PlanHash {
			return nil, errRevising
		}
		list[i].state = s
	}
	for _, v := range variables(list) {
		if v.Name == name {
			return json.Marshal(v.Object())
		}
	}
	return nil, fmt.Errorf("%s: %w", name, ErrNoVariable)
}

// holding is a rollout as the build variables see it.
type holding struct {
	id    string
	plan  *plan.Plan
	state rollout.State
}

// holdings lists all rollouts as last shown, oldest first.
func (c *Controller) holdings() []holding {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]holding, 0, len(c.order))
	for _, id := range c.order {
		w := c.workers[id]
		if p := w.inForce.Load(); p != nil {
			out = append(out, holding{id, p, w.view.Load().State})
		}
	}
	return out
}

// before reports whether b says more of the flag than a, the older rollout.
func (a holding) before(b holding) bool {
	if x, y := a.runs(), b.runs(); x != y {
		return y
	}
	return !b.state.AttemptAt.Before(a.state.AttemptAt)
}

// runs reports whether the rollout was started and is not over.
func (a holding) runs() bool { return a.state.Attempt > 0 && !store.Over(a.state.Status) }

// variables is BuildVariables of rollouts, which are ordered oldest first.
func variables(rollouts []holding) []BuildVariable {
	speaks := map[[2]string]holding{} // variable and flag, to the rollout that counts
	for _, s := range rollouts {
		at := [2]string{s.plan.Flag.Env, s.plan.Flag.Key}
		if old, ok := speaks[at]; at[0] != "" && (!ok || old.before(s)) {
			speaks[at] = s
		}
	}
	byName := map[string][]BuildFlag{}
	for at, s := range speaks {
		x := s.state.Exposure
		byName[at[0]] = append(byName[at[0]], BuildFlag{Key: at[1], Rollout: s.id, Exposure: percent(x), On: x > 0, Canary: x > 0 && x < everyone})
	}
	list := make([]BuildVariable, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		slices.SortFunc(byName[name], func(a, b BuildFlag) int { return cmp.Compare(a.Key, b.Key) })
		list = append(list, BuildVariable{Name: name, Flags: byName[name]})
	}
	return list
}
