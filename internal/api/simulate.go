package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/simulate"
)

// simulationLimit is the longest that a simulation may take on a server.
const simulationLimit = 5 * time.Minute

// simulation is what a simulation is asked for.
type simulation struct {
	Body struct {
		Plan    string         `json:"plan" doc:"the plan file"`
		Traffic map[string]any `json:"traffic,omitempty" doc:"traffic figures, numbers or texts with a unit: views_per_day, users, errors_per_view, METRIC_per_day of a count, METRIC of anything else; left out, those of a site of 20,000 page views a day"`
		Runs    int            `json:"runs,omitempty" minimum:"1" maximum:"2000" default:"400" doc:"healthy runs to play"`
		Grid    int            `json:"grid_runs,omitempty" minimum:"0" maximum:"400" doc:"runs of every regression, and of every suggestion; 0 leaves them out"`
		Seed    uint64         `json:"seed,omitempty" default:"1" doc:"the same seed gives the same answer"`
		Start   time.Time      `json:"start,omitempty" doc:"when it starts at the earliest; left out, when the plan says, or else a Monday morning"`
	}
}

// simulate registers the simulation of plans.
func (s *server) simulate(api huma.API) {
	o := ofServer(op(http.MethodPost, "/plans/simulate", "simulate-plan", read, "Play a plan on made-up traffic: how often a healthy feature is rolled back or gets stuck"))
	huma.Register(api, op(http.MethodGet, "/plans/{plan}/traffic", "get-plan-traffic", read, "Traffic figures for a simulation, as measured in the hours of the plan's baseline"),
		func(ctx context.Context, in *PlanName) (*body[simulate.Figures], error) {
			f, err := s.Controller.Traffic(ctx, in.Name)
			if errors.Is(err, controller.ErrNoMeasures) {
				return nil, huma.Error404NotFound(err.Error())
			}
			return ok(f), s.fail(err)
		})
	huma.Register(api, o, func(ctx context.Context, in *simulation) (*body[simulate.Result], error) {
		p, err := plan.Parse([]byte(in.Body.Plan))
		if err != nil {
			return nil, s.fail(err)
		}
		traffic, err := figures(simulate.DefaultTraffic(), in.Body.Traffic)
		if err == nil { // counts that are not given go with the views
			traffic, err = figures(simulate.DefaultFor(traffic.ViewsPerDay), in.Body.Traffic)
		}
		if err != nil {
			return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
		}
		options := simulate.Options{Traffic: traffic, Runs: in.Body.Runs, GridRuns: in.Body.Grid, Suggest: true, Seed: in.Body.Seed, Start: in.Body.Start}
		if err := options.Check(p); err != nil {
			return nil, huma.NewError(http.StatusUnprocessableEntity, err.Error())
		}
		ctx, cancel := context.WithTimeout(ctx, simulationLimit)
		defer cancel()
		result, err := controller.Simulate(ctx, p, options, nil)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, huma.NewError(http.StatusServiceUnavailable,
				fmt.Sprintf("the simulation did not end within %s: ask for fewer runs, or use serin simulate on your own machine", simulationLimit))
		}
		return ok(result), s.fail(err)
	})
}

// figures reads the traffic figures of a request over the defaults.
func figures(t simulate.Traffic, given map[string]any) (simulate.Traffic, error) {
	for name, v := range given {
		text, ok := v.(string)
		if n, number := v.(float64); number {
			text, ok = strconv.FormatFloat(n, 'g', -1, 64), true
		}
		if !ok {
			return t, fmt.Errorf("traffic.%s: write a number, or a text with a unit", name)
		}
		if err := t.Set(name, text); err != nil {
			return t, fmt.Errorf("traffic.%w", err)
		}
	}
	return t, nil
}
