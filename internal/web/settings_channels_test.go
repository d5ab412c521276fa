package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/auth"
	"serin/internal/controller"
	"serin/internal/store"
)

// fakeChannels answers tests with fixtures and keeps who asked last.
type fakeChannels struct {
	out controller.ChannelTest
	err error
	by  store.AuditEntry

	dead    int64  // notices to slack:#ops that were given up
	retried string // address that was retried last
}

func (f *fakeChannels) WithHealth(_ context.Context, all []controller.ChannelState) ([]controller.ChannelState, error) {
	for i := range all {
		if all[i].Address == "slack:#ops" {
			all[i].Health = &controller.ChannelHealth{Address: "slack:#ops", Waiting: 3, Dead: f.dead, Oldest: fixed.Add(-time.Hour), Since: fixed.Add(-time.Hour), Error: "503 <b>"}
		}
	}
	return all, nil
}

func (f *fakeChannels) Retry(_ context.Context, _ []string, address string, by store.AuditEntry) (int, error) {
	n := f.dead
	f.by, f.retried, f.dead = by, address, 0
	return int(n), nil
}

func TestSettingsSendsAgain(t *testing.T) {
	s, _ := settingsWeb(t, root)
	f := &fakeChannels{dead: 4}
	s.Channels = f
	page := get(t, s, "/settings").Body.String()
	for _, want := range []string{"failing for 1h: 503 &lt;b&gt;", "3 waiting since", "4 given up", "Send 4 again"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	code, body, _, _ := send(t, s, "/settings/channels/retry", "address", "slack:#ops")
	if code != http.StatusOK || !strings.Contains(body, "4 notices sent again") || strings.Contains(body, "Send 4 again") || f.retried != "slack:#ops" || f.by.Via != "web" {
		t.Errorf("retry: %d, by %+v, address %q", code, f.by, f.retried)
	}
	if code, _, _, _ := send(t, s, "/settings/channels/retry", "address", " "); code != http.StatusUnprocessableEntity {
		t.Errorf("retry of no channel: %d", code)
	}
	s, _ = settingsWeb(t, auth.Principal{Name: "Ben", Scopes: []string{"read"}})
	f = &fakeChannels{dead: 4}
	s.Channels = f
	if page := get(t, s, "/settings").Body.String(); strings.Contains(page, "Send 4 again") {
		t.Error("who may only read has a button to send again")
	}
	if code, _, _, _ := send(t, s, "/settings/channels/retry", "address", "slack:#ops"); code != http.StatusForbidden || f.retried != "" {
		t.Errorf("retry by who may only read: %d", code)
	}
}

func (f *fakeChannels) Channels(context.Context, func(string) bool) ([]controller.ChannelState, error) {
	return []controller.ChannelState{
		{Address: "pagerduty:on-call", Plans: []string{"checkout-1"}, Why: "not available: this server has no notifier for pagerduty"},
		{Address: "slack:#ops", Plans: []string{"checkout-1"}, Connected: true, Notice: "delivered"},
		{Address: "webhook:quiet", Connected: true},
	}, nil
}

func (f *fakeChannels) TestChannel(_ context.Context, address string, by store.AuditEntry) (controller.ChannelTest, error) {
	f.by = by
	f.out.Address = address
	return f.out, f.err
}

func TestSettingsTestsAChannel(t *testing.T) {
	s, _ := settingsWeb(t, root)
	f := &fakeChannels{}
	s.Channels = f
	page := get(t, s, "/settings").Body.String()
	for _, want := range []string{"Not available", "This server has no notifier for pagerduty", "named by checkout-1", `aria-label="Send a test message to slack:#ops"`, `id="n-address"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(page, `aria-label="Send a test message to pagerduty:on-call"`) {
		t.Error("a channel without a notifier has a test button")
	}
	for _, tt := range []struct {
		name string
		out  controller.ChannelTest
		err  error
		code int
		says string
	}{
		{"delivered", controller.ChannelTest{Outcome: controller.TestDelivered, Detail: "the service accepted the message", Took: 40 * time.Millisecond}, nil, 200, "Delivered after 40ms: the service accepted the message."},
		{"failed", controller.ChannelTest{Outcome: controller.TestFailed, Detail: `<script>alert(1)</script>`}, nil, 200, "Not delivered: &lt;script&gt;"},
		{"no notifier", controller.ChannelTest{Outcome: controller.TestNotAvailable, Detail: "not available: no notifier for x"}, nil, 200, "Not available: no notifier for x."},
		{"too soon", controller.ChannelTest{}, &controller.TooSoonError{After: 4 * time.Second}, 429, "Try again in 4s"},
		{"broken", controller.ChannelTest{}, errors.New("disk is gone"), 500, "Something failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f.out, f.err = tt.out, tt.err
			code, body, _, _ := send(t, s, "/settings/channels/test", "address", " slack:#ops ")
			if code != tt.code || !strings.Contains(body, tt.says) {
				t.Errorf("%d, want %d and %q", code, tt.code, tt.says)
			}
			if f.by.Who != "ada" || f.by.Via != "web" {
				t.Errorf("asked by %+v", f.by)
			}
			checkMarkup(t, body)
		})
	}
}

func TestSettingsTestNeedsAnOperator(t *testing.T) {
	viewer := auth.Principal{ID: "s", Name: "vera", Person: "vera", Kind: "session", Scopes: []string{"read"}}
	s, _ := settingsWeb(t, viewer)
	f := &fakeChannels{}
	s.Channels = f
	if body := get(t, s, "/settings").Body.String(); strings.Contains(body, "/settings/channels/test") {
		t.Error("a viewer is offered a test")
	}
	if code, _, _, _ := send(t, s, "/settings/channels/test", "address", "slack:#ops"); code != http.StatusForbidden || f.by.Who != "" {
		t.Errorf("%d, asked by %q", code, f.by.Who)
	}
}
