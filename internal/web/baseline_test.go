package web

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/backtest"
	"serin/internal/baseline"
	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/simulate"
	"serin/internal/store"
)

func (f *fakeRollouts) Backtest(_ context.Context, q controller.BacktestOf) (backtest.Result, error) {
	f.on.tried = append(f.on.tried, q)
	return f.on.backtest, f.on.no
}

func (f *fakeRollouts) Traffic(_ context.Context, plan string) (simulate.Figures, error) {
	if f.on.measured == nil {
		return simulate.Figures{}, &rollout.Refusal{Kind: rollout.Barred, Why: "traffic was measured in 3 <hours>"}
	}
	return *f.on.measured, nil
}

func (f *fakeRollouts) Baseline(_ context.Context, plan string) (controller.BaselineReport, error) {
	if plan == "nix" {
		return controller.BaselineReport{}, store.ErrNotFound
	}
	return f.on.baselines, f.err
}

func (f *fakeRollouts) ImportBaseline(_ context.Context, i controller.BaselineImport) (controller.BaselineImported, error) {
	f.on.imported = append(f.on.imported, i)
	if f.on.notTaken != nil {
		return controller.BaselineImported{}, f.on.notTaken
	}
	return controller.BaselineImported{Skipped: 2, Metrics: []baseline.Imported{{Metric: "lcp", New: 24, Measured: 3, From: fixed, To: fixed, Baseline: f.on.baselines.Metrics[0]}}}, nil
}

var shortBaseline = controller.BaselineReport{Plan: "admin-workbench", Rollout: "admin-workbench-1", Metrics: []baseline.Extent{
	{Metric: "lcp", Rules: []string{"lcp > +30% vs baseline over 2h"}, Want: 168, Measured: 36},
	{Metric: "errors", Rules: []string{"errors > +50% vs baseline"}, Want: 168, Measured: 36, Imported: 132, Sources: []string{"old <monitoring>"}},
}}

// multipartForm is a multipart form; names that begin with "file " are files.
func multipartForm(t *testing.T, fields map[string]string) (body []byte, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range fields {
		var err error
		if file, ok := strings.CutPrefix(name, "file "); ok {
			part, bad := w.CreateFormFile(file, "x.csv")
			if err = bad; err == nil {
				_, err = part.Write([]byte(value))
			}
		} else {
			err = w.WriteField(name, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), w.FormDataContentType()
}

// importOn posts the form of the baseline page.
func importOn(t *testing.T, s *server, plan string, fields map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	body, kind := multipartForm(t, fields)
	r := httptest.NewRequest(http.MethodPost, "/plans/"+plan+"/baseline", bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: CookieName, Value: goodCookie})
	w := httptest.NewRecorder()
	s.routes().ServeHTTP(w, r)
	return w
}

func TestBaselinePage(t *testing.T) {
	f := planned()
	f.on.baselines = shortBaseline
	s := newWebFor(t, f, approver())
	got := plain(get(t, s, "/plans/admin-workbench/baseline").Body.String())
	for _, want := range []string{"Baseline of admin-workbench Short", "of admin-workbench-1", "lcp Short lcp &gt; &#43;30% vs baseline over 2h 7 d 1.5 d 0 d —",
		"errors Whole errors &gt; &#43;50% vs baseline 7 d 1.5 d 5.5 d old &lt;monitoring&gt;", "serin baseline import admin-workbench --csv hours.csv"} {
		if !strings.Contains(got, want) {
			t.Errorf("the page does not say %q\n%s", want, got)
		}
	}
	if w := get(t, s, "/plans/nix/baseline"); w.Code != http.StatusNotFound {
		t.Errorf("a plan that is not there: %d", w.Code)
	}
	for _, path := range []string{"/plans/admin-workbench", one} {
		if body := get(t, s, path).Body.String(); !strings.Contains(body, `<a class="link" href="/plans/admin-workbench/baseline">baseline 1.5 of 7 d (lcp)</a>`) {
			t.Errorf("%s does not say that the baseline is short", path)
		}
	}
	f.on.baselines.Metrics = nil
	if body := get(t, s, one).Body.String(); strings.Contains(body, "/baseline") {
		t.Error("the rollout page tells of a baseline that no rule needs")
	}
	if got := plain(get(t, s, "/plans/admin-workbench/baseline").Body.String()); !strings.Contains(got, "No rule of this plan compares with the baseline") {
		t.Error("the page does not say that no rule needs a baseline")
	}
}

func TestImportByForm(t *testing.T) {
	f := planned()
	f.on.baselines = shortBaseline
	s := newWebFor(t, f, approver())
	csrf := s.Sessions.CSRF(goodCookie)
	form := map[string]string{"csrf": csrf, "format": "csv", "source": "old", "scale": "1000", "replace": "1", "metric": "lcp", "file data": "time,metric\n", "file counts": "c"}
	w := importOn(t, s, "admin-workbench", form)
	text := plain(w.Body.String())
	for _, want := range []string{"lcp, 2025-02-21 12:12Z to", "24 new, 3 measured here and left as they are; baseline 1.5 of 7 d", "2 values left out"} {
		if w.Code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%d, the page does not say %q", w.Code, want)
		}
	}
	want := controller.BaselineImport{Plan: "admin-workbench", Source: "old", Replace: true, By: "ann", Via: "web",
		File: baseline.File{Format: baseline.CSV, Metric: "lcp", Data: []byte("time,metric\n"), Counts: []byte("c"), Scale: 1000}}
	if d := cmp.Diff(want, f.on.imported[0]); d != "" {
		t.Errorf("asked for (-want +got)\n%s", d)
	}

	f.on.notTaken = baseline.Problems{{Where: "line 3", Why: "it is <broken>"}}
	if w := importOn(t, s, "admin-workbench", form); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "line 3: it is &lt;broken&gt;") || !strings.Contains(w.Body.String(), `value="old"`) {
		t.Errorf("a broken file: %d", w.Code)
	}
	f.on.notTaken = fmt.Errorf("the hour is taken: %w", baseline.ErrRefused)
	if w := importOn(t, s, "admin-workbench", form); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "the hour is taken") {
		t.Errorf("hours of another source: %d", w.Code)
	}
	n := len(f.on.imported)
	form["scale"] = "many"
	if w := importOn(t, s, "admin-workbench", form); w.Code != http.StatusUnprocessableEntity {
		t.Errorf("a scale that is no number: %d", w.Code)
	}
	form["csrf"] = "other"
	if w := importOn(t, s, "admin-workbench", form); w.Code != http.StatusForbidden {
		t.Errorf("without the session's token: %d", w.Code)
	}
	form["csrf"], form["file data"] = csrf, strings.Repeat("x", maxBaselineForm)
	if w := importOn(t, s, "admin-workbench", form); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a file that is too long: %d", w.Code)
	}
	reader := newWebFor(t, f, &fakeSessions{Person{Name: "otto", Scopes: []string{"read", "operate"}}})
	form["file data"] = "x"
	if w := importOn(t, reader, "admin-workbench", form); w.Code != http.StatusForbidden {
		t.Errorf("an operator: %d", w.Code)
	}
	if got := plain(get(t, reader, "/plans/admin-workbench/baseline").Body.String()); !strings.Contains(got, "your token may not import") {
		t.Error("the page does not say what an operator lacks")
	}
	if len(f.on.imported) != n {
		t.Errorf("%d imports were asked for that must be refused", len(f.on.imported)-n)
	}
}
