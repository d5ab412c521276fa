package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/auth"
	"serin/internal/evidence"
	"serin/internal/store"
	"serin/internal/symbolicate"
	"serin/internal/telemetry"
)

// fakeIssues holds issues of project 1 and the changes that were asked for.
type fakeIssues struct {
	all     []store.Issue
	events  []telemetry.Event
	frames  []symbolicate.Frame
	missing string
	changes []evidence.IssueChange
	err     error
}

func (f *fakeIssues) Issues(context.Context, auth.Principal) ([]store.Issue, error) {
	return append([]store.Issue(nil), f.all...), f.err
}

func (f *fakeIssues) Issue(_ context.Context, _ auth.Principal, id string) (store.Issue, error) {
	for _, i := range f.all {
		if i.ID == id {
			return i, nil
		}
	}
	return store.Issue{}, store.ErrNotFound
}

func (f *fakeIssues) Events(context.Context, string, int) ([]telemetry.Event, error) {
	return f.events, nil
}

func (f *fakeIssues) Triage(_ context.Context, _ auth.Principal, id, via string, c evidence.IssueChange) error {
	if via != "web" {
		return errors.New("via is " + via)
	}
	f.changes = append(f.changes, c)
	return nil
}

func (f *fakeIssues) Stack(context.Context, *telemetry.Event) ([]symbolicate.Frame, string) {
	return f.frames, f.missing
}

// brokenGrid is an issue that only the canary's users have.
func brokenGrid() *fakeIssues {
	hours := make([]int64, 24)
	hours[23], hours[22] = 5, 1
	raw := telemetry.Frame{Function: "t", File: "https://shop.example/app.js", Line: 1, Column: 4711, InApp: true}
	read := telemetry.Frame{Function: "WidgetGrid", File: "src/WidgetGrid.tsx", Line: 48, Column: 27, InApp: true,
		Source: &telemetry.Source{Before: []string{"  // one card", ""}, Line: "  const cards = widgets.map((w) => (", After: []string{"  ))"}}}
	lib := telemetry.Frame{Function: "renderWithHooks", File: "node_modules/react-dom/index.js", Line: 7}
	return &fakeIssues{
		all: []store.Issue{
			{ID: "SERIN-318", Project: "1", Title: "TypeError: <b>widgets.map</b> is not a function", Culprit: "WidgetGrid.tsx in WidgetGrid", Level: "error", Status: "unresolved",
				FirstSeen: fixed.Add(-23 * time.Minute), LastSeen: fixed.Add(-12 * time.Second), Release: "web@2", Events: 6, Users: 5, Hours: hours, Unhandled: true,
				Tags: map[string]string{"feature": "admin-workbench"}, Arms: map[string]store.ArmCount{"admin-workbench-1/new": {Events: 6, Users: 5}}},
			{ID: "SERIN-9", Project: "1", Title: "RangeError: Invalid time value", Level: "fatal", Status: "unresolved", FirstSeen: fixed.Add(-90 * 24 * time.Hour), LastSeen: fixed.Add(-time.Hour),
				Events: 30, Users: 20, Triage: store.Triage{Owner: "ben", Reviewed: fixed}, Arms: map[string]store.ArmCount{"admin-workbench-1/new": {Events: 7, Users: 5}, "admin-workbench-1/old": {Events: 23, Users: 15}}},
			{ID: "SERIN-1", Project: "1", Title: "old news", Level: "error", Status: "resolved", FirstSeen: fixed.Add(-time.Hour), LastSeen: fixed.Add(-time.Hour)},
		},
		events: []telemetry.Event{{ID: "e1", Kind: telemetry.KindError, Received: fixed, Time: fixed, Title: "TypeError", User: "u-1", Page: "/admin/users", Release: "web@2", Flags: map[string]string{"adminWorkBench": "on"},
			Tags: map[string]string{"tenant": "globex", "feature": "admin-workbench"}, Breadcrumbs: []telemetry.Breadcrumb{
				{Time: fixed.Add(-2 * time.Second), Category: "ui.click", Message: "Clicked <Users>"}, {Time: fixed.Add(-time.Second), Category: "fetch", Message: "GET /api/widgets 200"}}}},
		frames: []symbolicate.Frame{{Frame: read, Raw: raw, Mapped: true}, {Frame: lib, Raw: lib}},
	}
}

func newIssuesWeb(t *testing.T, f *fakeIssues) *server {
	s := newWebFor(t, &fakeRollouts{views: fleet()}, &fakeSessions{Person{Name: "team-lead", Principal: auth.Principal{Name: "team-lead", Scopes: []string{"read", "operate"}}}})
	s.Issues = f
	return s
}

