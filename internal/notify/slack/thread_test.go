package slack

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"serin/internal/notify"
	"serin/internal/notify/slack/slacktest"
)

// kept keeps threads in memory; fail, when set, is what a write answers.
type kept struct {
	threads map[string]Thread
	fail    error
}

func (k *kept) Thread(_ context.Context, address, thread string) (Thread, bool, error) {
	t, ok := k.threads[address+" "+thread]
	return t, ok, nil
}

func (k *kept) PutThread(_ context.Context, t Thread) error {
	if k.fail != nil {
		return k.fail
	}
	k.threads[t.Address+" "+t.Thread] = t
	return nil
}

func threaded(s *slacktest.Server) (*Bot, *kept) {
	k := &kept{threads: map[string]Thread{}}
	return New(Options{Token: slacktest.BotToken, BaseURL: s.API(), Channels: map[string]string{"#team": "C1"}, Threads: k, Every: -1,
		CallLink: "https://meet.example/{room}",
		Who: func(_ context.Context, name string) (string, string) {
			return map[string]string{"anna": "U1"}[name], map[string]string{"ben": "ben@example.com"}[name]
		}}), k
}

func firing(i int) notify.Notice {
	return notify.Notice{ID: fmt.Sprintf("alert/errors/%d/team", i), Thread: "alert/errors/1/team", Address: "slack:#team", Type: "alert.firing", Severity: "p1",
		Title: fmt.Sprintf("P1 firing: errors, %d", i), Text: "12 errors", At: time.Date(2026, 3, 2, 9, i, 0, 0, time.UTC),
		Actions: []notify.Action{{Label: "Acknowledge", Verb: notify.VerbAcknowledge, Value: notify.Target{Alert: "errors"}.Encode()}}}
}

func deliver(t *testing.T, b *Bot, list ...notify.Notice) {
	t.Helper()
	for _, n := range list {
		if err := b.Deliver(t.Context(), n); err != nil {
			t.Fatalf("deliver %s: %v", n.ID, err)
		}
	}
}

// TestThread: the first notice is the root, later ones go into its thread, and
// the root says what holds now and has the buttons.
func TestThread(t *testing.T) {
	s := slacktest.New(t)
	b, _ := threaded(s)
	over := firing(3)
	over.Type, over.Title, over.Actions = "alert.resolved", "Resolved: errors", nil
	deliver(t, b, firing(1), firing(2))
	got := s.Messages()
	if len(got) != 2 || got[0].ThreadTS != "" || got[1].ThreadTS != got[0].TS || !got[1].Broadcast {
		t.Fatalf("messages %+v, want a root and a reply that the channel sees", got)
	}
	if !strings.Contains(got[0].Blocks, "errors, 2") || !strings.Contains(got[0].Blocks, `"serin.acknowledge.0"`) || strings.Contains(got[1].Blocks, "serin.acknowledge") {
		t.Errorf("root %s\nreply %s\nwant the newest state with the button in the root only", got[0].Blocks, got[1].Blocks)
	}
	deliver(t, b, over)
	got = s.Messages()
	if len(got) != 3 || got[2].Broadcast || !strings.Contains(got[0].Blocks, "Resolved: errors") || strings.Contains(got[0].Blocks, "serin.acknowledge") {
		t.Errorf("after the end: %+v", got)
	}
}

// TestThreadGoesOn: a try after a failure does not tell twice what was told.
func TestThreadGoesOn(t *testing.T) {
	s := slacktest.New(t)
	b, _ := threaded(s)
	deliver(t, b, firing(1))
	for _, fault := range []slacktest.Answer{{Status: 429, After: "7"}, {Status: 503}, {Hang: true}, {Body: `{"ok":false,"error":"ratelimited"}`}, {Body: `<html>`}} {
		s.Next("chat.update", fault)
		err := b.Deliver(t.Context(), firing(2))
		after, temporary := notify.Temporary(err)
		if !temporary || fault.After != "" && after != 7*time.Second {
			t.Errorf("%+v: %v, after %s; want a temporary error", fault, err, after)
		}
	}
	deliver(t, b, firing(2))
	if got := s.Messages(); len(got) != 2 || !strings.Contains(got[0].Blocks, "errors, 2") {
		t.Errorf("messages %+v, want the root updated and one reply", got)
	}
}

