package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/auth"
	"serin/internal/reporting"
	"serin/internal/rollout"
	"serin/internal/standup"
	"serin/internal/store"
)

// fakeStandups holds reports and the decisions that were given.
type fakeStandups struct {
	day     reporting.Standup
	reviews []reporting.View
	asked   []reporting.Query
	given   []reporting.Decision
	refuse  error
}

func (f *fakeStandups) Standup(_ context.Context, q reporting.Query) (reporting.Standup, error) {
	f.asked = append(f.asked, q)
	if q.Rollout == "nobody" {
		return reporting.Standup{}, store.ErrNotFound
	}
	return f.day, nil
}

func (f *fakeStandups) Reviews(context.Context, reporting.Query, int) ([]reporting.View, error) {
	return f.reviews, nil
}

func (f *fakeStandups) Decide(_ context.Context, _ Person, d reporting.Decision) (reporting.View, error) {
	f.given = append(f.given, d)
	return reporting.View{}, f.refuse
}

// morning is a stand-up with something of everything.
func morning() *fakeStandups {
	one, five := 1.0, 5.0
	daily := standup.Report{ID: "admin-workbench-1/stand-up/2025-02-21", Kind: standup.Daily, Rollout: "admin-workbench-1", Plan: "admin-workbench", Timezone: "UTC", Day: "2025-02-21",
		From: fixed.Add(-24 * time.Hour), To: fixed, Exposure: 10, Status: rollout.Running, Late: "2h late",
		Sections: []standup.Section{standup.Metrics, standup.Severe, standup.NewIssues, standup.Complaints}, Unknown: []string{"horoscope"},
		Metrics: []standup.Row{{Metric: "p1", Title: "P1 errors", Now: &one, Before: &five, Rule: "p1 = 0", Word: "not met"}, {Metric: "lcp", Title: "Page load", Unit: "ms", Why: "nothing of it was ever measured"}},
		Severe:  []standup.Row{{Metric: "p1", Title: "P1 errors", Now: &one}},
		Issues:  []standup.Issue{{ID: "SERIN-4", Title: "Boom <b>", Events: 3, Users: 1}},
		Moves:   []standup.Move{{At: fixed, Text: "raised to <i>10%"}}}
	view := reporting.View{Report: daily, Text: "10% on new <b>", Notes: []standup.Note{{Do: reporting.Hold, By: "anna", Reason: "wait <b>", At: fixed}},
		Sent: []reporting.Sent{{Channel: "team", Address: "slack:#team", State: "delivered"}}}
	review := daily
	review.Kind, review.ID, review.Sections, review.Against = standup.Review, "admin-workbench-1/review/1", []standup.Section{standup.Spikes, standup.SlowDowns}, ""
	review.Spikes = []standup.Spike{{What: "Boom <b>", Issue: "SERIN-4", Events: 12, Over: time.Hour}}
	ask := reporting.Open{Rollout: "admin-workbench-1", Project: "1", Status: rollout.Running,
		Question: standup.Question{Text: "admin-workbench: 10% to 25%", Advice: standup.AdviseHold, Why: "1 of 2 gates met", Version: 7, Needs: []standup.Need{{Kind: "approval", Text: "approval team-lead"}}}}
	return &fakeStandups{day: reporting.Standup{Day: "2025-02-21", Reports: []reporting.View{view}, Open: []reporting.Open{ask}, Days: []string{"2025-02-21", "2025-02-20"}},
		reviews: []reporting.View{{Report: review}}}
}

func newStandupWeb(t *testing.T, f *fakeStandups, scopes ...string) *server {
	s := newWebFor(t, &fakeRollouts{views: fleet()}, &fakeSessions{Person{Name: "ben", Principal: auth.Principal{Name: "ben", Scopes: scopes, Projects: []string{"1"}}}})
	s.Standups = f
	return s
}

