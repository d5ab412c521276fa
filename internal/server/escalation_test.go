package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"serin/internal/alerting"
	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/controller"
	"serin/internal/incident"
	"serin/internal/paging"
	"serin/internal/response"
	"serin/internal/rollout"
	"serin/internal/server"
)

// TestPageEscalates: an alert pages Ben, who is on call; nobody answers, and
// after the chain's wait Cara is paged too. She acknowledges on the page of
// the dashboard: nobody is told any more, and the alert is hers, with an entry in
// the audit log. An incident that a person opens pages by the same rota, and
// who acknowledges it acknowledges its page.
func TestPageEscalates(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	told := map[string][]string{} // titles by person
	phones := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var sent struct{ Data struct{ Title string } }
		_ = json.NewDecoder(r.Body).Decode(&sent)
		mu.Lock()
		defer mu.Unlock()
		who := strings.TrimPrefix(r.URL.Path, "/")
		told[who] = append(told[who], sent.Data.Title)
	}))
	defer phones.Close()
	heard := func(who string) int {
		mu.Lock()
		defer mu.Unlock()
		return len(told[who])
	}
	hooks := map[string]config.Webhook{}
	for _, who := range []string{"ben", "cara"} {
		hooks[who] = config.Webhook{URL: phones.URL + "/" + who, Secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", AllowPrivate: true}
	}
	s := startWith(t, server.Options{Clock: clock.Fast(monday, 60), Config: config.Config{Webhooks: hooks}})
	for who := range hooks {
		s.hire(who, "operator")
		s.ask(http.MethodPut, "/oncall/contacts/"+who, map[string]any{"addresses": []string{"webhook:" + who}}, nil)
	}
	s.ask(http.MethodPut, "/oncall/rotas/web", map[string]any{"timezone": "UTC",
		"layers": []any{map[string]any{"people": []string{"ben"}, "starts": "2020-01-06"}},
		"chain":  map[string]any{"rounds": 1, "links": []any{map[string]any{"tell": []string{"rota"}, "wait": 120e9}, map[string]any{"tell": []string{"rota", "@cara"}, "wait": 3600e9}}}}, nil)
	plan := strings.NewReplacer("team: dashboard }", `page: "oncall:web" }`, "notify: team", "notify: page",
		"preflight:\n", "roles:\n  on-call: { who: \"oncall:web\", may: [start, approve] }\npreflight:\n  - { id: filled, do: Somebody is on call, verify: role filled on-call }\n").Replace(watchedPlan)
	id := s.create(plan)
	eventually(t, "the role is filled by who is on call", func() error {
		for _, item := range s.view(id).Checklist {
			if item.ID == "filled" && item.Seen == "oncall:web: ben" {
				return nil
			}
		}
		return fmt.Errorf("%+v", s.view(id).Checklist)
	})
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	for n := range 6 {
		s.envelope(minifiedCrash(eventID(n), "web@1"))
	}
	eventually(t, "Ben is paged, then Cara too", func() error {
		if b, c := heard("ben"), heard("cara"); b != 2 || c != 1 {
			return fmt.Errorf("Ben %d, Cara %d times", b, c)
		}
		return nil
	})
	open := func(subject string) (p paging.Page) {
		var pages []paging.Page
		s.ask(http.MethodGet, "/oncall/pages", nil, &pages)
		for _, p = range pages {
			if p.Subject == subject {
				return p
			}
		}
		t.Fatalf("no page about %s among %+v", subject, pages)
		return p
	}
	subject := "alert/" + id + ".checkout-errors"
	if a := s.submit("/settings/oncall/ack", s.signIn("cara"), url.Values{"page": {open(subject).ID}}); a.status != http.StatusSeeOther {
		t.Fatalf("acknowledge: %d %s", a.status, a.body)
	}
	var alert alerting.View
	s.ask(http.MethodGet, "/alerts/"+id+".checkout-errors", nil, &alert)
	if len(alert.Groups) != 1 || alert.Groups[0].AckedBy != "cara" {
		t.Errorf("the alert after its page was acknowledged: %+v", alert.Groups)
	}
	var audit []struct{ Verb, Who, Target string }
	s.ask(http.MethodGet, "/audit?target="+url.QueryEscape("page "+open(subject).ID), nil, &audit)
	if len(audit) != 1 || audit[0].Who != "cara" || audit[0].Verb != "acknowledge page" {
		t.Errorf("audit log: %+v", audit)
	}
	var opened response.View
	s.ask(http.MethodPost, "/incidents", map[string]any{"title": "Search fails", "rollout": id}, &opened)
	eventually(t, "an incident pages by the rota", func() error {
		if b := heard("ben"); b != 3 {
			return fmt.Errorf("Ben %d times", b)
		}
		return nil
	})
	s.ask(http.MethodPost, "/incidents/"+opened.ID+"/acknowledge", nil, nil)
	if p := open(opened.ID); p.State.By != "admin" {
		t.Errorf("the page of an acknowledged incident: %+v", p.State)
	}
	s.ask(http.MethodPost, "/incidents/"+opened.ID+"/resolve", map[string]any{"text": "a cable"}, nil)
	s.ask(http.MethodPost, "/incidents", map[string]any{"title": "Search fails again", "rollout": id}, &opened)
	eventually(t, "its end is told, and the next one pages", func() error {
		if b := heard("ben"); b != 5 {
			return fmt.Errorf("Ben %d times", b)
		}
		return nil
	})
	s.ask(http.MethodPost, "/oncall/pages/"+opened.ID+"/ack", nil, nil)
	s.ask(http.MethodGet, "/incidents/"+opened.ID, nil, &opened)
	if opened.AckedBy != "admin" || opened.Status != incident.Open {
		t.Errorf("the incident of an acknowledged page: by %q, %s", opened.AckedBy, opened.Status)
	}
	if c := heard("cara"); c != 1 {
		t.Errorf("Cara was paged %d times, want once: all was acknowledged in time", c)
	}
	var view controller.View
	s.ask(http.MethodGet, "/rollouts/"+id, nil, &view)
	if view.State.Status != rollout.Running {
		t.Errorf("the rollout is %s", view.State.Status)
	}
}
