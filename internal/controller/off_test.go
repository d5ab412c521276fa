package controller_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

// TestSwitchOffWhileStopped: the flag of a rollout is switched off in the
// store while nothing runs, and the next start agrees.
func TestSwitchOffWhileStopped(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("0:10")
		r.down()
		offline := controller.Offline{Store: r.store, Clock: r.clk, BaseURL: "https://serin.test"}
		got, err := controller.SwitchOff(r.Context(), offline, "rig", "anna", "the machine is on fire")
		if err != nil {
			t.Fatal(err)
		}
		if !got.Changed || got.Rollout != "rig-1" || got.From != "10%" || got.Notices != 1 || got.Pos == 0 {
			t.Errorf("%+v", got)
		}
		r.team.mu.Lock()
		told := len(r.team.accepted)
		r.team.mu.Unlock()
		again, err := controller.SwitchOff(r.Context(), offline, "rig", "anna", "again")
		if err != nil || again.Changed || again.Pos != got.Pos {
			t.Errorf("a second time: %+v, %v", again, err)
		}

		r.up()
		r.drive("0:12")
		r.exposure(0)
		if v := r.view(); v.State.Status != rollout.RolledBack {
			t.Errorf("after the start it is %s", v.State.Status)
		}
		var decided rollout.Event
		for _, e := range r.journal() {
			if e.Type == rollout.RolledBackEvent {
				decided = e
			}
		}
		want := rollout.Event{Pos: got.Pos, By: "anna", Via: "cli", Reason: "flag switched off by hand, the server being stopped: the machine is on fire"}
		if d := cmp.Diff(want, rollout.Event{Pos: decided.Pos, By: decided.By, Via: decided.Via, Reason: decided.Reason}); d != "" {
			t.Error(d)
		}
		entries, err := r.c.Audit(r.Context(), controller.AuditQuery{Who: "anna"})
		if err != nil || len(entries) != 1 || entries[0].Target != "rollout rig-1" {
			t.Errorf("audit %+v, %v", entries, err)
		}
		r.team.mu.Lock()
		defer r.team.mu.Unlock()
		if len(r.team.accepted) != told+1 {
			t.Errorf("the team was told %d times more, want once", len(r.team.accepted)-told)
		}
	})
}

// TestSwitchOffOfOthers: a flag that no rollout owns, one that is not there, and
// one whose plan cannot be read.
func TestSwitchOffOfOthers(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		own := flag.Definition{Key: "own", State: flag.Enabled, DefaultVariant: "on",
			Variants: map[string]json.RawMessage{"on": json.RawMessage("true"), "off": json.RawMessage("false")}}
		if _, err := r.c.Flags().Put(r.Context(), "", own, 0, "anna", "api", ""); err != nil {
			t.Fatal(err)
		}
		hash := r.view().State.PlanHash
		r.down()
		offline := controller.Offline{Store: r.store, Clock: r.clk}
		for i, changed := range []bool{true, false} {
			got, err := controller.SwitchOff(r.Context(), offline, "own", "anna", "")
			if err != nil || got.Changed != changed || got.Rollout != "" {
				t.Errorf("time %d: %+v, %v", i+1, got, err)
			}
		}
		if _, err := controller.SwitchOff(r.Context(), offline, "ow", "anna", ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a flag that is not there: %v", err)
		}
		r.store.newer.Store(&hash)
		got, err := controller.SwitchOff(r.Context(), offline, "rig", "anna", "")
		if err != nil || !got.Changed || !strings.Contains(got.Text, "default in its code") {
			t.Errorf("of a plan that cannot be read: %+v, %v", got, err)
		}
		records, _, err := r.store.Flags(r.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range records {
			if f.Definition.State != flag.StateOff {
				t.Errorf("%s is %s", f.Definition.Key, f.Definition.State)
			}
		}
	})
}