// TestThreadLost: without its root a thread begins anew, and a root that can no
// longer be changed keeps no notice back.
func TestThreadLost(t *testing.T) {
	s := slacktest.New(t)
	b, _ := threaded(s)
	deliver(t, b, firing(1))
	s.Next("chat.update", slacktest.Answer{Body: `{"ok":false,"error":"edit_window_closed"}`})
	deliver(t, b, firing(2))
	s.Delete(s.Messages()[0].TS)
	deliver(t, b, firing(3), firing(4))
	got := s.Messages()
	if len(got) != 4 || got[2].ThreadTS != "" || got[3].ThreadTS != got[2].TS {
		t.Errorf("messages %+v, want a new root for the third", got)
	}
}

// TestThreadNotKept: a root whose place cannot be kept was told all the same.
func TestThreadNotKept(t *testing.T) {
	s := slacktest.New(t)
	b, k := threaded(s)
	k.fail = errors.New("disk full")
	deliver(t, b, firing(1))
	if got := s.Messages(); len(got) != 1 {
		t.Errorf("%d messages, want one", len(got))
	}
}

// TestShortened: a message that is too long is sent once more as text, in a
// thread too.
func TestShortened(t *testing.T) {
	s := slacktest.New(t)
	b, _ := threaded(s)
	s.Next("chat.postMessage", slacktest.Answer{Body: `{"ok":false,"error":"msg_blocks_too_long"}`})
	deliver(t, b, firing(1))
	s.Next("chat.update", slacktest.Answer{Body: `{"ok":false,"error":"msg_blocks_too_long"}`})
	deliver(t, b, firing(2))
	if got := s.Messages(); len(got) != 2 || got[0].Blocks != "null" || got[0].Text == "" || got[0].Updates != 1 {
		t.Errorf("messages %+v, want a root of text alone", got)
	}
}

func severe(i int) notify.Notice {
	n := firing(i)
	n.Type, n.Thread, n.Severe, n.Room = "incident.opened", "incident/42", true, "inc-42-Admin Workbench"
	n.Topic, n.Invite = "P1 · demo-1 · decide by 09:15 "+strings.Repeat("long ", 80), []string{"@anna", "ben", "nobody"}
	return n
}

// TestRoom: what is severe gets a channel of its own with a topic and people.
func TestRoom(t *testing.T) {
	s := slacktest.New(t)
	s.Emails["U2"] = "ben@example.com"
	s.Taken("inc-42-admin-workbench")
	b, _ := threaded(s)
	deliver(t, b, severe(1), severe(2))
	rooms := s.Channels()
	if len(rooms) != 2 || rooms[1].Name != "inc-42-admin-workbench-2" || rooms[1].Invited != "U1,U2" || rooms[1].Private {
		t.Fatalf("channels %+v", rooms)
	}
	if n := utf8.RuneCountInString(rooms[1].Topic); n > 250 || !strings.HasSuffix(rooms[1].Topic, "https://meet.example/inc-42-admin-workbench") {
		t.Errorf("topic %q of %d characters", rooms[1].Topic, n)
	}
	got := s.Messages()
	if len(got) != 4 || got[1].Channel != rooms[1].ID || got[3].Channel != rooms[1].ID || got[3].ThreadTS != "" {
		t.Fatalf("messages %+v, want root, room, reply, room", got)
	}
	if !strings.Contains(got[0].Blocks, rooms[1].ID) || !strings.Contains(got[1].Blocks, "errors, 2") || got[1].Updates == 0 {
		t.Errorf("the root does not lead to the channel, or its summary is old: %+v", got[:2])
	}
}

