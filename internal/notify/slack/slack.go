// Package slack tells people in Slack. A Bot posts with a bot token by
// chat.postMessage (docs.slack.dev/reference/methods/chat.postMessage); a
// Hook posts to an incoming webhook, which is bound to one channel.
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
	"io"
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
}

// Options configure a Bot.
type Options struct {
	Token string // bot token with the scope chat:write
	// Channels maps a plan's channel to Slack's id: "#team" -> "C024BE91L".
	// A name that looks like an id needs no entry.
	Channels map[string]string
	BaseURL  string           // "" = https://slack.com/api
	Client   *http.Client     // nil = one with a timeout of 10 s
	Logger   *slog.Logger     // nil = silent
	Now      func() time.Time // nil = time.Now; for a Retry-After that is a date
}

// Bot is a notify.Notifier for addresses "slack:#name" and "slack:ID". It may
// be used by many goroutines at the same time.
type Bot struct {
	o Options
}

var (
	_ notify.Notifier = (*Bot)(nil)
	_ notify.Notifier = (*Hook)(nil)
)

// New returns a Bot.
func New(o Options) *Bot {
	o.Client, o.Logger, o.Now = defaults(o.Client, o.Logger, o.Now)
	if o.BaseURL == "" {
		o.BaseURL = defaultBaseURL
	}
	return &Bot{o: o}
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

// Deliver implements notify.Notifier. A message whose blocks Slack finds too
// long is sent once more as text alone.
func (b *Bot) Deliver(ctx context.Context, n notify.Notice) error {
	channel, err := b.channel(n.Address)
	if err != nil {
		return err
	}
	m := compose(n)
	m.Channel = channel
	err = b.post(ctx, m)
	var refused *refusal
	if errors.As(err, &refused) && refused.code == "msg_blocks_too_long" {
		b.o.Logger.WarnContext(ctx, "slack found the blocks too long, sending text", "notice", n.ID)
		m.Blocks = nil
		err = b.post(ctx, m)
	}
	return err
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

// refusal is an answer with "ok": false.
type refusal struct{ code, detail string }

func (r *refusal) Error() string { return "slack refused the message: " + r.code + r.detail }

func (b *Bot) post(ctx context.Context, m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("slack: encode message: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(b.o.BaseURL, "/")+"/chat.postMessage", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+b.o.Token)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := b.o.Client.Do(req)
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack: %w", err)}
	}
	defer resp.Body.Close()
	if err := checkStatus(resp, b.o.Now()); err != nil {
		return err
	}
	return checkAnswer(resp, b.o.Now())
}

// checkStatus turns an HTTP status other than 200 into an error.
func checkStatus(resp *http.Response, now time.Time) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	err := fmt.Errorf("slack answered %s: %s", resp.Status, notify.ReadAnswer(resp.Body))
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError {
		return &notify.RetryError{Err: err, After: notify.RetryAfter(resp.Header, now)}
	}
	return err
}

// checkAnswer reads Slack's own word.
func checkAnswer(resp *http.Response, now time.Time) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack: read answer: %w", err)}
	}
	var a struct {
		OK       bool   `json:"ok"`
		Error    string `json:"error"`
		Needed   string `json:"needed"`
		Metadata struct {
			Messages []string `json:"messages"`
		} `json:"response_metadata"`
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack: answer is no JSON: %s", notify.ReadAnswer(bytes.NewReader(data)))}
	}
	if a.OK {
		return nil
	}
	r := &refusal{code: a.Error}
	if a.Needed != "" {
		r.detail = " (needed: " + a.Needed + ")"
	}
	if len(a.Metadata.Messages) > 0 {
		r.detail += ": " + notify.ReadAnswer(strings.NewReader(strings.Join(a.Metadata.Messages, "; ")))
	}
	if permanent[a.Error] {
		return r
	}
	return &notify.RetryError{Err: r, After: notify.RetryAfter(resp.Header, now)}
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
