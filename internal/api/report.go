package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"serin/internal/controller"
)

// reportPolicy keeps a report that is opened as a page from loading or running
// anything; it has its own few styles.
const reportPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// The forms of a report, by the word that asks for them.
var reportTypes = map[string]string{
	"json": "application/json", "markdown": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8",
}

// closingReports registers what became of a rollout.
func (s *server) closingReports(api huma.API) {
	o := op(http.MethodGet, "/rollouts/{id}/report", "get-report", read, "What became of a rollout: criteria, people, time, ways back. Final once it is over")
	o.DefaultStatus = http.StatusOK
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[controller.Report](), true, "Report")
	o.Responses = map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{
		"application/json": {Schema: schema}, "text/markdown": text, "text/html": text}}}
	huma.Register(api, o, func(ctx context.Context, in *struct {
		RolloutID
		Format string `query:"format" enum:"json,markdown,html" default:"json"`
	}) (*huma.StreamResponse, error) {
		r, err := s.Controller.Report(ctx, in.ID)
		if err != nil {
			return nil, s.fail(err)
		}
		data, err := reportAs(r, in.Format)
		if err != nil {
			return nil, s.fail(err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			c.SetHeader("Content-Type", reportTypes[in.Format])
			c.SetHeader("Content-Security-Policy", reportPolicy)
			_, _ = c.BodyWriter().Write(data)
		}}, nil
	})
}

func reportAs(r controller.Report, format string) ([]byte, error) {
	switch format {
	case "markdown":
		return r.Markdown(), nil
	case "html":
		return r.HTML()
	}
	return json.Marshal(r)
}
