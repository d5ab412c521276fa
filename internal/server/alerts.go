package server

import (
	"context"

	"serin/internal/alerting"
	"serin/internal/evidence"
	"serin/internal/store"
)

// alertEngine wires the alert rules to what they count and to the outbox.
func (s *Server) alertEngine(ctx context.Context, db store.Store) (*alerting.Engine, error) {
	return alerting.New(ctx, alerting.Options{
		Store: db, Evidence: s.evidence, Clock: s.o.Clock, Logger: s.o.Logger, BaseURL: s.DashboardURL(),
		Key: evidence.AlertKey, Keep: evidence.KeptAlertCounts,
		Changed: func() { s.feed.Send("alert", struct{}{}) },
		Heard:   s.evidence.AlertsHeard, Under: s.underWay,
		Opened: opener(s.alertTold),
		Wake:   s.control.WakeCourier, Fault: s.o.Fault, Knows: s.control.Courier().Knows,
		Rollouts: func() []alerting.Rollout {
			active := s.control.AlertPlans()
			out := make([]alerting.Rollout, len(active))
			for i, p := range active {
				out[i] = alerting.Rollout(p)
			}
			return out
		},
	})
}
