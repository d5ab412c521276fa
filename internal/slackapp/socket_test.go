package slackapp_test

import (
	"testing"
	"time"

	"serin/internal/notify/slack"
	"serin/internal/notify/slack/slacktest"
	"serin/internal/slackapp"
)

// socketed is a rig whose door has Socket Mode too, and its first connection.
func socketed(t *testing.T) (*rig, *slacktest.Socket) {
	r := newRig(t)
	r.app.Use(r.socketMode())
	return r, r.socket(1)
}

func (r *rig) socketMode() slackapp.Connection {
	return slackapp.Connection{API: slack.NewClient(slack.ClientOptions{Token: slacktest.BotToken, BaseURL: r.slack.API()}),
		Socket: slack.NewClient(slack.ClientOptions{Token: slacktest.AppToken, BaseURL: r.slack.API()}).Socket}
}

// socket waits for the nth connection.
func (r *rig) socket(n int) *slacktest.Socket {
	r.t.Helper()
	r.slack.Await("a connection", func() bool { return len(r.slack.Sockets()) >= n })
	return r.slack.Sockets()[n-1]
}

func envelope(id string, payload any) map[string]any {
	return map[string]any{"envelope_id": id, "type": "interactive", "accepts_response_payload": false, "payload": payload}
}

// TestSocket: an envelope is acknowledged, and once more when Slack sends it
// again; the command is done once.
func TestSocket(t *testing.T) {
	r, s := socketed(t)
	e := envelope("e1", r.press("U1", "rollback", demo, "1.1"))
	for range 2 {
		s.Send(t, e)
		if got := s.Ack(); got != "e1" {
			t.Fatalf("acknowledged %q", got)
		}
	}
	r.answered(1)
	s.Send(t, map[string]any{"envelope_id": "e2", "type": "slash_commands", "payload": map[string]any{
		"command": "/serin", "text": "pause demo", "team_id": slacktest.Team, "user_id": "U1", "trigger_id": "t1", "response_url": r.slack.Response("s")}})
	if got := s.Ack(); got != "e2" {
		t.Fatalf("acknowledged %q", got)
	}
	r.answered(2)
	s.Send(t, map[string]any{"envelope_id": "e3", "type": "interactive", "payload": "nonsense"})
	if got := s.Ack(); got != "e3" {
		t.Errorf("what cannot be read is not acknowledged: %q", got)
	}
	if cmds := r.rollouts.commands(); len(cmds) != 2 {
		t.Errorf("commands %+v, want two", cmds)
	}
	if h := r.app.Health(); !h.Connected || h.Error != "" || !h.Socket || h.HTTP {
		t.Errorf("health %+v", h)
	}
}

// TestSocketMoves: the next connection is open before the old one is left, and
// what comes by the old one meanwhile is not lost.
func TestSocketMoves(t *testing.T) {
	r, first := socketed(t)
	// The next connection needs a second try: the old one goes on meanwhile.
	r.slack.Next("apps.connections.open", slacktest.Answer{Status: 503})
	first.Send(t, map[string]any{"type": "disconnect", "reason": "refresh_requested"})
	r.slack.Await("the refused try", func() bool { return r.slack.Calls("apps.connections.open") == 2 })
	first.Send(t, envelope("late", r.press("U1", "rollback", demo, "1.1")))
	if got := first.Ack(); got != "late" {
		t.Fatalf("acknowledged %q", got)
	}
	second := r.socket(2)
	if got := first.Ack(); got != "" {
		t.Errorf("the old connection acknowledged %q, want its end", got)
	}
	second.Send(t, envelope("next", r.press("U1", "rollback", demo, "2.2")))
	if got := second.Ack(); got != "next" {
		t.Errorf("acknowledged %q", got)
	}
	r.answered(2)
}

// TestSocketBreaks: a lost connection is opened anew after a pause; an app
// without the right is told about.
func TestSocketBreaks(t *testing.T) {
	r, first := socketed(t)
	began := time.Now()
	first.Cut()
	r.socket(2)
	if d := time.Since(began); d < pause*9/10 {
		t.Errorf("opened anew after %s, want a pause", d)
	}
	r.slack.Missing = map[string]bool{"apps.connections.open": true}
	calls := r.slack.Calls("apps.connections.open")
	r.app.Use(r.socketMode())
	r.slack.Await("the refused try", func() bool { return r.slack.Calls("apps.connections.open") > calls && r.app.Health().Error != "" })
	if h := r.app.Health(); h.Connected {
		t.Errorf("health %+v, want the reason", h)
	}
	r.app.Use(slackapp.Connection{})
	if h := r.app.Health(); h.Socket || h.Error != "" {
		t.Errorf("health %+v, want none without a configuration", h)
	}
}
