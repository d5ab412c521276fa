package slack

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"serin/internal/notify"
)

// Thread is what was posted of a thread of notices.
type Thread struct {
	Address string // of the notices
	Thread  string // Notice.Thread
	Channel string // id of the channel with the root
	TS      string // of the root
	Last    string // id of the notice that was posted last
	// Room is the id of the thread's own channel, RoomTS the ts of its first
	// message, RoomLast as Last; "" = none.
	Room, RoomTS, RoomLast string
	Remark                 string // why there is no room although one was asked for
}

// Threads keeps where threads stand.
type Threads interface {
	// Thread returns one; known is false where nothing was posted yet.
	Thread(ctx context.Context, address, thread string) (t Thread, known bool, err error)
	PutThread(ctx context.Context, t Thread) error
}

// pace spaces the messages to each channel out. The zero value is ready.
type pace struct {
	mu   sync.Mutex           // guards next
	next map[string]time.Time // by channel: when the next message may go
}

// wait takes the next turn of a channel and waits for it.
func (p *pace) wait(ctx context.Context, channel string, every time.Duration) error {
	if every <= 0 {
		return nil
	}
	now := time.Now()
	p.mu.Lock()
	if p.next == nil {
		p.next = map[string]time.Time{}
	}
	for name, at := range p.next {
		if at.Before(now) {
			delete(p.next, name)
		}
	}
	turn := now
	if at := p.next[channel]; at.After(now) {
		turn = at
	}
	p.next[channel] = turn.Add(every)
	p.mu.Unlock()
	timer := time.NewTimer(turn.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &notify.RetryError{Err: fmt.Errorf("wait for the turn of a channel of Slack: %w", ctx.Err())}
	}
}

// thread posts a notice of a thread. What was done is kept after each step, so
// that a try after a failure goes on where the last one ended.
func (b *Bot) thread(ctx context.Context, channel string, n notify.Notice) error {
	t, known, err := b.o.Threads.Thread(ctx, n.Address, n.Thread)
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack: read the thread: %w", err)}
	}
	if !known || t.Channel != channel { // the address means another channel now
		return b.begin(ctx, channel, n)
	}
	if t.Last != n.ID {
		m := compose(n)
		m.ThreadTS, m.Broadcast = t.TS, n.Phase() == notify.Opened
		m.Blocks = withoutButtons(m.Blocks) // the root has them
		if _, err = b.post(ctx, channel, m); lost[Code(err)] {
			return b.begin(ctx, channel, n) // somebody deleted it
		}
		if err != nil {
			return err
		}
		t.Last = n.ID
		if err := b.keep(ctx, t); err != nil {
			return err
		}
	}
	if err := b.room(ctx, n, &t); err != nil {
		return err
	}
	return b.root(ctx, n, t)
}

// lost are the errors of a reply whose root is gone.
var lost = map[string]bool{"thread_not_found": true, "message_not_found": true, "cannot_reply_to_message": true}

// begin posts the root of a thread.
func (b *Bot) begin(ctx context.Context, channel string, n notify.Notice) error {
	ts, err := b.post(ctx, channel, compose(n))
	if err != nil || ts == "" {
		return err
	}
	t := Thread{Address: n.Address, Thread: n.Thread, Channel: channel, TS: ts, Last: n.ID}
	if err := b.keep(ctx, t); err != nil {
		b.o.Logger.ErrorContext(ctx, "keep a thread of slack", "thread", n.Thread, "err", err)
		return nil // it was told: another try would tell it twice
	}
	if !n.Severe {
		return nil
	}
	if err := b.room(ctx, n, &t); err != nil {
		return err
	}
	return b.root(ctx, n, t)
}

func (b *Bot) keep(ctx context.Context, t Thread) error {
	if err := b.o.Threads.PutThread(context.WithoutCancel(ctx), t); err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack: keep the thread: %w", err)}
	}
	return nil
}

// root makes the first message, and the room's, say what n does. A message
// that can no longer be changed stays as it is: the thread has the news.
func (b *Bot) root(ctx context.Context, n notify.Notice, t Thread) error {
	m := compose(n)
	if t.Room != "" {
		m.Blocks = append(m.Blocks, section("Go on in <#"+t.Room+">."))
	} else if t.Remark != "" {
		m.Blocks = append(m.Blocks, section(escape(t.Remark, maxSection)))
	}
	if err := b.update(ctx, t.Channel, t.TS, m); err != nil {
		return err
	}
	if t.RoomTS == "" {
		return nil
	}
	return b.update(ctx, t.Room, t.RoomTS, compose(n))
}

func (b *Bot) update(ctx context.Context, channel, ts string, m message) error {
	m.TS = ts
	_, err := b.shortened(ctx, "chat.update", channel, m)
	if _, temporary := notify.Temporary(err); err != nil && !temporary {
		b.o.Logger.WarnContext(ctx, "slack did not update the root of a thread", "channel", channel, "err", err)
		return nil
	}
	return err
}