// TestRoomRefused: without the scope the thread is used, and says so; Slack is
// asked once.
func TestRoomRefused(t *testing.T) {
	s := slacktest.New(t)
	s.Missing["conversations.create"] = true
	b, _ := threaded(s)
	deliver(t, b, severe(1), severe(2))
	got := s.Messages()
	if len(got) != 2 || got[1].ThreadTS != got[0].TS || !strings.Contains(got[0].Blocks, "missing_scope") || s.Calls("conversations.create") != 1 {
		t.Errorf("messages %+v, %d tries, want a thread that says why", got, s.Calls("conversations.create"))
	}
}

// TestRoomGoesOn: whatever step fails for now, the next try goes on there, and
// nobody is told twice.
func TestRoomGoesOn(t *testing.T) {
	for _, method := range []string{"conversations.create", "conversations.setTopic", "conversations.invite", "chat.update"} {
		s := slacktest.New(t)
		b, _ := threaded(s)
		s.Next(method, slacktest.Answer{Status: 503})
		if _, temporary := notify.Temporary(b.Deliver(t.Context(), severe(1))); !temporary {
			t.Errorf("%s fails: want a temporary error", method)
		}
		deliver(t, b, severe(1))
		if got := s.Messages(); len(got) != 2 || len(s.Channels()) != 1 {
			t.Errorf("%s failed once: messages %+v, channels %+v", method, got, s.Channels())
		}
	}
}

func TestRoomName(t *testing.T) {
	valid := regexp.MustCompile(`^[a-z0-9_-]{1,80}$`)
	rapid.Check(t, func(t *rapid.T) {
		n := notify.Notice{Room: rapid.String().Draw(t, "room"), Thread: rapid.String().Draw(t, "thread")}
		if got := roomName(n, rapid.IntRange(1, roomTries).Draw(t, "try")); !valid.MatchString(got) {
			t.Errorf("roomName(%+v) = %q", n, got)
		}
	})
}

// TestPace: a channel gets one message a second, whatever it is addressed by;
// others do not wait.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		began := time.Now()
		for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
			if err := p.wait(t.Context(), "C1", time.Second); err != nil || time.Since(began) != want {
				t.Errorf("message %d after %s, %v; want after %s", i, time.Since(began), err, want)
			}
		}
		if err := p.wait(t.Context(), "C2", time.Second); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("another channel waited: %s, %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, temporary := notify.Temporary(p.wait(ctx, "C1", time.Second)); !temporary {
			t.Error("a wait that was ended is no temporary error")
		}
	})
}

// TestButtons: within Slack's limits, and each asks once more but an
// acknowledgement.
func TestButtons(t *testing.T) {
	s := slacktest.New(t)
	b, _ := threaded(s)
	n := firing(1)
	n.Thread, n.Title = "", strings.Repeat("long ", 100)
	n.Actions = nil
	for range 9 {
		n.Actions = append(n.Actions, notify.Action{Label: strings.Repeat("Roll back ", 20), Verb: notify.VerbRollback, Value: notify.Target{Rollout: "demo-1", Version: 7}.Encode()})
	}
	deliver(t, b, n)
	if got := s.Messages()[0].Blocks; strings.Count(got, `"action_id"`) != maxButtons || !strings.Contains(got, `"confirm"`) {
		t.Errorf("blocks %s", got)
	}
}

func TestSlacksAddress(t *testing.T) {
	c := NewClient(ClientOptions{})
	for address, want := range map[string]bool{
		"https://hooks.slack.com/actions/T/1/x": true, "https://slack.com/x": true, "http://hooks.slack.com/x": false,
		"https://hooks.slack.com.evil.example/x": false, "https://evilslack.com/x": false, "https://127.0.0.1/x": false, "": false, "file:///etc/passwd": false,
	} {
		if got := c.slacks(address); got != want {
			t.Errorf("slacks(%q) = %v, want %v", address, got, want)
		}
	}
}
