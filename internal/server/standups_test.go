package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/reporting"
	"serin/internal/rollout"
	"serin/internal/server"
)

// reportedPlan asks for reports soon after its start.
var reportedPlan = strings.NewReplacer("channels: { team: dashboard }", `channels: { team: "webhook:team" }`,
	"alerts:\n  - { alert: Checkout errors, if: errors > 5 over 10m, severity: p1, notify: team }", `reports:
  stand-up: { daily: "09:20", to: team }
  review: { every: 5m, to: team }`,
	"traffic: 100%, ", "traffic: 100%, approve: [lead], ",
	"preflight:", "roles:\n  lead: { who: \"@admin\", may: [start, approve] }\npreflight:").Replace(watchedPlan)

// TestReports: the stand-up comes at its time with what really happened and
// goes to the channel; what is decided there is recorded with the name, and
// carried out.
func TestReports(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string][]string{} // texts by type
	team := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var sent struct {
			Type string
			Data struct{ Title, Text string }
		}
		_ = json.NewDecoder(r.Body).Decode(&sent)
		mu.Lock()
		defer mu.Unlock()
		told[sent.Type] = append(told[sent.Type], sent.Data.Title+"\n"+sent.Data.Text)
	}))
	defer team.Close()
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 200), Config: config.Config{
		Webhooks: map[string]config.Webhook{"team": {URL: team.URL, Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", AllowPrivate: true}},
	}})
	id := s.create(reportedPlan)
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/standup", map[string]any{"do": "hold"}); a.status != http.StatusConflict || !strings.Contains(a.detail(), "had no stand-up yet") {
		t.Errorf("before the first: %d %s", a.status, a.detail())
	}
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	in, _ := s.users("newCheckout")
	crash := func(n int) {
		s.envelope([]byte(strings.ReplaceAll(string(minifiedCrash(eventID(n), "web@1")), `"u1"`, fmt.Sprintf("%q", in))))
	}
	for n := range 7 {
		crash(n)
	}
	var day reporting.Standup
	eventually(t, "the stand-up of 09:20", func() error {
		s.ask(http.MethodGet, "/standup", nil, &day)
		if len(day.Reports) == 0 {
			return errors.New("none yet")
		}
		return nil
	})
	got := day.Reports[0]
	if got.Day != "2026-03-02" || got.Due.Format("15:04") != "09:20" || len(got.Issues) != 1 || got.Issues[0].Events != 7 || got.Issues[0].Users != 1 {
		t.Errorf("the stand-up: %+v", got)
	}
	severe := map[string]float64{}
	for _, row := range got.Severe {
		if row.Now != nil {
			severe[row.Metric] = *row.Now
		}
	}
	if severe["p1"]+severe["p2"] != 7 {
		t.Errorf("severe errors: %v, want the 7 that were sent", severe)
	}
	if len(day.Open) != 1 || day.Open[0].Rollout != id || day.Open[0].Advice == "" {
		t.Errorf("to decide: %+v", day.Open)
	}
	eventually(t, "both kinds reach the channel", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(told["report.stand-up"]) == 0 || len(told["report.review"]) == 0 {
			return fmt.Errorf("%d stand-ups, %d reviews", len(told["report.stand-up"]), len(told["report.review"]))
		}
		return nil
	})
	mu.Lock()
	if text := told["report.stand-up"][0]; !strings.Contains(text, "Stand-up of "+id) || !strings.Contains(text, "New: ") || !strings.Contains(text, "Decide: ") {
		t.Errorf("as sent: %s", text)
	}
	mu.Unlock()

	var said reporting.View
	s.ask(http.MethodPost, "/rollouts/"+id+"/standup", map[string]any{"do": "proceed", "reason": "all clear", "present": []string{"anna", "ben"}, "day": got.Day}, &said)
	if len(said.Notes) != 1 || !said.Notes[0].Approved || said.Notes[0].By != "admin" || said.Notes[0].Role != "lead" {
		t.Errorf("recorded: %+v", said.Notes)
	}
	if marks := s.view(id).State.Approved; len(marks) != 1 || marks[0].By != "admin" {
		t.Errorf("approved: %+v", marks)
	}
	if a := s.api(http.MethodPost, "/rollouts/"+id+"/standup", map[string]any{"do": "hold", "day": "2026-03-01"}); a.status != http.StatusConflict {
		t.Errorf("of an older day: %d %s", a.status, a.detail())
	}
	s.ask(http.MethodPost, "/rollouts/"+id+"/standup", map[string]any{"do": "rollback", "reason": "they crash"}, nil)
	if got := s.view(id).State.Status; got != rollout.RolledBack {
		t.Errorf("after the word of the stand-up it is %s", got)
	}
	text := string(s.api(http.MethodGet, "/standup?format=markdown&date="+got.Day, nil).body)
	for _, want := range []string{"# Stand-up of", "Proceed, approved: all clear (there were anna, ben)", "Roll back: they crash", "| P1 errors |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the Markdown lacks %q:\n%s", want, text)
		}
	}
	var audit []struct{ Verb, Who, Target string }
	s.ask(http.MethodGet, "/audit?target=rollout+"+id, nil, &audit)
	n := 0
	for _, a := range audit {
		if strings.HasPrefix(a.Verb, "stand-up ") && a.Who == "admin" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("%d entries of the stand-up in the audit log, want 2: %v", n, audit)
	}
	var reviews []reporting.View
	s.ask(http.MethodGet, "/rollouts/"+id+"/reviews", nil, &reviews)
	if len(reviews) < 2 || reviews[0].Due.Before(reviews[1].Due) {
		t.Errorf("%d reviews", len(reviews))
	}
	s.do(id, rollout.Cancel, "reason", "the test is over")
	eventually(t, "the final report goes out", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(told["report.final"]) != 1 || !strings.Contains(told["report.final"][0], "Final report of "+id+": cancelled") {
			return fmt.Errorf("%q", told["report.final"])
		}
		return nil
	})
}
