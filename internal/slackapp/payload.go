package slackapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"serin/internal/auth"
	"serin/internal/notify"
)

// errPayload is wrapped by the errors of payloads that cannot be read.
var errPayload = errors.New("this payload cannot be read")

// interaction is a click or a form that was sent
// (docs.slack.dev/reference/interaction-payloads).
type interaction struct {
	Type string `json:"type"` // block_actions or view_submission
	Team struct {
		ID string `json:"id"`
	} `json:"team"`
	User struct {
		ID   string `json:"id"`
		Team string `json:"team_id"`
	} `json:"user"`
	Trigger  string `json:"trigger_id"`
	Response string `json:"response_url"`
	Channel  struct {
		ID string `json:"id"`
	} `json:"channel"`
	Message struct {
		TS     string            `json:"ts"`
		Blocks []json.RawMessage `json:"blocks"`
	} `json:"message"`
	Actions []struct {
		ID    string `json:"action_id"`
		Value string `json:"value"`
		TS    string `json:"action_ts"`
	} `json:"actions"`
	View struct {
		ID       string `json:"id"`
		Callback string `json:"callback_id"`
		Metadata string `json:"private_metadata"`
		State    struct {
			Values map[string]map[string]struct {
				Value string `json:"value"`
			} `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

func (i interaction) user() auth.SlackUser {
	team := i.User.Team
	if team == "" {
		team = i.Team.ID
	}
	return auth.SlackUser{Team: team, ID: i.User.ID}
}

// place is the message that a click was on, and where answers go.
type place struct {
	Channel  string `json:"channel"`
	TS       string `json:"ts"`
	Response string `json:"response"`
	// Blocks are the message's; nil = not known.
	Blocks []json.RawMessage `json:"-"`
}

// click is a button that was pressed.
type click struct {
	by      auth.SlackUser
	verb    string
	value   string
	trigger string
	at      place
	reason  string // of a form
}

// key is the idempotency key of the click: the same button of the same message
// is one command, whoever presses it and however often.
func (c click) key() string {
	return "slack:" + notify.Digest(strings.Join([]string{c.at.Channel, c.at.TS, c.verb, c.value}, "\n"))
}

// slash is a slash command (docs.slack.dev/interactivity/implementing-slash-commands).
type slash struct {
	Command  string `json:"command"`
	Text     string `json:"text"`
	Team     string `json:"team_id"`
	User     string `json:"user_id"`
	Trigger  string `json:"trigger_id"`
	Response string `json:"response_url"`
}

func (s slash) user() auth.SlackUser { return auth.SlackUser{Team: s.Team, ID: s.User} }

// key is the idempotency key of the command.
func (s slash) key() string { return "slack:" + notify.Digest(s.Trigger) }

// actionPrefix begins the action_id of serin's buttons; see slack.ActionPrefix.
const actionPrefix = "serin."

// decodeInteraction reads an interaction. A click on something that is not
// serin's, such as a link, is no click; ok is false then.
func decodeInteraction(data []byte) (c click, repeat string, ok bool, err error) {
	var i interaction
	if err := json.Unmarshal(data, &i); err != nil {
		return c, "", false, fmt.Errorf("%w: %w", errPayload, err)
	}
	if u := i.user(); u.ID == "" || u.Team == "" {
		return c, "", false, fmt.Errorf("%w: it names no user", errPayload)
	}
	switch {
	case i.Type == "view_submission" && i.View.Callback == acceptForm:
		return fromForm(i)
	case i.Type != "block_actions" || len(i.Actions) == 0 || !strings.HasPrefix(i.Actions[0].ID, actionPrefix):
		return c, "", false, nil
	}
	verb, _, _ := strings.Cut(strings.TrimPrefix(i.Actions[0].ID, actionPrefix), ".")
	c = click{by: i.user(), verb: verb, value: i.Actions[0].Value, trigger: i.Trigger,
		at: place{Channel: i.Channel.ID, TS: i.Message.TS, Response: i.Response, Blocks: i.Message.Blocks}}
	return c, c.key() + i.User.ID + i.Actions[0].TS, true, nil
}

// formMetadata is what the form of an accept remembers of its click.
type formMetadata struct {
	Value string `json:"value"`
	At    place  `json:"at"`
}

func fromForm(i interaction) (c click, repeat string, ok bool, err error) {
	var m formMetadata
	if err := json.Unmarshal([]byte(i.View.Metadata), &m); err != nil {
		return c, "", false, fmt.Errorf("%w: %w", errPayload, err)
	}
	c = click{by: i.user(), verb: notify.VerbAccept, value: m.Value, at: m.At, reason: strings.TrimSpace(i.View.State.Values[reasonInput][reasonInput].Value)}
	return c, c.key() + i.View.ID, true, nil
}

// decodeSlash reads a slash command's JSON, decodeForm its form.
func decodeSlash(data []byte) (slash, error) {
	var s slash
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%w: %w", errPayload, err)
	}
	return s, s.check()
}

func decodeForm(f url.Values) (slash, error) {
	s := slash{Command: f.Get("command"), Text: f.Get("text"), Team: f.Get("team_id"), User: f.Get("user_id"), Trigger: f.Get("trigger_id"), Response: f.Get("response_url")}
	return s, s.check()
}

func (s slash) check() error {
	if s.Team == "" || s.User == "" || s.Trigger == "" {
		return fmt.Errorf("%w: a slash command needs team_id, user_id and trigger_id", errPayload)
	}
	return nil
}
