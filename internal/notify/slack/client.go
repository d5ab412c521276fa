package slack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"serin/internal/notify"
)

// ClientOptions configure a Client.
type ClientOptions struct {
	Token   string           // bot token (xoxb-), or app token (xapp-) for Sockets
	BaseURL string           // "" = https://slack.com/api
	Client  *http.Client     // nil = one with a timeout of 10 s
	Now     func() time.Time // nil = time.Now; for a Retry-After that is a date
}

// Client calls Slack's Web API (docs.slack.dev/reference/methods). Its errors
// are *notify.RetryError where trying again may help. It may be used by many
// goroutines at the same time.
type Client struct {
	o ClientOptions
}

// NewClient returns a Client.
func NewClient(o ClientOptions) *Client {
	o.Client, _, o.Now = defaults(o.Client, nil, o.Now)
	if o.BaseURL == "" {
		o.BaseURL = defaultBaseURL
	}
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/")
	return &Client{o: o}
}

// refusal is an answer with "ok": false.
type refusal struct{ method, code, detail string }

func (r *refusal) Error() string { return "slack refused " + r.method + ": " + r.code + r.detail }

// Code is Slack's own word for why a call was refused, such as
// "channel_not_found"; "" where err is no refusal.
func Code(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.code
	}
	return ""
}

// call posts in as JSON and reads the answer into out (nil = it is not read).
func (c *Client) call(ctx context.Context, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("slack %s: encode: %w", method, err)
	}
	return c.send(ctx, method, "application/json; charset=utf-8", bytes.NewReader(body), out)
}

// ask posts a form: the methods that read take no JSON.
func (c *Client) ask(ctx context.Context, method string, in url.Values, out any) error {
	return c.send(ctx, method, "application/x-www-form-urlencoded", strings.NewReader(in.Encode()), out)
}

func (c *Client) send(ctx context.Context, method, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.o.BaseURL+"/"+method, body)
	if err != nil {
		return fmt.Errorf("slack %s: %w", method, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.o.Token)
	req.Header.Set("Content-Type", contentType)
	resp, err := c.o.Client.Do(req)
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack %s: %w", method, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	if err := checkStatus(resp, c.o.Now()); err != nil {
		return err
	}
	return checkAnswer(resp, method, out, c.o.Now())
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
func checkAnswer(resp *http.Response, method string, out any, now time.Time) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack %s: read answer: %w", method, err)}
	}
	var a struct {
		OK       bool   `json:"ok"`
		Error    string `json:"error"`
		Needed   string `json:"needed"`
		Metadata struct {
			Messages []string `json:"messages"`
		} `json:"response_metadata"`
	}
	if err = json.Unmarshal(data, &a); err == nil && a.OK && out != nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack %s: the answer is not as documented: %s", method, notify.ReadAnswer(bytes.NewReader(data)))}
	}
	if a.OK {
		return nil
	}
	r := &refusal{method: method, code: a.Error}
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

// message calls chat.postMessage or chat.update and returns the message's ts,
// which is its name within the channel.
func (c *Client) message(ctx context.Context, method string, m message) (ts string, err error) {
	var a struct {
		TS string `json:"ts"`
	}
	err = c.call(ctx, method, m, &a)
	return a.TS, err
}

// Update replaces a message of the app's by text and blocks, which are JSON as
// Block Kit has it.
func (c *Client) Update(ctx context.Context, channel, ts, text string, blocks json.RawMessage) error {
	return c.call(ctx, "chat.update", struct {
		Channel string          `json:"channel"`
		TS      string          `json:"ts"`
		Text    string          `json:"text"`
		Blocks  json.RawMessage `json:"blocks,omitempty"`
	}{channel, ts, text, blocks}, nil)
}

// Team is the id of the workspace that the token is of.
func (c *Client) Team(ctx context.Context) (string, error) {
	var a struct {
		Team string `json:"team_id"`
	}
	err := c.call(ctx, "auth.test", struct{}{}, &a)
	return a.Team, err
}

// Email is the confirmed e-mail address of a user who is a full member of the
// token's own workspace; "" where there is none such. It needs the scopes
// users:read and users:read.email.
func (c *Client) Email(ctx context.Context, user string) (string, error) {
	var a struct {
		User struct {
			Deleted    bool  `json:"deleted"`
			Bot        bool  `json:"is_bot"`
			Stranger   bool  `json:"is_stranger"`
			Restricted bool  `json:"is_restricted"`
			Confirmed  *bool `json:"is_email_confirmed"`
			Profile    struct {
				Email string `json:"email"`
			} `json:"profile"`
		} `json:"user"`
	}
	if err := c.ask(ctx, "users.info", url.Values{"user": {user}}, &a); err != nil {
		return "", err
	}
	u := a.User
	if u.Deleted || u.Bot || u.Stranger || u.Restricted || u.Confirmed != nil && !*u.Confirmed {
		return "", nil
	}
	return u.Profile.Email, nil
}

// UserByEmail is the id of the workspace's user with an e-mail address; "" = nobody has it.
func (c *Client) UserByEmail(ctx context.Context, email string) (string, error) {
	var a struct {
		User struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	err := c.ask(ctx, "users.lookupByEmail", url.Values{"email": {email}}, &a)
	if Code(err) == "users_not_found" {
		return "", nil
	}
	return a.User.ID, err
}

// Socket asks for the address of a new connection of Socket Mode; the token
// must be an app token with the scope connections:write.
func (c *Client) Socket(ctx context.Context) (string, error) {
	var a struct {
		URL string `json:"url"`
	}
	err := c.call(ctx, "apps.connections.open", struct{}{}, &a)
	if err == nil && a.URL == "" {
		err = &notify.RetryError{Err: errors.New("slack apps.connections.open: the answer names no address")}
	}
	return a.URL, err
}

// OpenView shows a form (views.open) to whoever clicked a moment ago; view is
// JSON as docs.slack.dev/reference/views has it.
func (c *Client) OpenView(ctx context.Context, trigger string, view json.RawMessage) error {
	return c.call(ctx, "views.open", struct {
		Trigger string          `json:"trigger_id"`
		View    json.RawMessage `json:"view"`
	}{trigger, view}, nil)
}

// create makes a channel and returns its id.
func (c *Client) create(ctx context.Context, name string, private bool) (string, error) {
	var a struct {
		Channel struct {
			ID string `json:"id"`
		} `json:"channel"`
	}
	err := c.call(ctx, "conversations.create", map[string]any{"name": name, "is_private": private}, &a)
	return a.Channel.ID, err
}

// Respond sends an answer to the address that came with a click or a slash
// command (docs.slack.dev/interactivity/handling-user-interaction, response_url).
// The address must be Slack's, or at the host of BaseURL.
func (c *Client) Respond(ctx context.Context, address string, body any) error {
	if !c.slacks(address) {
		return fmt.Errorf("slack: the address of an answer is not Slack's: %.100q", address)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("slack: encode answer: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("slack: %w", err)
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := c.o.Client.Do(req)
	if err != nil {
		return &notify.RetryError{Err: fmt.Errorf("slack answer: %w", notify.WithoutURL(err))}
	}
	defer func() { _ = resp.Body.Close() }()
	return checkStatus(resp, c.o.Now())
}

// slacks reports whether an address leads to Slack.
func (c *Client) slacks(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return false
	}
	if own, err := url.Parse(c.o.BaseURL); err == nil && u.Host == own.Host && u.Scheme == own.Scheme {
		return true
	}
	return u.Scheme == "https" && (u.Host == "slack.com" || strings.HasSuffix(u.Host, ".slack.com"))
}
