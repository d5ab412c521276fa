package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/backtest"
	"serin/internal/controller"
	"serin/internal/plan"
)

// backtestLimit is the longest that a backtest may take on a server.
const backtestLimit = 2 * time.Minute

// BacktestAsk is what a backtest is asked for; exported as RolloutID is.
type BacktestAsk struct {
	Plan    string    `json:"plan" doc:"the plan file that is tried"`
	Attempt int       `json:"attempt,omitempty" minimum:"0" doc:"run of evidence of the rollout, from 1; 0 = the newest"`
	From    time.Time `json:"from,omitempty" doc:"from when on; left out: since its traffic began"`
	To      time.Time `json:"to,omitempty" doc:"until when; left out: until its traffic ended, or now"`
	People  string    `json:"people,omitempty" doc:"when people give what is asked for: now (the default), never, or after a time such as 2h"`
}

// patience reads when people give what is asked for.
func patience(text string) (time.Duration, error) {
	switch text {
	case "", "now":
		return 0, nil
	case "never":
		return backtest.Never, nil
	}
	d, err := plan.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("people %q: write now, never, or a time such as 2h", text)
	}
	return d, nil
}

// backtests registers what another plan would have decided.
func (s *server) backtests(api huma.API) {
	o := op(http.MethodPost, "/rollouts/{id}/backtest", "backtest-rollout", read, "Run another plan over what was recorded of a rollout: what it would have decided, when, beside what happened")
	huma.Register(api, o, func(ctx context.Context, in *struct {
		RolloutID
		Body BacktestAsk
	}) (*body[backtest.Result], error) {
		return s.backtest(ctx, controller.BacktestOf{Rollout: in.ID}, in.Body)
	})
	o = inProjects(op(http.MethodPost, "/plans/backtest", "backtest-plan", read, "Run a plan over what was recorded at a time: of the newest rollout of its flag that had traffic then"))
	huma.Register(api, o, func(ctx context.Context, in *struct {
		InProject
		Body BacktestAsk
	}) (*body[backtest.Result], error) {
		p := who(ctx)
		return s.backtest(ctx, controller.BacktestOf{Sees: func(project string) bool { return in.sees(p, project) }}, in.Body)
	})
}

// backtest answers one.
func (s *server) backtest(ctx context.Context, of controller.BacktestOf, ask BacktestAsk) (*body[backtest.Result], error) {
	p, err := plan.Parse([]byte(ask.Plan))
	if err != nil {
		return nil, s.fail(err)
	}
	if of.People, err = patience(ask.People); err != nil {
		return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
	}
	of.Plan, of.Attempt, of.From, of.To = p, ask.Attempt, ask.From, ask.To
	ctx, cancel := context.WithTimeout(ctx, backtestLimit)
	defer cancel()
	r, err := s.Controller.Backtest(ctx, of)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, huma.NewError(http.StatusServiceUnavailable, fmt.Sprintf("the backtest did not end within %s: ask for a shorter time", backtestLimit))
	case errors.Is(err, controller.ErrBacktesting):
		return nil, huma.NewError(http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, controller.ErrNoReplays):
		return nil, huma.Error404NotFound(err.Error())
	}
	return ok(r), s.fail(err)
}
