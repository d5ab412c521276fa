package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"serin/internal/backtest"
	"serin/internal/rollout"
)

// TestBacktestForm sends the form of a plan's page, without any script.
func TestBacktestForm(t *testing.T) {
	f := short()
	f.on.backtest = backtest.Result{Plan: "admin-workbench", From: fixed, To: fixed.AddDate(0, 0, 2), Every: 60e9, Status: rollout.RolledBack, Stage: "canary", Why: "it took traffic back",
		Events:  []backtest.Event{{At: fixed, Text: "rolled back <b>", Why: "p1 is 6 <i>"}},
		Real:    []backtest.Event{{At: fixed, Text: "raised to 25 %", Exposure: 25}},
		Against: []string{"the plan rolls back <2h> earlier"}, Caveats: []string{"users had their variants"}, Unanswered: []backtest.Unanswered{{Rule: "odd > 3", Why: "nobody counts it"}}}
	s := newWebFor(t, f, approver())
	if page := get(t, s, "/plans/admin-workbench").Body.String(); !strings.Contains(page, `id="backtest"`) || strings.Contains(page, "Really</h3>") {
		t.Error("before it was sent the page has no form, or an answer")
	}
	for _, tt := range []struct {
		name, key, value string
		no               error
		status           int
		want             []string
	}{
		{"as it is", "", "", nil, http.StatusOK, []string{"rolled back &lt;b&gt;", "p1 is 6 &lt;i&gt;", "&lt;2h&gt; earlier", "25%", "odd &gt; 3", "users had their variants", "serin backtest - --rollout"}},
		{"people who come soon", "people", "soon", nil, http.StatusUnprocessableEntity, []string{"write now, never, or a time"}},
		{"refused", "", "", &rollout.Refusal{Kind: rollout.Barred, Why: "its scope <is> another"}, http.StatusUnprocessableEntity, []string{"Its scope &lt;is&gt; another."}},
		{"fails", "", "", errors.New("secret"), http.StatusUnprocessableEntity, []string{"the log of the server says why"}},
		{"another site's form", "csrf", "forged", nil, http.StatusForbidden, nil},
	} {
		f.on.no = tt.no
		form := url.Values{"csrf": {goodCSRF}, "version": {"2"}, "people": {"2h"}}
		if tt.key != "" {
			form.Set(tt.key, tt.value)
		}
		w := post(t, s, "/plans/admin-workbench/backtest", form)
		page := w.Body.String()
		if w.Code != tt.status || strings.Contains(page, "secret") {
			t.Errorf("%s: got status %d, want %d", tt.name, w.Code, tt.status)
		}
		for _, want := range tt.want {
			if !strings.Contains(page, want) {
				t.Errorf("%s: no %q", tt.name, want)
			}
		}
	}
	if len(f.on.tried) == 0 || f.on.tried[0].People.Hours() != 2 || f.on.tried[0].Plan == nil || f.on.tried[0].Rollout == "" {
		t.Errorf("asked for %+v", f.on.tried)
	}
}
