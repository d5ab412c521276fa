package server_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"serin/internal/paging"
	"serin/internal/rollout"
)

// TestRotaIsAChannel: a plan may name a rota as a channel, also by the name of a
// PagerDuty service that is not configured; what reaches nobody is said.
func TestRotaIsAChannel(t *testing.T) {
	t.Parallel()
	s := start(t, 1)
	s.hire("ben", "operator")
	rota := map[string]any{"timezone": "UTC", "layers": []any{map[string]any{"people": []string{"ben"}, "starts": "2020-01-06"}}}
	if a := s.api(http.MethodPut, "/oncall/rotas/web", rota); a.status != http.StatusOK {
		t.Fatalf("make the rota: %d %s", a.status, a.body)
	}
	if a := s.api(http.MethodPut, "/oncall/rotas/Web", rota); a.status != http.StatusUnprocessableEntity {
		t.Errorf("a rota with a bad name: %d %s", a.status, a.body)
	}
	var contact struct {
		Unreached []string `json:"unreached"`
	}
	s.ask(http.MethodPut, "/oncall/contacts/ben", map[string]any{"addresses": []string{"email:ben@example.org"}}, &contact)
	if !slices.Equal(contact.Unreached, []string{"email:ben@example.org"}) {
		t.Errorf("a server without mail does not say so: %+v", contact)
	}
	id := s.create(strings.Replace(watchedPlan, "team: dashboard }", "team: dashboard, page: \"oncall:web\", ops: \"pagerduty:web\" }", 1))
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	var test struct {
		Outcome string `json:"outcome"`
	}
	s.ask(http.MethodPost, "/channels/pagerduty:web/test", nil, &test)
	if test.Outcome != "delivered" {
		t.Errorf("pagerduty:web without PagerDuty: %+v", test)
	}
	var pages []paging.Page
	s.ask(http.MethodGet, "/oncall/pages", nil, &pages)
	if len(pages) != 1 || pages[0].Rota != "web" || !strings.Contains(fmt.Sprint(pages[0].Log), "no address of ben can be reached") {
		t.Fatalf("pages: %+v", pages)
	}
	if a := s.api(http.MethodPost, "/oncall/pages/"+pages[0].ID+"/ack", nil); a.status != http.StatusOK {
		t.Errorf("acknowledge: %d %s", a.status, a.body)
	}
	if a := s.api(http.MethodPost, "/oncall/pages/"+pages[0].ID+"/ack", nil); a.status != http.StatusNotFound {
		t.Errorf("acknowledge again: %d %s", a.status, a.body)
	}
}
