package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/rollout"
	"serin/internal/server"
	"serin/internal/store"
)

// TestPagerAndTicket: the sixth error of the source plan's alert pages by
// PagerDuty and becomes a ticket in Jira, by the configuration alone; the
// acknowledgement and what follows are of the same incident.
func TestPagerAndTicket(t *testing.T) {
	var mu sync.Mutex
	var pages, tickets []string
	pager := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event struct {
			Key     string `json:"routing_key"`
			Action  string `json:"event_action"`
			Dedup   string `json:"dedup_key"`
			Payload struct{ Summary, Source, Severity string }
		}
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil || event.Key != "r0ut1ng" || event.Payload.Summary == "" || event.Payload.Source == "" || event.Dedup == "" {
			http.Error(w, `{"status":"invalid event"}`, http.StatusBadRequest)
			return
		}
		mu.Lock()
		pages = append(pages, event.Action+" "+event.Payload.Summary)
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"status":"success","message":"Event processed","dedup_key":%q}`, event.Dedup)
	}))
	defer pager.Close()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if user, secret, _ := r.BasicAuth(); user != "bot@example.com" || secret != "t0ken" {
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		switch r.URL.Path {
		case "/rest/api/3/search/jql":
			_, _ = io.WriteString(w, `{"issues":[]}`)
		case "/rest/api/3/issue":
			var ticket struct{ Fields struct{ Summary string } }
			_ = json.Unmarshal(body, &ticket)
			mu.Lock()
			tickets = append(tickets, ticket.Fields.Summary)
			n := len(tickets)
			mu.Unlock()
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"id":"%d","key":"OPS-%d","self":"x"}`, n, n)
		default:
			http.NotFound(w, r)
		}
	}))
	defer site.Close()
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 1), Config: config.Config{
		PagerDuty: map[string]config.PagerDuty{"on-call": {Key: "r0ut1ng", URL: pager.URL}},
		Jira:      config.Jira{URL: site.URL, Email: "bot@example.com", Token: "t0ken"},
	}})
	id := s.create(strings.NewReplacer("channels: { team: dashboard }", `channels: { page: "pagerduty:on-call", ticket: "jira:OPS/P1" }`, "notify: team", "notify: [page, ticket]").Replace(watchedPlan))
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	for n := range 6 {
		s.envelope(minifiedCrash(eventID(n), "web@1"))
	}
	eventually(t, "both are told", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(pages) != 1 || len(tickets) != 1 || !strings.HasPrefix(pages[0], "trigger P1 firing: Checkout errors") || !strings.Contains(tickets[0], "Checkout errors") {
			return fmt.Errorf("pages %q, tickets %q", pages, tickets)
		}
		return nil
	})
	var sent []store.Outgoing
	s.ask(http.MethodGet, "/rollouts/"+id+"/notices", nil, &sent)
	for _, n := range sent {
		if n.Type == "alert.firing" && (n.Thread != n.ID || n.Severity != "p1") {
			t.Errorf("notice %s: thread %q, severity %q", n.ID, n.Thread, n.Severity)
		}
	}
	var channels []struct {
		Address   string
		Connected bool
	}
	s.ask(http.MethodGet, "/channels", nil, &channels)
	for _, c := range channels {
		if !c.Connected {
			t.Errorf("%s is not connected", c.Address)
		}
	}
}
