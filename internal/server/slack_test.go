package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"serin/internal/alerting"
	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/notify/slack/slacktest"
	"serin/internal/rollout"
	"serin/internal/server"
)

// TestSlackApp: by the configuration alone an alert arrives in Slack, its
// button acknowledges it in the name of the linked person, and the button of
// the rollout's message rolls back, once.
func TestSlackApp(t *testing.T) {
	t.Parallel()
	double := slacktest.New(t)
	double.Emails["U1"] = "otto@example.com"
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 1), Config: config.Config{Slack: config.Slack{
		Token: slacktest.BotToken, AppToken: slacktest.AppToken, APIURL: double.API(), Channels: map[string]string{"#team": "C1"}}}})
	s.ask(http.MethodPut, "/people/otto", map[string]any{"role": "operator", "email": "otto@example.com"}, nil)
	id := s.create(strings.Replace(watchedPlan, "{ team: dashboard }", `{ team: "slack:#team" }`, 1))
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	for n := range 6 {
		s.envelope(minifiedCrash(eventID(n), "web@1"))
	}
	// button is the message with a button, and the button's value.
	button := func(verb string) (m slacktest.Message, value string) {
		double.Await("a message with the button "+verb, func() bool {
			for _, m = range double.Messages() {
				var blocks []struct {
					Elements []struct {
						ID    string `json:"action_id"`
						Value string `json:"value"`
					} `json:"elements"`
				}
				_ = json.Unmarshal([]byte(m.Blocks), &blocks)
				for _, b := range blocks {
					for _, e := range b.Elements {
						if value = e.Value; strings.HasPrefix(e.ID, "serin."+verb+".") {
							return true
						}
					}
				}
			}
			return false
		})
		return m, value
	}
	double.Await("the connection", func() bool { return len(double.Sockets()) == 1 })
	socket := double.Sockets()[0]
	press := func(envelope, verb string) {
		t.Helper()
		m, value := button(verb)
		answers := len(double.Answers())
		for i := range 2 { // a double click
			socket.Send(t, map[string]any{"envelope_id": fmt.Sprint(envelope, i), "type": "interactive", "payload": map[string]any{
				"type": "block_actions", "team": map[string]any{"id": slacktest.Team}, "user": map[string]any{"id": "U1", "team_id": slacktest.Team},
				"response_url": double.Response(verb), "channel": map[string]any{"id": m.Channel}, "message": map[string]any{"ts": m.TS, "blocks": json.RawMessage(m.Blocks)},
				"actions": []any{map[string]any{"action_id": "serin." + verb + ".0", "value": value, "action_ts": fmt.Sprint(i)}}}})
			if got := socket.Ack(); got != fmt.Sprint(envelope, i) {
				t.Fatalf("acknowledged %q", got)
			}
		}
		double.Await("both answers", func() bool { return len(double.Answers()) == answers+2 })
		for _, a := range double.Answers()[answers:] {
			if text := fmt.Sprint(a["text"]); a["replace_original"] != true || !strings.Contains(text, " by otto, ") {
				t.Errorf("%s: the message became %v", verb, a)
			}
		}
	}
	press("a", "acknowledge")
	var v alerting.View
	s.ask(http.MethodGet, "/alerts/"+id+".checkout-errors", nil, &v)
	if len(v.Groups) != 1 || v.Groups[0].AckedBy != "otto" {
		t.Errorf("acknowledged: %+v", v.Groups)
	}
	press("r", "rollback")
	var journal []rollout.Event
	s.ask(http.MethodGet, "/rollouts/"+id+"/journal", nil, &journal)
	back := 0
	for _, e := range journal {
		if e.Type == rollout.RolledBackEvent && e.By == "otto" && e.Via == "slack" {
			back++
		}
	}
	if back != 1 || s.view(id).Exposure != 0 {
		t.Errorf("%d rollbacks by otto in slack, exposure %v; want one, 0", back, s.view(id).Exposure)
	}
}
