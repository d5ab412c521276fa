package web

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"serin/internal/baseline"
	"serin/internal/controller"
)

// How long an import by form may be: two files.
const (
	maxBaselineFile = 2 << 20
	maxBaselineForm = 2*maxBaselineFile + maxFormBytes
)

// baselineBody is how much of a plan's baseline there is, and the form that
// imports the rest.
type baselineBody struct {
	Name, Lead, Whose string
	Pill              pill
	Rows              []baselineRow
	URL, CSRF         string
	Missing           string // why the person may not import; "" = may
	Formats, Metrics  []option
	Source, Scale     string
	Replace           bool
	Error             []string // why nothing was imported
	Done              []string // what was
	CLI               []string
}

type baselineRow struct {
	Metric                         string
	Pill                           pill
	Rules                          []string
	Want, Measured, Imported, From string
}

// baselineLink is the line that other pages show of a baseline.
type baselineLink struct {
	URL, Text string
	Pill      pill
}

var formatNames = map[baseline.Format]string{
	baseline.CSV: "CSV", baseline.Prometheus: "Prometheus, a query_range answer",
	baseline.SentryEvents: "Sentry, events-stats (errors)", baseline.SentrySessions: "Sentry, sessions (crash_free)",
}

func baselineURL(plan string) string { return "/plans/" + url.PathEscape(plan) + "/baseline" }

// baselinePill sums a baseline up.
func baselinePill(r controller.BaselineReport) pill {
	switch {
	case len(r.Metrics) == 0:
		return pill{"wait", "wait", "Not used"}
	case r.Short():
		return pill{"warn", "warn", "Short"}
	case r.Imported():
		return pill{"pass", "pass", "Imported in part"}
	}
	return pill{"pass", "pass", "Whole"}
}

// baselineOf is the link to a plan's baseline, nil where its rules need none
// or it cannot be told.
func (s *server) baselineOf(r *http.Request, plan string) *baselineLink {
	found, err := s.Rollouts.Baseline(r.Context(), plan)
	if err != nil || len(found.Metrics) == 0 {
		return nil
	}
	least := slices.MinFunc(found.Metrics, func(a, b baseline.Extent) int { return a.Measured + a.Imported - b.Measured - b.Imported })
	text := "baseline of " + least.Text()
	if least.Short() {
		text = "baseline " + least.Text()
		if len(found.Metrics) > 1 {
			text += " (" + least.Metric + ")"
		}
	}
	return &baselineLink{URL: baselineURL(found.Plan), Text: text, Pill: baselinePill(found)}
}

func (s *server) baseline(w http.ResponseWriter, r *http.Request) {
	s.showBaseline(w, r, http.StatusOK, baselineBody{Scale: "1"}, "")
}

// showBaseline fills in what there is and the form. metric is the one chosen.
func (s *server) showBaseline(w http.ResponseWriter, r *http.Request, status int, b baselineBody, metric string) {
	found, err := s.Rollouts.Baseline(r.Context(), r.PathValue("plan"))
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	b.Name, b.Pill, b.URL = found.Plan, baselinePill(found), baselineURL(found.Plan)
	b.Lead = "What rules compare with where no control is left: the same hours of the days before the start."
	b.Whose = "of a rollout that would start now"
	if found.Rollout != "" {
		b.Whose = "of " + found.Rollout
	}
	b.CSRF = s.Sessions.CSRF(visitOf(r.Context()).Cookie)
	if !visitOf(r.Context()).Person.can("approve") {
		b.Missing = "your token may not import; ask for one with the scope “approve”"
	}
	b.Metrics = append(b.Metrics, option{Value: "", Text: "named by the file", Selected: metric == ""})
	for _, e := range found.Metrics {
		row := baselineRow{Metric: e.Metric, Rules: e.Rules, Pill: pill{"pass", "pass", "Whole"},
			Want: baseline.Days(e.Want), Measured: baseline.Days(e.Measured), Imported: baseline.Days(e.Imported), From: orElse(strings.Join(e.Sources, ", "), dash)}
		if e.Short() {
			row.Pill = pill{"warn", "warn", "Short"}
		}
		b.Rows = append(b.Rows, row)
		b.Metrics = append(b.Metrics, option{Value: e.Metric, Text: e.Metric, Selected: e.Metric == metric})
	}
	if b.Formats == nil {
		b.Formats = formatOptions(baseline.CSV)
	}
	b.CLI = []string{"serin baseline show " + found.Plan, "serin baseline import " + found.Plan + " --csv hours.csv"}
	s.render(w, r, status, "baseline", page{Title: found.Plan + ", baseline", Section: "plans", Crumb: found.Plan, CrumbURL: planURL(found.Plan, 0), Body: b})
}

