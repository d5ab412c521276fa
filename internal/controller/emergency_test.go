package controller_test

import (
	"strings"
	"testing"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
)

// headsOf are the headings of the steps.
func headsOf(e controller.Emergency) string {
	var out []string
	for _, s := range e.Steps {
		out = append(out, s.Head)
	}
	return strings.Join(out, "; ")
}

func TestEmergency(t *testing.T) {
	bubble(t, func(r *rig) {
		says := func(text string, want bool) {
			t.Helper()
			e, err := r.c.Emergency(r.Context(), "rig")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(e.Text, text) != want {
				t.Errorf("it says %q: %v, want %v\n%s", text, !want, want, e.Text)
			}
		}
		says("rig-1 was preflight at 0%", true)
		r.lead(rollout.Start)
		r.drive("0:10")
		says("rig-1 was running at 10%, stage c10", true)
		says("When this was written 10% had it.", true)
		says("- **lead**: @lead, owns c10", true)
		says(`$ serin flag off rig --data DIR --reason "why"`, true)
		says(`$ serin rollout rollback rig-1 --reason "why"`, true)
		says("Builds with the variable", false)
		r.lead(rollout.Rollback)
		says("nobody was on new", true)
	})
}

const emergencyPlan = `serin: 1
plan: bench
title: The new workbench
timezone: UTC
flag: { key: bench, env: NEXT_PUBLIC_FLAGS, variants: { new: "on", old: "off" } }
roles:
  lead:     { who: "@anna", may: [start, approve, override], escalates_to: director }
  on-call:  { who: "@ben" }
  director: { who: "@carla" }
judge: { no_data: { page: on-call } }
stages:
  - { stage: canary, traffic: 10%,  bake: 48h, owner: on-call }
  - { stage: full,   traffic: 100%, bake: 72h, owner: lead }
actions:
  revert: { show: [git revert $commit, git push], within: 5m, by: on-call }
`

func TestEmergencyOfAPlanFile(t *testing.T) {
	p, err := plan.Parse([]byte(emergencyPlan))
	if err != nil {
		t.Fatal(err)
	}
	e := controller.EmergencyOf(p, controller.Site{Data: "/var/lib/serin", URL: "https://serin.example", Service: "flags"})
	want := "Is it serin?; Does anything have to be done?; Switch it off without serin; Revert the code, by hand; Write it down for the next start; Start it again; The data is lost or damaged; Is it over?"
	if got := headsOf(e); got != want {
		t.Errorf("steps %s", got)
	}
	for _, text := range []string{
		"# serin is down: bench", "The new workbench.", "`on` is new, `off` is old",
		"- **on-call**: @ben, owns canary", "- **lead**: @anna, owns full; then director", "- **director**: @carla, if lead does not answer",
		"curl -fsS https://serin.example/healthz", "systemctl status flags", "serin flag off bench --data /var/lib/serin --dry-run",
		`NEXT_PUBLIC_FLAGS='{"bench":false,"bench_canary":false}'`, "SERIN_OFF=bench", "git revert $commit", "by on-call",
		"Builds with the variable NEXT_PUBLIC_FLAGS",
	} {
		if !strings.Contains(e.Text, text) {
			t.Errorf("it does not say %q", text)
		}
	}
	if t.Failed() {
		t.Log(e.Text)
	}
}

// TestEmergencyWithoutTheOldCode: once the old code is gone neither a variable
// nor the flag is offered, and switching the flag off says why it is refused.
func TestEmergencyWithoutTheOldCode(t *testing.T) {
	bubble(t, func(r *rig) {
		r.lead(rollout.Start)
		r.drive("1:40")
		r.tick("legacy", "", "")
		e, err := r.c.Emergency(r.Context(), "rig")
		if err != nil {
			t.Fatal(err)
		}
		if got, want := headsOf(e), "Is it serin?; Does anything have to be done?; Revert the code; Start it again; The data is lost or damaged; Is it over?"; !e.Gone || got != want {
			t.Errorf("gone %v, steps %s", e.Gone, got)
		}
		for text, want := range map[string]bool{"only a revert of the code does": true, "SERIN_OFF": false, "serin flag off": false, "serin rollout rollback": false} {
			if strings.Contains(e.Text, text) != want {
				t.Errorf("it says %q: %v", text, !want)
			}
		}
		r.down()
		offline := controller.Offline{Store: r.store, Clock: r.clk}
		if got, err := controller.SwitchOff(r.Context(), offline, "rig", "anna", ""); statusOf(err) != 409 {
			t.Errorf("switched off: %+v, %v", got, err)
		}
		offline.DryRun = true
		if got, err := controller.SwitchOff(r.Context(), offline, "rig", "anna", ""); err != nil || got.Changed || !strings.Contains(got.Text, "the old code is gone") {
			t.Errorf("dry: %+v, %v", got, err)
		}
	}, "traffic: 10%,  bake: 2h", "traffic: 100%, bake: 1h",
		"  - { stage: r25,  like: c10, traffic: 25%,  bake: 1h }\n  - { stage: r50,  like: c10, traffic: 50%,  bake: 1h }\n  - { stage: r75,  like: c10, traffic: 75%,  bake: 1h }\n  - { stage: full, like: c10, traffic: 100%, bake: 3h }\n", "",
		"criteria:", "cleanup: { tasks: [{ id: legacy, do: Delete the old page, irreversible: true }] }\ncriteria:")
}