// room makes the thread's own channel when n is severe, and posts n there.
func (b *Bot) room(ctx context.Context, n notify.Notice, t *Thread) error {
	if t.Room == "" && (!n.Severe || t.Remark != "") {
		return nil
	}
	if t.Room == "" {
		if err := b.open(ctx, n, t); err != nil || t.Room == "" {
			return err
		}
	}
	if t.RoomTS == "" {
		if err := b.furnish(ctx, n, t.Room); err != nil {
			return err
		}
	}
	if t.RoomLast == n.ID {
		return nil
	}
	m := compose(n)
	if t.RoomTS != "" {
		m.Blocks = withoutButtons(m.Blocks)
	}
	ts, err := b.post(ctx, t.Room, m)
	if _, temporary := notify.Temporary(err); err != nil && !temporary {
		b.o.Logger.WarnContext(ctx, "slack did not take a message to the channel of a severe thread", "channel", t.Room, "err", err)
		return nil // archived by a person: the thread has it
	}
	if err != nil {
		return err
	}
	t.RoomTS, t.RoomLast = cmp.Or(t.RoomTS, ts), n.ID
	return b.keep(ctx, *t)
}

// roomTries is how many names are tried: the name, then with -2 to -9.
const roomTries = 9

// open creates the channel of its own. Where Slack refuses for good, the
// thread says why and the notices stay there.
func (b *Bot) open(ctx context.Context, n notify.Notice, t *Thread) error {
	var err error
	for i := 1; i <= roomTries; i++ {
		if t.Room, err = b.client.create(ctx, roomName(n, i), b.o.PrivateRooms); Code(err) != "name_taken" {
			break
		}
	}
	if _, temporary := notify.Temporary(err); temporary {
		return err
	}
	if err != nil {
		t.Remark = "No channel of its own: " + err.Error() + ". This thread is used instead."
		b.o.Logger.WarnContext(ctx, "slack made no channel for a severe thread: the thread is used", "thread", n.Thread, "err", err)
	}
	return b.keep(ctx, *t)
}

// Bounds of docs.slack.dev: a channel's name, its topic, and the users of one invitation.
const (
	maxRoomName = 80
	maxRoomText = 250
	maxInvited  = 100
)

// roomName is the name of a channel, try counted from 1: lower case, digits,
// dashes and underscores.
func roomName(n notify.Notice, try int) string {
	suffix := ""
	if try > 1 {
		suffix = "-" + strconv.Itoa(try)
	}
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(cmp.Or(n.Room, "inc-"+n.Thread)))
	for strings.Contains(name, "--") {
		name = strings.ReplaceAll(name, "--", "-")
	}
	name = strings.Trim(name[:min(len(name), maxRoomName-len(suffix))], "-")
	return cmp.Or(name, "incident") + suffix
}

// furnish sets the topic and invites people; what Slack refuses for good is logged.
func (b *Bot) furnish(ctx context.Context, n notify.Notice, room string) error {
	topic := oneLine(n.Topic)
	if b.o.CallLink != "" {
		link := strings.ReplaceAll(b.o.CallLink, "{room}", roomName(n, 1))
		topic = strings.TrimPrefix(notify.Cut(topic, max(maxRoomText-len([]rune(link))-3, 1))+" · "+link, " · ")
	}
	calls := []struct {
		method string
		body   map[string]any
	}{{"conversations.setTopic", map[string]any{"channel": room, "topic": notify.Cut(topic, maxRoomText)}},
		{"conversations.invite", map[string]any{"channel": room, "users": strings.Join(b.users(ctx, n.Invite), ","), "force": true}}}
	for _, c := range calls {
		if c.body["topic"] == "" || c.body["users"] == "" {
			continue
		}
		err := b.client.call(ctx, c.method, c.body, nil)
		if _, temporary := notify.Temporary(err); temporary {
			return err
		}
		if err != nil && Code(err) != "already_in_channel" {
			b.o.Logger.WarnContext(ctx, "slack refused a step of a severe thread's channel", "channel", room, "err", err)
		}
	}
	return nil
}

// users are the ids of Slack's users for people's names or handles; those who
// are not known are left out.
func (b *Bot) users(ctx context.Context, names []string) []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, name := range names {
		if b.o.Who == nil || len(out) == maxInvited {
			break
		}
		user, email := b.o.Who(ctx, strings.TrimPrefix(name, "@"))
		if user == "" && email != "" {
			var err error
			if user, err = b.client.UserByEmail(ctx, email); err != nil {
				b.o.Logger.WarnContext(ctx, "look for a person in slack", "person", name, "err", err)
			}
		}
		if user == "" {
			b.o.Logger.WarnContext(ctx, "a person was not invited: they are not known in slack", "person", name)
		}
		if !seen[user] {
			seen[user] = true
			out = append(out, user)
		}
	}
	return out
}
