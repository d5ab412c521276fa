// Package slack tells people in Slack. A Bot posts with a bot token by
// chat.postMessage (docs.slack.dev/reference/methods/chat.postMessage); a
// Hook posts to an incoming webhook, which is bound to one channel. A Client
// calls the methods of the Web API that these and Slack's buttons need.
//
// Notices with a Thread make one thread: the first is its root, each later one
// goes into the thread, and the root is updated to say what holds now
// (chat.update). Where each stands is kept by Threads, under the address and
// the thread's name. A severe thread gets a channel of its own besides
// (conversations.create, invite, setTopic); where the app may not make one, the
// thread says so.
//
// Slack answers 200 to a refused message too: only "ok": true in the body
// means accepted. Texts are escaped as docs.slack.dev/messaging/formatting-message-text
// asks (& < >), so that no text can mention people, and are cut to the limits
// of blocks.
package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"serin/internal/notify"
)

const (
	defaultBaseURL = "https://slack.com/api"
	timeout        = 10 * time.Second
	maxAnswerBytes = 64 << 10
	prefix         = "slack:"
)

// permanent are Slack's errors that trying again does not mend.
var permanent = map[string]bool{
	"channel_not_found": true, "not_in_channel": true, "is_archived": true, "invalid_auth": true, "not_authed": true,
	"token_revoked": true, "token_expired": true, "account_inactive": true, "missing_scope": true, "no_permission": true,
	"restricted_action": true, "invalid_blocks": true, "no_text": true, "msg_too_long": true, "msg_blocks_too_long": true,
	// of chat.update and replies
	"message_not_found": true, "cant_update_message": true, "edit_window_closed": true, "thread_not_found": true,
	"cannot_reply_to_message": true, "update_failed": true, "invalid_ts_format": true,
	// of conversations.*
	"name_taken": true, "invalid_name": true, "invalid_name_maxlength": true, "invalid_name_specials": true, "invalid_name_required": true,
	"invalid_name_punctuation": true, "already_in_channel": true, "user_not_found": true, "no_user": true, "cant_invite": true,
	"cant_invite_self": true, "user_is_restricted": true, "too_long": true, "not_allowed_token_type": true, "access_denied": true,
	"method_not_supported_for_channel_type": true, "user_is_ultra_restricted": true, "ekm_access_denied": true,
	// of users.*, views.* and apps.*
	"users_not_found": true, "user_not_visible": true, "expired_trigger_id": true, "exchanged_trigger_id": true, "invalid_trigger_id": true,
	"forbidden_team": true, "invalid_arguments": true,
}

// Options configure a Bot.
type Options struct {
	Token string // bot token with the scope chat:write
	// Channels maps a plan's channel to Slack's id: "#team" -> "C024BE91L".
	// A name that looks like an id needs no entry.
	Channels map[string]string
	// Threads keeps where threads stand; nil = every notice stands alone.
	Threads Threads
	// Who returns what is known of a person by name or handle: the id of their
	// Slack user, else their e-mail address; "" = not known. nil = nobody is known.
	Who func(ctx context.Context, name string) (user, email string)
	// CallLink is where people talk about what is severe, with {room} for the
	// name of its channel; "" = nowhere.
	CallLink     string
	PrivateRooms bool // channels of severe threads are private
	// Every is the least time between two messages to a channel; 0 = 1 s, as
	// Slack documents it. Below 0 there is none.
	Every time.Duration

	BaseURL string           // "" = https://slack.com/api
	Client  *http.Client     // nil = one with a timeout of 10 s
	Logger  *slog.Logger     // nil = silent
	Now     func() time.Time // nil = time.Now; for a Retry-After that is a date
}

// Bot is a notify.Notifier for addresses "slack:#name" and "slack:ID". It may
// be used by many goroutines at the same time.
type Bot struct {
	o      Options
	client *Client
	pace   pace
}

var (
	_ notify.Notifier = (*Bot)(nil)
	_ notify.Notifier = (*Hook)(nil)
)

