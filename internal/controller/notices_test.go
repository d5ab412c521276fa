package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/plan"
	"serin/internal/rollout"
)

// TestReceivers: who hears of what in a plan with channels of every kind.
func TestReceivers(t *testing.T) {
	team, alerts := plan.Channel{Name: "team", Address: "slack:#team"}, plan.Channel{Name: "alerts", Address: "slack:#alerts"}
	page, ticket := plan.Channel{Name: "page", Address: "pagerduty:on-call"}, plan.Channel{Name: "ticket", Address: "jira:OPS/P1"}
	alert := []plan.Alert{{Name: "errors", Notify: []string{"alerts", "page", "ticket"}}}
	tests := []struct {
		name     string
		channels []plan.Channel
		alerts   []plan.Alert
		event    rollout.Event
		want     []string
	}{
		{"a transition", []plan.Channel{team, alerts, page, ticket}, alert, rollout.Event{Type: rollout.Advanced}, []string{"team"}},
		{"a roll back", []plan.Channel{team, alerts, page, ticket}, alert, rollout.Event{Type: rollout.RolledBackEvent}, []string{"team"}},
		{"a page", []plan.Channel{team, alerts, page, ticket}, alert, rollout.Event{Type: rollout.NoData, Paged: true}, []string{"page"}},
		{"a page without a pager", []plan.Channel{team, alerts}, alert, rollout.Event{Type: rollout.NoData, Paged: true}, []string{"team"}},
		{"every channel is an alert's", []plan.Channel{alerts, page, ticket}, alert, rollout.Event{Type: rollout.Advanced}, []string{"alerts"}},
		{"only a pager", []plan.Channel{page}, nil, rollout.Event{Type: rollout.Advanced}, nil},
		{"two channels without alerts", []plan.Channel{team, alerts}, nil, rollout.Event{Type: rollout.Started}, []string{"team", "alerts"}},
		{"a question", []plan.Channel{team, page}, nil, rollout.Event{Type: rollout.Asked, N: 1}, []string{"team"}},
		{"no channels", nil, nil, rollout.Event{Type: rollout.Started}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, ch := range receivers(&plan.Plan{Channels: tt.channels, Alerts: tt.alerts}, tt.event) {
				got = append(got, ch.Name)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("receivers (-want +got):\n%s", d)
			}
		})
	}
}
