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
	"serin/internal/incident"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
)

// fakeIncidents holds incidents and the commands that were given.
type fakeIncidents struct {
	all      []response.View
	commands []incident.Command
	opened   []response.Opened
	refuse   error
}

func (f *fakeIncidents) List(sees func(string) bool, all bool) (out []response.View) {
	for _, v := range f.all {
		if sees(v.Project) && (all || v.Status != incident.Closed) {
			out = append(out, v)
		}
	}
	return out
}

func (f *fakeIncidents) Get(_ context.Context, id string) (response.View, error) {
	for _, v := range f.all {
		if v.ID == id {
			return v, nil
		}
	}
	return response.View{}, store.ErrNotFound
}

func (f *fakeIncidents) Do(_ context.Context, id string, _ Person, c incident.Command) (response.View, error) {
	f.commands = append(f.commands, c)
	v, _ := f.Get(context.Background(), id)
	return v, f.refuse
}

func (f *fakeIncidents) Open(_ context.Context, _ Person, o response.Opened) (response.View, error) {
	f.opened = append(f.opened, o)
	return f.all[0], f.refuse
}

func (f *fakeIncidents) Project(id string) (string, error) {
	v, err := f.Get(context.Background(), id)
	return v.Project, err
}

func (f *fakeIncidents) PostMortem(context.Context, string) (string, error) {
	return "# Post-mortem <b>", nil
}

// burning is an incident about which nothing was decided yet, and one that is closed.
func burning() *fakeIncidents {
	opened := fixed.Add(-11 * time.Minute)
	tree := []incident.Answer{
		{If: "p1 > 10 over stage", Do: incident.Rollback, Status: judge.NotMet, Why: "p1 is 7, limit 10", Value: "7"},
		{Branch: 1, Do: incident.Reduce, Percent: 5_000, Status: judge.Met, Why: "otherwise", Proposed: true, Users: 191, Then: []plan.Then{{Flag: "debug", To: "on"}, {Text: "find <b>the</b> cause"}}},
	}
	v := response.View{State: incident.State{ID: "INC-1", Project: "1", Rollout: "admin-workbench-1", Title: "Search <b>fails</b>", Status: incident.Open, Severity: "p1", OpenedAt: opened,
		AckedAt: opened.Add(time.Minute), AckedBy: "ben", Items: []incident.Item{{Text: "timeline"}}},
		Stage: "ramp-50", For: 11 * time.Minute, Live: incident.Impact{Affected: 37, P1: 7, New: 71, Users: 1914, Exposure: 50_000, Known: true}, Tree: tree, Proposed: &tree[1],
		Clocks: []response.ClockView{
			{Clock: incident.Respond, Limit: 5 * time.Minute, Took: time.Minute, State: response.ClockKept},
			{Clock: incident.Decide, Limit: 15 * time.Minute, Due: opened.Add(15 * time.Minute), Left: 4 * time.Minute, State: response.ClockRuns},
			{Clock: incident.Act, Limit: 30 * time.Minute, State: response.ClockMissed}},
		Timeline: []response.Entry{{Event: incident.Event{At: opened, Type: incident.Noted, By: "ben", Text: "only <i>one</i> tenant"}, Title: "Note"}},
		People:   []response.RoleView{{Role: "on-call", Who: "@ben", Lead: true}}}
	closed := response.View{State: incident.State{ID: "INC-2", Project: "1", Title: "Office network", Status: incident.Closed, Severity: "p3", OpenedAt: opened, Cause: "a cable", TextBy: "anna", Text: "- label it"}}
	away := response.View{State: incident.State{ID: "INC-3", Project: "2", Title: "Elsewhere", Status: incident.Open, Severity: "p2"}}
	return &fakeIncidents{all: []response.View{v, closed, away}}
}

func newIncidentsWeb(t *testing.T, f *fakeIncidents, scopes ...string) *server {
	s := newWebFor(t, &fakeRollouts{views: fleet()}, &fakeSessions{Person{Name: "ben", Principal: auth.Principal{Name: "ben", Scopes: scopes, Projects: []string{"1"}}}})
	s.Options.Incidents = f
	return s
}

