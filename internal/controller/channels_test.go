package controller_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/controller"
	"serin/internal/notify"
	"serin/internal/store"
)

func TestChannels(t *testing.T) {
	bubble(t, func(r *rig) {
		pager := edited(t, rigPlan, "plan: rig", "plan: other", "flag: { key: rig }", "flag: { key: other }",
			`channels: { team: "slack:#team" }`, `channels: { team: "slack:#team", pager: "pagerduty:on-call", here: dashboard }`)
		if _, err := r.c.Create(r.Context(), "", []byte(pager), "lead", "api"); err != nil {
			t.Fatal(err)
		}
		r.c.Courier().Use("webhook:deploys", r.team)
		got, err := r.c.Channels(r.Context(), func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		want := []controller.ChannelState{
			{Address: "pagerduty:on-call", Plans: []string{"other-1"}, Why: "not available: the configuration has no pagerduty.on-call, and there is no rota of that name"},
			{Address: "slack:#team", Plans: []string{"rig-1", "other-1"}, Connected: true},
			{Address: "webhook:deploys", Plans: []string{}, Connected: true},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if got, err := r.c.Channels(r.Context(), func(string) bool { return false }); err != nil || len(got) != 1 || got[0].Address != "webhook:deploys" {
			t.Errorf("to somebody of another project: %+v, %v", got, err)
		}
	})
}

func TestTestChannel(t *testing.T) {
	anna := store.AuditEntry{Who: "anna", Via: "web", Address: "192.0.2.1"}
	bubble(t, func(r *rig) {
		try := func(address string) controller.ChannelTest {
			t.Helper()
			got, err := r.c.TestChannel(r.Context(), address, anna)
			if err != nil {
				t.Fatalf("%s: %v", address, err)
			}
			return got
		}
		for address, detail := range map[string]string{
			"pagerduty:x": "has no pagerduty.x", "webhook:deploys": "has no webhooks.deploys", "dashboard": "nothing to send",
			"a b": "no address", "": "no address", strings.Repeat("a", 300): "no address",
		} {
			if got := try(address); got.Outcome != controller.TestNotAvailable || !strings.Contains(got.Detail, detail) {
				t.Errorf("%q: %+v", address, got)
			}
		}
		if got := try("slack:#team"); got.Outcome != controller.TestDelivered {
			t.Errorf("%+v", got)
		}
		sent := r.team.messages()
		if len(sent) != 1 || sent[0].Type != "test" || sent[0].Rollout != "" || !strings.Contains(sent[0].Text, "anna asked") || sent[0].Link != "https://serin.test/settings" {
			t.Errorf("sent %+v", sent)
		}
		var soon *controller.TooSoonError
		if _, err := r.c.TestChannel(r.Context(), "slack:#team", anna); !errors.As(err, &soon) || soon.After <= 0 {
			t.Errorf("at once again: %v", err)
		}
		time.Sleep(5 * time.Second)
		r.team.answer = func(context.Context, notify.Notice, int) error {
			return errors.New("slack refused the message: channel_not_found")
		}
		if got := try("slack:#nowhere"); got.Outcome != controller.TestFailed || !strings.Contains(got.Detail, "channel_not_found") {
			t.Errorf("%+v", got)
		}
		entries, err := r.c.Audit(r.Context(), controller.AuditQuery{Who: "anna"})
		if err != nil {
			t.Fatal(err)
		}
		var audited []string
		for _, e := range entries {
			audited = append(audited, e.Verb+", "+e.Target+": "+e.Reason+" from "+e.Address)
		}
		want := []string{"test notice, channel slack:#nowhere: failed from 192.0.2.1", "test notice, channel slack:#team: delivered from 192.0.2.1"}
		if d := cmp.Diff(want, audited); d != "" {
			t.Error(d)
		}
		if waiting, err := r.store.Notices(r.Context(), "", 0); err != nil || len(waiting) != 0 {
			t.Errorf("the outbox has %d notices, %v", len(waiting), err)
		}
	})
}

// TestTestWaitsForItsTurn: a notifier is never called twice at a time for a
// channel, and a test whose caller gave up sends nothing.
func TestTestWaitsForItsTurn(t *testing.T) {
	bubble(t, func(r *rig) {
		release, calls := make(chan struct{}), 0
		r.team.answer = func(context.Context, notify.Notice, int) error { calls++; <-release; return nil }
		ended := make(chan controller.ChannelTest, 2)
		ask := func(ctx context.Context) {
			got, err := r.c.TestChannel(ctx, "slack:#team", store.AuditEntry{Who: "anna"})
			if err != nil {
				t.Error(err)
			}
			ended <- got
		}
		go ask(r.Context())
		time.Sleep(6 * time.Second)
		hurried, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		go ask(hurried)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := <-ended; got.Outcome != controller.TestFailed || calls != 1 {
			t.Errorf("%+v after %d calls", got, calls)
		}
		close(release)
		if got := <-ended; got.Outcome != controller.TestDelivered || calls != 1 {
			t.Errorf("%+v after %d calls", got, calls)
		}
	})
}