func TestStandupPages(t *testing.T) {
	f := morning()
	s := newStandupWeb(t, f, "read", "operate")
	shows(t, get(t, s, "/standup").Body.String(), []string{
		"Stand-up, Friday 21 February 2025", "admin-workbench-1</a>: 10% to 25%", "serin advises: hold", "approval team-lead", "0 of 1 open", "anna,", "wait &lt;b&gt;",
		"Boom &lt;b&gt;", "1 to look at", "nothing of it was ever measured", "2h late", "horoscope", "raised to &lt;i&gt;10%", "slack:#team): delivered", `value="7"`, `value="2025-02-21"`, "/rollouts/admin-workbench-1/rollback", ">24h<", "Day before", `href="/standup/2025-02-20"`,
	}, []string{"Boom <b>", "wait <b>", "2 to look at"})
	shows(t, get(t, s, "/standup/2025-02-21?rollout=a").Body.String(), []string{"serin standup --date 2025-02-21 --rollout a", "date=2025-02-21&amp;rollout=a"}, nil)
	if q := f.asked[len(f.asked)-1]; q.Day != "2025-02-21" || q.Rollout != "a" || q.Sees("2") || !q.Sees("1") {
		t.Errorf("asked for %+v", q)
	}
	shows(t, get(t, s, "/rollouts/"+fleet()[0].ID+"/reviews").Body.String(), []string{"SERIN-4", "12 times", "Not compared: the stage is too young", "serin review "}, []string{"Day before"})
	for _, path := range []string{"/standup/tomorrow", "/standup?rollout=nobody", "/rollouts/nobody-1/reviews"} {
		if w := get(t, s, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
	if w := get(t, newWeb(t, &fakeRollouts{views: fleet()}), "/standup"); w.Code != http.StatusNotFound {
		t.Errorf("without stand-ups: %d, want 404", w.Code)
	}
	shows(t, get(t, newStandupWeb(t, morning(), "read"), "/standup").Body.String(), []string{"10% to 25%"}, []string{"<form id=\"su-"})
	shows(t, get(t, newStandupWeb(t, &fakeStandups{}, "read"), "/standup").Body.String(), []string{"No rollout is under way", "No stand-up yet"}, nil)
}

func TestStandupForm(t *testing.T) {
	id := fleet()[0].ID
	tests := []struct {
		name   string
		path   string
		form   url.Values
		scopes []string
		refuse error
		code   int
		says   string
		want   []reporting.Decision
	}{
		{name: "proceed", form: url.Values{"do": {"proceed"}, "day": {"2025-02-21"}, "version": {"7"}, "reason": {" all clear "}, "present": {"anna, ben,"}}, code: 303,
			want: []reporting.Decision{{Rollout: id, Day: "2025-02-21", Do: "proceed", Reason: "all clear", Present: []string{"anna", "ben"}, Version: 7}}},
		{name: "refused", form: url.Values{"do": {"proceed"}}, refuse: &rollout.Refusal{Kind: rollout.Stale, Why: "it changed <b>"}, code: 409, says: "It changed &lt;b&gt;", want: []reporting.Decision{{Rollout: id, Do: "proceed"}}},
		{name: "not there", path: "/standup/nobody-1", code: 404},
		{name: "reader", scopes: []string{"read"}, form: url.Values{"do": {"hold"}}, code: 403, says: "operate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := morning()
			f.refuse = tt.refuse
			if tt.scopes == nil {
				tt.scopes = []string{"read", "operate"}
			}
			if tt.path == "" {
				tt.path = "/standup/" + id
			}
			s := newStandupWeb(t, f, tt.scopes...)
			form := url.Values{"csrf": {s.Sessions.CSRF(goodCookie)}}
			for k, v := range tt.form {
				form[k] = v
			}
			w := post(t, s, tt.path, form)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("got %d, want %d with %q", w.Code, tt.code, tt.says)
			}
			if d := cmp.Diff(tt.want, f.given); d != "" {
				t.Error(d)
			}
		})
	}
}
