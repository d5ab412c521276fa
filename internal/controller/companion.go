package controller

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"serin/internal/flag"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// wasTargeting is the key of a flag's metadata that keeps, while an incident
// has it set, what its targeting was before.
const wasTargeting = "serinBeforeIncident"

// settable leaves out what cannot be set, and says so in the reason: a flag
// that is missing must not stand in the way of taking traffic down.
func (f *Flags) settable(cmd *rollout.Command) {
	cmd.Set = slices.DeleteFunc(slices.Clone(cmd.Set), func(c rollout.Companion) bool {
		why := f.unsettable(c)
		if why != "" {
			cmd.Reason = strings.TrimPrefix(cmd.Reason+"; "+why, "; ")
		}
		return why != ""
	})
}

// unsettable says why a flag cannot be set, or "".
func (f *Flags) unsettable(c rollout.Companion) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	rec, ok := f.records[c.Flag]
	_, variant := rec.Definition.Variants[c.To]
	switch {
	case !ok:
		return fmt.Sprintf("flag %s was not set to %s: it does not exist", c.Flag, c.To)
	case !variant:
		return fmt.Sprintf("flag %s was not set to %s: it has no such variant", c.Flag, c.To)
	case rec.Owner != "":
		return fmt.Sprintf("flag %s was not set to %s: rollout %s owns it", c.Flag, c.To, rec.Owner)
	}
	return ""
}

// companions are the records of the flags that a decision sets or sets back:
// for the exposed users of the plan's own flag, with the split that it has
// from now on.
func (f *Flags) companions(p *plan.Plan, before, next rollout.State) (out []store.FlagRecord) {
	for _, c := range next.Companions {
		if slices.Contains(before.Companions, c) && before.Exposure == next.Exposure || f.unsettable(c) != "" {
			continue
		}
		f.mu.RLock()
		rec := f.records[c.Flag]
		f.mu.RUnlock()
		rec.Definition = set(rec.Definition, p.Split(rollout.Exposure(p, next)), c.To)
		out = append(out, stamped(rec, next))
	}
	for _, c := range before.Companions {
		if slices.ContainsFunc(next.Companions, func(n rollout.Companion) bool { return n.Flag == c.Flag }) {
			continue
		}
		f.mu.RLock()
		rec, ok := f.records[c.Flag]
		f.mu.RUnlock()
		if !ok || rec.Owner != "" || rec.Definition.Metadata[wasTargeting] == nil {
			continue // it was deleted, or set by hand meanwhile
		}
		rec.Definition = setBack(rec.Definition)
		out = append(out, stamped(rec, next))
	}
	return out
}

func stamped(rec store.FlagRecord, next rollout.State) store.FlagRecord {
	rec.UpdatedBy, rec.UpdatedAt = "rollout "+next.ID, next.At
	return rec
}

// set gives the users of a split a variant, everybody else what they had by default.
func set(d flag.Definition, s flag.Split, to string) flag.Definition {
	s.New, s.Old = to, d.DefaultVariant
	if s.Salt == "" {
		s.Salt = s.Flag
	}
	s.Flag = d.Key // with the salt of the plan's own flag the users are the same
	meta := map[string]any{}
	for k, v := range d.Metadata {
		meta[k] = v
	}
	if meta[wasTargeting] == nil {
		meta[wasTargeting] = string(d.Targeting)
	}
	d.Metadata, d.Targeting = meta, s.Targeting()
	return d
}

// setBack is what set began with.
func setBack(d flag.Definition) flag.Definition {
	was, _ := d.Metadata[wasTargeting].(string)
	meta := map[string]any{}
	for k, v := range d.Metadata {
		if k != wasTargeting {
			meta[k] = v
		}
	}
	d.Metadata, d.Targeting = meta, nil
	if was != "" {
		d.Targeting = json.RawMessage(was)
	}
	return d
}
