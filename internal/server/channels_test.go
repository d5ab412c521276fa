package server_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"serin/internal/clock"
	"serin/internal/config"
	"serin/internal/notify"
	"serin/internal/server"
)

// TestChannelTestArrives sends test messages through the real notifiers.
func TestChannelTestArrives(t *testing.T) {
	var mu sync.Mutex // guards got
	var got []notify.Notice
	deploys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			Type string
			Data notify.Notice
		}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Type != "rollout.test" {
			t.Errorf("%s, %v", m.Type, err)
		}
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, m.Data); len(got) > 1 {
			http.Error(w, "out of order", http.StatusServiceUnavailable)
		}
	}))
	defer deploys.Close()
	s := startWith(t, server.Options{Clock: clock.Real(), Config: config.Config{Webhooks: map[string]config.Webhook{
		"deploys": {URL: deploys.URL, Secret: "whsec_c2NlbmFyaW9zY2VuYXJpb3NjZW5hcmlv", AllowPrivate: true},
	}}})
	var out struct{ Outcome, Detail string }
	s.ask(http.MethodPost, "/channels/webhook:deploys/test", nil, &out)
	mu.Lock()
	if out.Outcome != "delivered" || len(got) != 1 || got[0].Type != "test" || got[0].Address != "webhook:deploys" {
		t.Errorf("%+v, received %+v", out, got)
	}
	mu.Unlock()
	a := s.direct(http.MethodPost, "/api/v1/channels/webhook:deploys/test", "", "Authorization", "Bearer "+s.boot.AdminToken)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") != "5" {
		t.Errorf("at once again: %d, Retry-After %q", a.status, a.header.Get("Retry-After"))
	}
	s.ask(http.MethodPost, "/channels/slack:%23team/test", nil, &out)
	if out.Outcome != "not available" || out.Detail != "not available: the configuration has no slack.token" {
		t.Errorf("%+v", out)
	}
	var all []struct {
		Address   string
		Connected bool
	}
	s.ask(http.MethodGet, "/channels", nil, &all)
	if len(all) != 1 || all[0].Address != "webhook:deploys" || !all[0].Connected {
		t.Errorf("%+v", all)
	}
}