func formatOptions(chosen baseline.Format) []option {
	var out []option
	for _, f := range baseline.Formats() {
		out = append(out, option{Value: string(f), Text: formatNames[f], Selected: f == chosen})
	}
	return out
}

// importBaseline takes the form's files.
func (s *server) importBaseline(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseMultipartForm(maxBaselineForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		s.problem(w, r, http.StatusRequestEntityTooLarge, "The files could not be read",
			fmt.Sprintf("A page takes files of %d MiB each. The command line takes longer ones: serin baseline import.", maxBaselineFile>>20))
		return
	}
	if !s.checkCSRF(w, r) {
		return
	}
	if !visitOf(r.Context()).Person.can("approve") {
		s.problem(w, r, http.StatusForbidden, "You may not import a baseline", "It takes the scope “approve”: rules that let traffic rise rest on it.")
		return
	}
	form := r.PostForm
	b := baselineBody{Source: form.Get("source"), Scale: form.Get("scale"), Replace: form.Get("replace") == "1",
		Formats: formatOptions(baseline.Format(form.Get("format")))}
	i := controller.BaselineImport{Plan: r.PathValue("plan"), Source: b.Source, Replace: b.Replace, By: PersonOf(r.Context()).Name, Via: "web",
		File: baseline.File{Format: baseline.Format(form.Get("format")), Metric: form.Get("metric"), Data: upload(r, "data"), Counts: upload(r, "counts")}}
	var err error
	if b.Scale != "" {
		if i.File.Scale, err = strconv.ParseFloat(b.Scale, 64); err != nil || !(i.File.Scale > 0) {
			b.Error = []string{fmt.Sprintf("multiply by %q: write a number above 0", b.Scale)}
			s.showBaseline(w, r, http.StatusUnprocessableEntity, b, form.Get("metric"))
			return
		}
	}
	done, err := s.Rollouts.ImportBaseline(r.Context(), i)
	status := http.StatusOK
	var problems baseline.Problems
	switch {
	case errors.As(err, &problems):
		status = http.StatusUnprocessableEntity
		for n, p := range problems {
			if n == mostProblems {
				b.Error = append(b.Error, fmt.Sprintf("and %d more", len(problems)-n))
				break
			}
			b.Error = append(b.Error, p.String())
		}
	case errors.Is(err, baseline.ErrRefused):
		status, b.Error = http.StatusConflict, []string{err.Error()}
	case err != nil:
		s.planFailed(w, r, err)
		return
	}
	for _, m := range done.Metrics {
		b.Done = append(b.Done, m.Text())
	}
	if done.Skipped > 0 {
		b.Done = append(b.Done, plural(int64(done.Skipped), "value")+" left out: no number")
	}
	s.showBaseline(w, r, status, b, form.Get("metric"))
}

// mostProblems is how many problems of a file the page lists.
const mostProblems = 20

// upload reads a file of the form; nil where none was chosen.
func upload(r *http.Request, name string) []byte {
	f, _, err := r.FormFile(name)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if err != nil || len(data) == 0 {
		return nil
	}
	return data
}
