package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/auth"
	"serin/internal/baseline"
	"serin/internal/controller"
)

// maxBaseline bounds the body of an import: two files of two weeks by the minute.
const maxBaseline = 4 << 20

// baselineFile is what an import is asked for.
type baselineFile struct {
	Format  string  `json:"format" enum:"csv,prometheus,sentry-events,sentry-sessions"`
	Source  string  `json:"source" minLength:"1" maxLength:"200" doc:"where the figures come from; an import under the same name replaces its hours"`
	Metric  string  `json:"metric,omitempty" maxLength:"100" doc:"the plan's metric that a file of one series is of; left out, errors and crash_free of Sentry's"`
	Data    string  `json:"data" minLength:"1" doc:"the file: CSV with time,metric,value,count, or the JSON answer"`
	Counts  string  `json:"counts,omitempty" doc:"a second answer with the sample sizes; of sentry-events the sessions"`
	Scale   float64 `json:"scale,omitempty" exclusiveMinimum:"0" doc:"every value is multiplied by it; left out, 1"`
	Replace bool    `json:"replace,omitempty" doc:"take the place of hours that came from other sources too"`
}

func (f baselineFile) file() baseline.File {
	out := baseline.File{Format: baseline.Format(f.Format), Metric: f.Metric, Data: []byte(f.Data), Scale: f.Scale}
	if f.Counts != "" {
		out.Counts = []byte(f.Counts)
	}
	return out
}

// baselines registers how much of a plan's baseline there is, and its import.
func (s *server) baselines(api huma.API) {
	huma.Register(api, op(http.MethodGet, "/baselines/{plan}", "get-baseline", read, "How much of a plan's baseline was measured, and imported"),
		func(ctx context.Context, in *PlanName) (*body[controller.BaselineReport], error) {
			r, err := s.Controller.Baseline(ctx, in.Name)
			return ok(r), s.failBaseline(err)
		})
	o := op(http.MethodPost, "/baselines/{plan}", "import-baseline", approve, "Import hours of the past for a plan's baseline; measured hours stay as they are")
	o.MaxBodyBytes = maxBaseline
	huma.Register(api, o, func(ctx context.Context, in *struct {
		PlanName
		Body baselineFile
	}) (*body[controller.BaselineImported], error) {
		done, err := s.Controller.ImportBaseline(ctx, controller.BaselineImport{Plan: in.Name, Source: in.Body.Source, File: in.Body.file(),
			Replace: in.Body.Replace, By: who(ctx).Name, Via: via(ctx), Address: auth.Address(ctx)})
		return ok(done), s.failBaseline(err)
	})
}

// failBaseline is fail for what is wrong with a file.
func (s *server) failBaseline(err error) error {
	var problems baseline.Problems
	switch {
	case errors.As(err, &problems):
		var details []error
		for _, p := range problems[:min(len(problems), mostDetails)] {
			details = append(details, &huma.ErrorDetail{Message: p.String()})
		}
		return huma.NewError(http.StatusUnprocessableEntity, "nothing was imported: the file cannot be taken as it is", details...)
	case errors.Is(err, baseline.ErrRefused):
		return huma.NewError(http.StatusConflict, err.Error())
	case errors.Is(err, controller.ErrNoBaselines):
		return huma.NewError(http.StatusNotImplemented, err.Error())
	}
	return s.fail(err)
}

// mostDetails bounds the places that an answer names one by one.
const mostDetails = 50
