package controller

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
	"serin/internal/rollout"
)

const weekPlan = `serin: 1
plan: checkout
timezone: UTC
flag: { key: newCheckout }
calendar: { raise: ["mon-fri 09:00-17:00"] }
roles:
  lead: { who: "@lead", may: [approve] }
stages:
  - { stage: canary, traffic: 10%,  bake: 48h }
  - { stage: half,   traffic: 50%,  bake: 24h, approve: lead }
  - { stage: full,   traffic: 100%, bake: 72h }
actions: { restart: { from: canary, after: 24h } }
`

// TestForecast: what comes at the earliest, by state, on a Thursday at 10:00.
func TestForecast(t *testing.T) {
	p, err := plan.Parse([]byte(weekPlan))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2025, 2, 20, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name    string
		state   rollout.State
		assumes string
		want    string
	}{
		{"preflight", rollout.State{Status: rollout.Preflight}, "it is started now",
			"start canary Thu 10:00, baked canary Sat 10:00, start half Mon 09:00 waits 47h by lead, baked half Tue 09:00, start full Tue 09:00, baked full Fri 09:00, end  Fri 09:00"},
		{"running", rollout.State{Status: rollout.Running, Stage: 1, Bake: 20 * time.Hour}, "",
			"baked half Thu 14:00, start full Thu 14:00, baked full Sun 14:00, end  Sun 14:00"},
		{"bake is over", rollout.State{Status: rollout.Paused, Stage: 1, Bake: 30 * time.Hour}, "it is resumed now",
			"baked half Thu 10:00, start full Thu 10:00, baked full Sun 10:00, end  Sun 10:00"},
		{"last stage", rollout.State{Status: rollout.Running, Stage: 2, Bake: 70 * time.Hour}, "", "baked full Thu 12:00, end  Thu 12:00"},
		{"rolled back", rollout.State{Status: rollout.RolledBack, LoweredAt: now.Add(-22 * time.Hour)}, "it is restarted as soon as it may be",
			"start canary Thu 12:00, baked canary Sat 12:00, start half Mon 09:00 waits 45h by lead, baked half Tue 09:00, start full Tue 09:00, baked full Fri 09:00, end  Fri 09:00"},
		{"done", rollout.State{Status: rollout.Done, Stage: 2}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := forecast(p, c.state, now)
			var events []string
			for _, e := range got.Events {
				if e.Kind == plan.StageCheck {
					continue
				}
				text := fmt.Sprintf("%s %s %s", e.Kind, e.Stage, e.At.UTC().Format("Mon 15:04"))
				if e.Wait > 0 {
					text += " waits " + plan.FormatDuration(e.Wait)
				}
				if len(e.Approve) > 0 && e.Wait > 0 {
					text += " by " + strings.Join(e.Approve, " or ")
				}
				events = append(events, text)
			}
			if d := cmp.Diff(c.want, strings.Join(events, ", ")); d != "" {
				t.Errorf("events (-want +got):\n%s", d)
			}
			if got.Assumes != c.assumes {
				t.Errorf("assumes %q, want %q", got.Assumes, c.assumes)
			}
		})
	}
}

// TestBegun: only the newest attempt counts, and what is outside the plan is left out.
func TestBegun(t *testing.T) {
	p, err := plan.Parse([]byte(weekPlan))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range begun(p, []rollout.Event{{Type: rollout.Created}, {Type: rollout.Started, Exposure: 10_000}, {Type: rollout.Advanced, Stage: 1, Exposure: 50_000},
		{Type: rollout.RolledBackEvent}, {Type: rollout.Restarted, Exposure: 10_000}, {Type: rollout.Advanced, Stage: 1, Exposure: 50_000}, {Type: rollout.Advanced, Stage: 9}}) {
		got = append(got, e.Text)
	}
	if d := cmp.Diff([]string{"canary began: 10%", "half began: 50%"}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