// TestErrorsPage: the order, the search and what the rows say.
func TestErrorsPage(t *testing.T) {
	s := newIssuesWeb(t, brokenGrid())
	body := get(t, s, "/issues").Body.String()
	shows(t, body, []string{"2 open issues, 1 of them seen only on canary", "new on canary", "for review", "100% canary, 0% control", "TypeError: &lt;b&gt;widgets.map", `<span>is:</span>unresolved`,
		"feature:admin-workbench", "12 s ago", ">P2<", ">P1<"}, []string{"old news", "<b>widgets"})
	if strings.Index(body, "SERIN-318") > strings.Index(body, "SERIN-9") {
		t.Error("the most unequal issue is not first")
	}
	for search, want := range map[string]string{
		"?q=": "SERIN-1", "?q=is:resolved": "old news", "?q=arm:both": "RangeError", "?q=is:unresolved&add=level:fatal": "1 of 1", "?q=firstSeen:-1d+is:for_review": "SERIN-318",
		"?q=a:1+OR+level:error": `value="a:1 OR level:error"`, "?sort=events": "SERIN-9", "?q=assigned:ben": "RangeError",
	} {
		if got := get(t, s, "/issues"+search).Body.String(); !strings.Contains(got, want) {
			t.Errorf("%s does not show %q", search, want)
		}
	}
	bad := get(t, s, "/issues?q="+url.QueryEscape("level:>=>"))
	if bad.Code != http.StatusUnprocessableEntity || !strings.Contains(bad.Body.String(), "At character") {
		t.Errorf("a wrong search: %d", bad.Code)
	}
	f := brokenGrid()
	f.err = errors.New("disk on fire")
	if w := get(t, newIssuesWeb(t, f), "/issues"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "could not be read") {
		t.Errorf("unreadable issues: %d", w.Code)
	}
}

// TestIssuePage: stack, source, what came before, arms, facts, all escaped.
func TestIssuePage(t *testing.T) {
	f := brokenGrid()
	s := newIssuesWeb(t, f)
	body := get(t, s, "/issues/SERIN-318").Body.String()
	shows(t, body, []string{"<code>WidgetGrid</code>", "src/WidgetGrid.tsx:48:27", "from https://shop.example/app.js:1:4711", `<div class="hit"><span>48</span>`, "1 more of libraries",
		"Clicked &lt;Users&gt;", "GET /api/widgets 200", "5 users of", "globex", "Flag adminWorkBench", "Accept as known", "serin issues show SERIN-318"}, []string{"renderWithHooks", "<Users>"})
	shows(t, get(t, s, "/issues/SERIN-318?frames=all").Body.String(), []string{"renderWithHooks"}, []string{"more of libraries"})
	shows(t, get(t, s, "/issues/SERIN-318?frames=raw").Body.String(), []string{"<code>t</code>"}, []string{"const cards"})
	f.missing = "no source map of release web@2 explains app.js"
	shows(t, get(t, s, "/issues/SERIN-318").Body.String(), []string{f.missing, "serin sourcemaps upload"}, nil)
	shows(t, get(t, s, "/issues/SERIN-1").Body.String(), []string{"Open again", "Resolved", "the next event brings it back"}, []string{"Accept as known"})
	f.events = nil
	shows(t, get(t, s, "/issues/SERIN-318").Body.String(), []string{"older than samples are kept"}, nil)
	if w := get(t, s, "/issues/SERIN-999"); w.Code != http.StatusNotFound {
		t.Errorf("an unknown issue: %d", w.Code)
	}
}

// TestTriageForm: each button becomes one decision in the person's name.
func TestTriageForm(t *testing.T) {
	f := brokenGrid()
	s := newIssuesWeb(t, f)
	owner := "ben"
	for _, tc := range []struct {
		form url.Values
		want evidence.IssueChange
	}{
		{url.Values{"do": {"resolve"}}, evidence.IssueChange{Status: "resolved"}},
		{url.Values{"do": {"resolve-next"}}, evidence.IssueChange{Status: "resolved", NextRelease: true}},
		{url.Values{"do": {"accept"}, "for": {"7d"}}, evidence.IssueChange{Status: "ignored", Until: fixed.Add(7 * 24 * time.Hour)}},
		{url.Values{"do": {"accept"}}, evidence.IssueChange{Status: "ignored"}},
		{url.Values{"do": {"reopen"}}, evidence.IssueChange{Status: "unresolved"}},
		{url.Values{"do": {"review"}}, evidence.IssueChange{Reviewed: true}},
		{url.Values{"do": {"assign"}, "owner": {" ben "}}, evidence.IssueChange{Owner: &owner}},
	} {
		f.changes = nil
		tc.form.Set("csrf", goodCSRF)
		w := post(t, s, "/issues/SERIN-318", tc.form)
		tc.want.By = "team-lead"
		if w.Code != http.StatusSeeOther || len(f.changes) != 1 {
			t.Fatalf("%v: %d, %d changes", tc.form, w.Code, len(f.changes))
		}
		if d := cmp.Diff(tc.want, f.changes[0]); d != "" {
			t.Errorf("%v (-want +got):\n%s", tc.form, d)
		}
	}
	f.changes = nil
	for _, form := range []url.Values{{"do": {"burn"}}, {"do": {"accept"}, "for": {"9y"}}, {"do": {"assign"}, "owner": {strings.Repeat("a", 101)}}} {
		form.Set("csrf", goodCSRF)
		if w := post(t, s, "/issues/SERIN-318", form); w.Code != http.StatusUnprocessableEntity || len(f.changes) != 0 {
			t.Errorf("%v: %d, %d changes", form, w.Code, len(f.changes))
		}
	}
}
