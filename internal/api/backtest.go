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
		b := in.Body
		p, err := plan.Parse([]byte(b.Plan))
		if err != nil {
			return nil, s.fail(err)
		}
		people, err := patience(b.People)
		if err != nil {
			return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
		}
		ctx, cancel := context.WithTimeout(ctx, backtestLimit)
		defer cancel()
		r, err := s.Controller.Backtest(ctx, controller.BacktestOf{Plan: p, Rollout: in.ID, Attempt: b.Attempt, From: b.From, To: b.To, People: people})
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return nil, huma.NewError(http.StatusServiceUnavailable, fmt.Sprintf("the backtest did not end within %s: ask for a shorter time", backtestLimit))
		case errors.Is(err, controller.ErrBacktesting):
			return nil, huma.NewError(http.StatusServiceUnavailable, err.Error())
		case errors.Is(err, controller.ErrNoReplays):
			return nil, huma.Error404NotFound(err.Error())
		}
		return ok(r), s.fail(err)
	})
}
