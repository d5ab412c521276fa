package slackapp

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// Scopes are what the app's bot token must be allowed: to post and update
// messages, the slash command, the channels of severe incidents, and to know
// people by their e-mail address.
var Scopes = []string{"chat:write", "commands", "channels:manage", "groups:write", "users:read", "users:read.email"}

// manifest is docs.slack.dev/reference/app-manifest, as far as serin needs it.
type manifest struct {
	Display struct {
		Name        string `json:"name"`
		Description string `json:"description"`
		Background  string `json:"background_color"`
	} `json:"display_information"`
	Features struct {
		Bot struct {
			Name   string `json:"display_name"`
			Always bool   `json:"always_online"`
		} `json:"bot_user"`
		Commands []manifestCommand `json:"slash_commands"`
	} `json:"features"`
	OAuth struct {
		Scopes struct {
			Bot []string `json:"bot"`
		} `json:"scopes"`
	} `json:"oauth_config"`
	Settings struct {
		Interactivity struct {
			Enabled bool   `json:"is_enabled"`
			URL     string `json:"request_url,omitempty"`
		} `json:"interactivity"`
		OrgDeploy bool `json:"org_deploy_enabled"`
		Socket    bool `json:"socket_mode_enabled"`
		Rotation  bool `json:"token_rotation_enabled"`
	} `json:"settings"`
}

type manifestCommand struct {
	Command     string `json:"command"`
	URL         string `json:"url,omitempty"`
	Description string `json:"description"`
	Hint        string `json:"usage_hint"`
	Escape      bool   `json:"should_escape"`
}

// Manifest is the app's manifest as JSON. public is how Slack reaches the
// server; "" = it does not, and the app uses Socket Mode.
func Manifest(public string) ([]byte, error) {
	var m manifest
	m.Display.Name, m.Display.Description, m.Display.Background = "serin", "Progressive delivery: rollouts, alerts, buttons", "#1f2937"
	m.Features.Bot.Name, m.Features.Bot.Always = "serin", true
	command := manifestCommand{Command: "/serin", Description: "Where rollouts stand, and less traffic", Hint: "status|record|pause|reduce|rollback|link|help"}
	m.OAuth.Scopes.Bot = Scopes
	m.Settings.Interactivity.Enabled = true
	if public == "" {
		m.Settings.Socket = true
	} else {
		u, err := url.Parse(public)
		if err != nil || u.Scheme != "https" || u.Host == "" {
			return nil, fmt.Errorf("url %q: write it as https://HOST: Slack posts to nothing else", public)
		}
		at := strings.TrimSuffix(public, "/") + "/hooks/slack"
		m.Settings.Interactivity.URL, command.URL = at, at
	}
	m.Features.Commands = []manifestCommand{command}
	return json.MarshalIndent(m, "", "  ")
}