// New returns a Bot.
func New(o Options) *Bot {
	o.Client, o.Logger, o.Now = defaults(o.Client, o.Logger, o.Now)
	if o.Every == 0 {
		o.Every = time.Second
	}
	return &Bot{o: o, client: NewClient(ClientOptions{Token: o.Token, BaseURL: o.BaseURL, Client: o.Client, Now: o.Now})}
}

// defaults fills in what is nil. The client never follows redirects: they
// would carry the token or the message to another place.
func defaults(c *http.Client, l *slog.Logger, now func() time.Time) (*http.Client, *slog.Logger, func() time.Time) {
	own := http.Client{Timeout: timeout}
	if c != nil {
		own = *c
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	return &own, l, now
}

// Deliver implements notify.Notifier.
func (b *Bot) Deliver(ctx context.Context, n notify.Notice) error {
	channel, err := b.channel(n.Address)
	if err != nil {
		return err
	}
	if n.Thread == "" || b.o.Threads == nil {
		_, err = b.post(ctx, channel, compose(n))
		return err
	}
	return b.thread(ctx, channel, n)
}

// post sends a new message to a channel, not before the channel may be used
// again, and returns its ts. One whose blocks Slack finds too long is sent
// once more as text alone.
func (b *Bot) post(ctx context.Context, channel string, m message) (ts string, err error) {
	if err := b.pace.wait(ctx, channel, b.o.Every); err != nil {
		return "", err
	}
	return b.shortened(ctx, "chat.postMessage", channel, m)
}

// shortened calls a method that takes a message.
func (b *Bot) shortened(ctx context.Context, method, channel string, m message) (ts string, err error) {
	m.Channel = channel
	ts, err = b.client.message(ctx, method, m)
	if Code(err) == "msg_blocks_too_long" {
		b.o.Logger.WarnContext(ctx, "slack found the blocks too long, sending text", "channel", channel)
		m.Blocks = nil
		ts, err = b.client.message(ctx, method, m)
	}
	return ts, err
}

// channel returns the id for an address.
func (b *Bot) channel(address string) (string, error) {
	name, ok := strings.CutPrefix(address, prefix)
	if id := b.o.Channels[name]; ok && id != "" {
		return id, nil
	}
	if ok && len(name) >= 9 && strings.ContainsAny(name[:1], "CGD") && strings.ToUpper(name) == name {
		return name, nil
	}
	return "", fmt.Errorf("slack: no channel id for %q: name it in the server's configuration", address)
}

// HookOptions configure a Hook.
type HookOptions struct {
	URL    string           // the webhook's address, a secret: it appears in no error
	Client *http.Client     // nil = one with a timeout of 10 s
	Now    func() time.Time // nil = time.Now
}

// Hook is a notify.Notifier for an incoming webhook
// (docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). Every
// notice goes to the channel the webhook is bound to.
type Hook struct {
	o HookOptions
}

// NewHook returns a Hook.
func NewHook(o HookOptions) *Hook {
	o.Client, _, o.Now = defaults(o.Client, nil, o.Now)
	return &Hook{o: o}
}

// Deliver implements notify.Notifier. Slack's answer is the plain text "ok".
func (h *Hook) Deliver(ctx context.Context, n notify.Notice) error {
	n.Actions = nil // a webhook's messages cannot be rewritten after a click
	body, err := json.Marshal(compose(n))
	if err != nil {
		return fmt.Errorf("slack webhook: encode message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.o.URL, bytes.NewReader(body))
	if err != nil {
		return errors.New("slack webhook: its address is no URL: set it anew in the server's configuration")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := h.o.Client.Do(req)
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack webhook: %w", notify.WithoutURL(err))}
	}
	defer resp.Body.Close()
	if err := checkStatus(resp, h.o.Now()); err != nil {
		return err
	}
	if answer := notify.ReadAnswer(resp.Body); answer != "ok" {
		return fmt.Errorf("slack webhook answered %q, want ok", answer)
	}
	return nil
}