func TestIncidentPages(t *testing.T) {
	s := newIncidentsWeb(t, burning(), "read", "operate")
	shows(t, get(t, s, "/incidents").Body.String(), []string{"2 incidents, 1 open. 1 of 2 clocks met.", "Search &lt;b&gt;fails", "written by anna", `<span class="n bad"><span class="sr">open: </span>1</span>`}, []string{"Elsewhere", "<b>fails"})
	shows(t, get(t, s, "/incidents?state=closed").Body.String(), []string{"Office network", "1 shown"}, []string{"Search &lt;b&gt;"})
	shows(t, get(t, s, "/incidents/INC-1").Body.String(), []string{"Deciding", ">37<", "data-until=", "Reduce to 5%", "flag debug is set to on", "find &lt;b&gt;the", "only &lt;i&gt;one", "# Post-mortem &lt;b&gt;", "about 191 users stay", "<option selected>p1</option>", "decide?do=hold", `class="dock"`}, []string{"<b>fails", "aria-live=\"assertive"})
	shows(t, get(t, s, "/incidents/INC-2").Body.String(), []string{"a cable", "Closed"}, []string{"/resolve", "/reopen", `class="dock"`})
	shows(t, get(t, s, "/incidents/INC-1/decide").Body.String(), []string{"Reduce to 5%?", "1,914 users", "about 191 users", "serin incident decide INC-1<", `value="5"`}, nil)
	shows(t, get(t, s, "/incidents/INC-1/decide?do=rollback").Body.String(), []string{"decide INC-1 rollback --reason TEXT", "about 0 users", "solid-danger"}, nil)
	for _, path := range []string{"/incidents/INC-3", "/incidents/INC-9", "/incidents/INC-1/decide?do=explode"} {
		if w := get(t, s, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, w.Code)
		}
	}
	if w := get(t, newWeb(t, &fakeRollouts{views: fleet()}), "/incidents"); w.Code != http.StatusNotFound {
		t.Errorf("without incidents: %d, want 404", w.Code)
	}
	reader := newIncidentsWeb(t, burning(), "read")
	shows(t, get(t, reader, "/incidents/INC-1").Body.String(), []string{"which you do not have", "Resolve</button>"}, nil)
	shows(t, get(t, reader, "/incidents/INC-1/decide").Body.String(), []string{"Locked", " disabled"}, nil)
}

func TestIncidentForms(t *testing.T) {
	no := &rollout.Refusal{Kind: rollout.Barred, Why: "INC-1 <b> is resolved"}
	tests := []struct {
		name, do string
		form     url.Values
		scopes   []string
		refuse   error
		code     int
		says     string
		want     []incident.Command
	}{
		{name: "note", do: "note", form: url.Values{"text": {" seen "}}, code: 303, want: []incident.Command{{Verb: incident.DoNote, Text: "seen", Percent: -1}}},
		{name: "proposed", do: "decide", form: url.Values{"do": {"reduce"}, "percent": {"5%"}, "taken": {"0"}}, code: 303, want: []incident.Command{{Verb: incident.DoDecide, Do: "reduce", Percent: 5_000}}},
		{name: "a decision came between", do: "decide", form: url.Values{"do": {"rollback"}, "taken": {"1"}}, code: 409, says: "Somebody decided"},
		{name: "no share", do: "decide", form: url.Values{"do": {"reduce"}, "percent": {"NaN"}, "taken": {"0"}}, code: 422, says: "such as 5%"},
		{name: "no outcome", do: "decide", form: url.Values{"do": {"explode"}, "taken": {"0"}}, code: 422, says: "Choose one of"},
		{name: "refused", do: "resolve", form: url.Values{"text": {"x"}}, refuse: no, code: 409, says: "INC-1 &lt;b&gt; is", want: []incident.Command{{Verb: incident.DoResolve, Text: "x", Percent: -1}}},
		{name: "reader", do: "note", form: url.Values{"text": {"x"}}, scopes: []string{"read"}, code: 403, says: "operate"},
		{name: "no verb", do: "explode", code: 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := burning()
			f.refuse = tt.refuse
			s := newIncidentsWeb(t, f, append(tt.scopes, map[bool][]string{true: {"read", "operate"}}[tt.scopes == nil]...)...)
			form := url.Values{"csrf": {s.Sessions.CSRF(goodCookie)}}
			for k, v := range tt.form {
				form[k] = v
			}
			w := post(t, s, "/incidents/INC-1/"+tt.do, form)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("got %d, want %d with %q", w.Code, tt.code, tt.says)
			}
			if d := cmp.Diff(tt.want, f.commands); d != "" {
				t.Error(d)
			}
			form.Set("csrf", "wrong")
			before := len(f.commands)
			if w := post(t, s, "/incidents/INC-1/"+tt.do, form); w.Code == 303 || len(f.commands) != before {
				t.Errorf("without the token: %d", w.Code)
			}
			form.Set("csrf", s.Sessions.CSRF(goodCookie))
			if w := post(t, s, "/incidents/INC-3/"+tt.do, form); w.Code != 404 || len(f.commands) != before {
				t.Errorf("of another project: %d", w.Code)
			}
		})
	}
}
