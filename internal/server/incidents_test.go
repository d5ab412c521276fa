package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"serin/internal/api"
	"serin/internal/incident"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/store"
	"serin/internal/web"
)

// incidentBlock is what the plan of these tests does in an incident.
const incidentBlock = `incident:
  opens: [alert p1]
  decide:
    - { if: p1 > 10 over stage, do: rollback }
    - { if: affected_users < 5, do: hotfix, then: [test in staging] }
    - { do: reduce 5% }
  close: [timeline, root cause, post-mortem]
`

// TestIncident: the sixth error opens an incident, which keeps the rollout from
// being raised until a person has decided, resolved and closed it.
func TestIncident(t *testing.T) {
	t.Parallel()
	s := start(t, 1)
	id := s.create(watchedPlan + incidentBlock)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	for n := range 6 {
		if a := s.envelope(minifiedCrash(eventID(n), "web@1")); a.status != http.StatusOK {
			t.Fatalf("envelope: %d %s", a.status, a.body)
		}
	}
	var v response.View
	eventually(t, "the incident is open and in the rollout's journal", func() error {
		var all []response.View
		s.ask(http.MethodGet, "/incidents", nil, &all)
		if len(all) != 1 || all[0].Rollout != id || all[0].Severity != "p1" || len(s.view(id).State.Incidents) != 1 {
			return fmt.Errorf("%+v", all)
		}
		v = all[0]
		return nil
	})
	path := "/incidents/" + v.ID
	if a := s.api(http.MethodPost, "/incidents", map[string]any{"rollout": id, "title": "again"}); a.status != http.StatusConflict {
		t.Errorf("a second incident of one rollout: %d %s", a.status, a.detail())
	}
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/promote", map[string]any{"reason": "known good"}); a.status != http.StatusConflict || !strings.Contains(a.detail(), v.ID) {
		t.Errorf("promote while it is open: %d %s", a.status, a.detail())
	}
	s.hire("otto", "operator")
	cookie := s.signIn("otto")
	for page, want := range map[string]string{"/alerts/" + id + ".checkout-errors": `href="` + path + `"`, "/rollouts/" + id: "Raises wait for incident " + v.ID} {
		if a := s.direct(http.MethodGet, page, "", "Cookie", web.CookieName+"="+cookie); a.status != http.StatusOK || !strings.Contains(string(a.body), want) {
			t.Errorf("page %s: %d, without %q", page, a.status, want)
		}
	}
	for range 2 { // the form is sent twice
		if a := s.submit(path+"/note", cookie, url.Values{"text": {"seen by two"}, "key": {"1"}}); a.status != http.StatusSeeOther {
			t.Errorf("note on the page: %d %s", a.status, a.body)
		}
	}
	for range 2 {
		a := s.must(http.MethodPost, "/api/v1"+path+"/note", []byte(`{"text": "sent again"}`), "Authorization", "Bearer "+s.boot.AdminToken, "Content-Type", "application/json", "Idempotency-Key", "n1")
		if a.status != http.StatusOK {
			t.Errorf("note over the API: %d %s", a.status, a.body)
		}
	}
	s.ask(http.MethodGet, path, nil, &v)
	notes := []string{}
	for _, e := range v.Timeline {
		if e.Type == incident.Noted {
			notes = append(notes, e.Text)
		}
	}
	if len(notes) != 2 || notes[0] != "sent again" || notes[1] != "seen by two" {
		t.Errorf("each note is sent twice and kept once: %q", notes)
	}
	s.ask(http.MethodPost, path+"/acknowledge", nil, &v)
	s.ask(http.MethodPost, path+"/note", map[string]any{"text": "only one release"}, &v)
	s.ask(http.MethodGet, path, nil, &v)
	if v.Proposed == nil || v.Proposed.Do != incident.Hotfix || v.Clocks[0].State != response.ClockKept || v.Clocks[1].State != response.ClockRuns || !v.Live.Known {
		t.Errorf("tree and clocks: %+v", v)
	}
	s.ask(http.MethodPost, path+"/decide", nil, &v)
	if got := s.view(id); got.State.Exposure != 0 || got.State.Status != rollout.Reduced {
		t.Errorf("after the decision: %s at %v", got.State.Status, got.State.Exposure)
	}
	s.ask(http.MethodPost, path+"/resolve", map[string]any{"text": "a hit without title"}, &v)
	if a := s.api(http.MethodPost, path+"/close", nil); a.status != http.StatusConflict || !strings.Contains(a.detail(), "timeline, post-mortem") {
		t.Errorf("close: %d %s", a.status, a.detail())
	}
	s.ask(http.MethodPost, path+"/item", map[string]any{"item": "timeline"}, &v)
	s.ask(http.MethodPut, path+"/postmortem", map[string]any{"text": "- Contract test (Ben)"}, &v)
	s.ask(http.MethodPost, path+"/close", nil, &v)
	if in := s.view(id).State.Incidents; v.Status != incident.Closed || len(in) != 1 || !in[0].Resolved || !in[0].Closed {
		t.Errorf("closed: %s, the rollout knows %+v", v.Status, in)
	}
	var p api.PostMortem
	s.ask(http.MethodGet, path+"/postmortem", nil, &p)
	for _, want := range []string{"alert Checkout errors", "only one release", "hotfix", "a hit without title", "- Contract test (Ben)"} {
		if !strings.Contains(p.Markdown, want) {
			t.Errorf("the post-mortem has no %q:\n%s", want, p.Markdown)
		}
	}
	told := map[string]bool{}
	var notices []store.Outgoing
	s.ask(http.MethodGet, "/rollouts/"+id+"/notices", nil, &notices)
	for _, n := range notices {
		if n.Thread == v.ID {
			told[n.Type] = true
		}
	}
	for _, want := range []string{"incident.opened", "incident.decided", "incident.resolved"} {
		if !told[want] {
			t.Errorf("nobody was told %s: %v", want, told)
		}
	}
}
