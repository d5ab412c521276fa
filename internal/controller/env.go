package controller

import (
	"cmp"
	"context"
	"slices"

	"serin/internal/flag"
	"serin/internal/rollout"
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
// their flags, by key. Of several rollouts of one flag the latest that is not
// over counts, else the latest.
func (c *Controller) BuildVariables(context.Context) []BuildVariable {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[[2]string]BuildFlag{} // variable, flag
	active := map[[2]string]bool{}
	for _, id := range c.order {
		w := c.workers[id]
		p, s := w.inForce.Load(), w.view.Load().State
		if p == nil || p.Flag.Env == "" {
			continue
		}
		at := [2]string{p.Flag.Env, p.Flag.Key}
		runs := s.Status != rollout.Done && s.Status != rollout.Cancelled
		if active[at] && !runs {
			continue
		}
		active[at] = active[at] || runs
		found[at] = BuildFlag{Key: p.Flag.Key, Rollout: id, Exposure: percent(s.Exposure), On: s.Exposure > 0,
			Canary: s.Exposure > 0 && s.Exposure < flag.Everyone}
	}
	byName := map[string]*BuildVariable{}
	var out []*BuildVariable
	for at, f := range found {
		if byName[at[0]] == nil {
			byName[at[0]] = &BuildVariable{Name: at[0]}
			out = append(out, byName[at[0]])
		}
		byName[at[0]].Flags = append(byName[at[0]].Flags, f)
	}
	slices.SortFunc(out, func(a, b *BuildVariable) int { return cmp.Compare(a.Name, b.Name) })
	list := make([]BuildVariable, len(out))
	for i, v := range out {
		slices.SortFunc(v.Flags, func(a, b BuildFlag) int { return cmp.Compare(a.Key, b.Key) })
		list[i] = *v
	}
	return list
}
