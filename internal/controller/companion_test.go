package controller_test

import (
	"encoding/json"
	"testing"

	"serin/internal/flag"
	"serin/internal/rollout"
)

// TestCompanionFlag sets another flag for the exposed users together with a
// reduction, and sets it back when the incident is resolved or nobody is exposed.
func TestCompanionFlag(t *testing.T) {
	put := func(r *rig) {
		d := flag.Definition{Key: "debug", State: "ENABLED", DefaultVariant: "off",
			Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}}
		if _, err := r.c.Flags().Put(r.Context(), "", d, 0, "anna", "cli", ""); err != nil {
			r.Fatal(err)
		}
	}
	// on says how many of the first users have the plan's flag, and of these
	// and of the others how many have the companion.
	on := func(r *rig) (exposed, with, others int) {
		rs := r.hub.Current()
		for i := range 1000 {
			ctx := flag.Context{"targetingKey": user(i)}
			main, debug := rs.Evaluate("rig", ctx).Variant == "new", rs.Evaluate("debug", ctx).Variant == "on"
			switch {
			case main && debug:
				with++
				exposed++
			case main:
				exposed++
			case debug:
				others++
			}
		}
		return exposed, with, others
	}
	for _, end := range []string{"resolved", "rolled back"} {
		t.Run(end, func(t *testing.T) {
			bubble(t, func(r *rig) {
				put(r)
				r.lead(rollout.Start)
				r.drive("1:00")
				cmd := rollout.Command{Verb: rollout.Reduce, Percent: 5_000, By: "anna", Via: "web", Incident: "inc-1",
					Set: []rollout.Companion{{Flag: "debug", To: "on", Incident: "inc-1"}, {Flag: "missing", To: "on", Incident: "inc-1"}}}
				res, err := r.c.Do(r.Context(), r.id, cmd)
				if err != nil {
					r.Fatal(err)
				}
				if n, with, others := on(r); n < 20 || with != n || others != 0 {
					r.Errorf("of %d exposed users %d have the companion, and %d others", n, with, others)
				}
				if got := res.State.Companions; len(got) != 1 || got[0].Flag != "debug" {
					r.Errorf("companions %+v: the missing flag is left out", got)
				}
				if end == "resolved" {
					err = r.c.Record(r.Context(), r.id, rollout.Event{Type: rollout.IncidentResolved, Kind: "inc-1"})
				} else {
					_, err = r.c.Do(r.Context(), r.id, rollout.Command{Verb: rollout.Rollback, By: "anna", Via: "web"})
				}
				if err != nil {
					r.Fatal(err)
				}
				if n, with, others := on(r); with+others != 0 || end == "resolved" && n < 20 {
					r.Errorf("after the end %d of %d exposed and %d others have the companion", with, n, others)
				}
				d, err := r.c.Flags().Get(r.Context(), "debug")
				if err != nil || len(d.Definition.Metadata) != 0 || len(d.Definition.Targeting) != 0 {
					r.Errorf("the flag is %+v, %v", d.Definition, err)
				}
			})
		})
	}
}
