package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"serin/internal/simulate"
)

// short are the plans whose latest version runs in a few hours.
func short() *fakeRollouts {
	f := planned()
	f.on.text.Source = strings.Replace(textBefore, "100%\n", "100%\n    bake: 2h\n    proceed: [p1 = 0]\n    checks: []\n", 1)
	f.on.text.Source = strings.Replace(f.on.text.Source, `at: "00:00"`, `at: "09:00"`, 1)
	f.on.text.Source = strings.Replace(f.on.text.Source, "bake: 48h", "bake: 2h\n    proceed: [p1 = 0]\n    checks: []", 1)
	return f
}

// TestSimulate sends the form of the plan page, without any script.
func TestSimulate(t *testing.T) {
	f := short()
	s := newWebFor(t, f, approver())
	if page := plain(get(t, s, "/plans/admin-workbench").Body.String()); !strings.Contains(page, "Page views a day") || strings.Contains(page, "Whole plan") {
		t.Error("before it was sent the page has no form, or a result")
	}
	if page := get(t, s, "/plans/admin-workbench?measured=1").Body.String(); !strings.Contains(page, "Traffic was measured in 3 &lt;hours&gt;") || !strings.Contains(page, `value="20,000"`) {
		t.Error("a page on which too little was measured does not say so, or lost its figures")
	}
	f.on.measured = &simulate.Figures{Traffic: simulate.DefaultTraffic(), Basis: []string{"41,000 page views <a day>"}, Assumed: []string{"weekends"}}
	f.on.measured.Traffic.ViewsPerDay = 41_000
	for _, want := range []string{`value="41000"`, "41,000 page views &lt;a day&gt;", "assumed: weekends", "daily=0.8", "--measured"} {
		if page := get(t, s, "/plans/admin-workbench?measured=1").Body.String(); !strings.Contains(page, want) {
			t.Errorf("what was measured is not filled in: no %q", want)
		}
	}
	const path = "/plans/admin-workbench/simulate"
	good := url.Values{"csrf": {goodCSRF}, "version": {"2"}, "views_per_day": {"20,000"}, "users": {"500"}, "errors_per_view": {"0.1%"}, "more": {"complaints_per_day=2\n"}}
	for _, tt := range []struct {
		name, key, value string
		status           int
		want             []string
	}{
		{"as it stands", "", "", http.StatusOK, []string{"400 healthy runs at 20,000 page views a day of 500 users", "False rollback, whole plan", "p1 &gt; 5 over 1h fixed limit", "canary 10%", "Reached"}},
		{"with regressions", "grid", "1", http.StatusOK, []string{"errors ×20 0% (&lt;3.0%)", "Caught with 80%, interpolated", "whole plan", "holdback 10%", "as it is"}},
		{"no number", "users", "many", http.StatusUnprocessableEntity, []string{"users: &#34;many&#34; is no figure", "Page views a day"}},
		{"nobody", "users", "0", http.StatusUnprocessableEntity, []string{"users 0: give a number from 1"}},
		{"an unknown metric", "more", "speed=3", http.StatusUnprocessableEntity, []string{"is no metric of the plan"}},
		{"no assignment", "more", "speed", http.StatusUnprocessableEntity, []string{"write METRIC=VALUE"}},
		{"no such version", "version", "7", http.StatusNotFound, nil},
		{"another site's form", "csrf", "forged", http.StatusForbidden, nil},
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		if tt.key != "" {
			form.Set(tt.key, tt.value)
		}
		got := post(t, s, path, form)
		page := plain(got.Body.String())
		if got.Code != tt.status {
			t.Errorf("%s: got status %d, want %d", tt.name, got.Code, tt.status)
		}
		for _, want := range tt.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q", tt.name, want)
			}
		}
	}
}
