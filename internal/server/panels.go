package server

import (
	"context"
	"slices"
	"time"

	"serin/internal/controller"
	"serin/internal/dashboard"
	"serin/internal/evidence"
	"serin/internal/plan"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// dashboards wires the panels and targets of plans to what they count and judge.
func (s *Server) dashboards(db store.Store) *dashboard.Dashboard {
	known := map[string]*plan.Plan{}
	standing := func(p controller.AlertPlan) dashboard.Rollout {
		return dashboard.Rollout{Rollout: p.Rollout, Project: p.Project, Plan: p.Plan, Place: p.Place, Judge: p.Judge, Over: p.Over, Began: !p.Place.RolloutBegan.IsZero()}
	}
	return dashboard.New(dashboard.Options{
		Evidence: s.evidence, Clock: s.o.Clock, Logger: s.o.Logger,
		Rollouts: func() []dashboard.Rollout {
			list := s.control.Standings()
			out := make([]dashboard.Rollout, len(list))
			for i, p := range list {
				out[i] = standing(p)
			}
			return out
		},
		Find: func(id string) (dashboard.Rollout, error) {
			p, err := s.control.Standing(id)
			if err != nil {
				return dashboard.Rollout{}, err
			}
			return standing(p), nil
		},
		Plans: func(ctx context.Context) ([]dashboard.Plan, error) { // called by one goroutine
			list, err := s.control.LatestPlans(ctx, known)
			out := make([]dashboard.Plan, len(list))
			for i, p := range list {
				out[i] = dashboard.Plan(p)
			}
			return out, err
		},
		Metric: func(id, metric string, both bool, from, to time.Time, points int) ([]dashboard.MetricPoint, error) {
			read := s.evidence.Reading
			if both {
				read = s.evidence.Series
			}
			found, err := read(id, metric, from, to, points)
			out := make([]dashboard.MetricPoint, len(found))
			for i, p := range found {
				out[i] = dashboard.MetricPoint{T: p.T, Value: p.Both()}
			}
			return out, err
		},
		Issues: func(ctx context.Context, project string, f telemetry.Filter) ([]store.Issue, error) {
			found, err := db.Issues(ctx, store.IssueQuery{})
			now := s.o.Clock.Now()
			return slices.DeleteFunc(found, func(i store.Issue) bool {
				return i.Project != project || !f.MatchRecord(evidence.IssueRecord{Issue: &i, Now: now}, now)
			}), err
		},
	})
}
