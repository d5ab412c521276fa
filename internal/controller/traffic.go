package controller

import (
	"context"
	"errors"

	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/simulate"
)

// Measures is what an Evidence may offer beside: what a plan's audience did, for
// simulations.
type Measures interface {
	// Traffic reads the hours of the plan's baseline; id is the plan's rollout
	// that is not over, "" = none.
	Traffic(project string, p *plan.Plan, id string) (simulate.Measured, error)
}

// ErrNoMeasures: the evidence tells no hours.
var ErrNoMeasures = errors.New("measured traffic is not available here")

// Traffic takes the traffic figures of a plan from what was measured; name may
// be a rollout's id. A *rollout.Refusal says that too little was.
func (c *Controller) Traffic(ctx context.Context, name string) (simulate.Figures, error) {
	keeper, ok := c.o.Evidence.(Measures)
	if !ok {
		return simulate.Figures{}, ErrNoMeasures
	}
	s, err := c.subject(ctx, name)
	if err != nil {
		return simulate.Figures{}, err
	}
	m, err := keeper.Traffic(s.project, s.plan, s.rollout)
	if err != nil {
		return simulate.Figures{}, err
	}
	f, err := simulate.FromMeasured(s.plan, m, simulate.DefaultTraffic())
	if err != nil {
		return simulate.Figures{}, &rollout.Refusal{Kind: rollout.Barred, Why: err.Error() + ": give the figures yourself (a plan with an audience or pages is measured from the creation of its rollout until the start)"}
	}
	return f, nil
}
