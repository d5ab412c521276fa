package config

import (
	"strings"
	"testing"
)

func TestCheckSlack(t *testing.T) {
	for _, tc := range []struct {
		name, want string // "" = nothing is wrong
		c          Config
	}{
		{"nothing", "", Config{}},
		{"all of it", "", Config{Slack: Slack{Token: "xoxb-1", AppToken: "xapp-1", SigningSecret: "s", CallLink: "https://meet.example/{room}"}}},
		{"the bot's token as the app's", "slack.app_token", Config{Slack: Slack{Token: "xoxb-1", AppToken: "xoxb-secret"}}},
		{"no bot", "SERIN_SLACK_TOKEN", Config{Slack: Slack{SigningSecret: "secret"}}},
		{"no link", "slack.call_link", Config{Slack: Slack{CallLink: "meet"}}},
		{"a long link", "slack.call_link", Config{Slack: Slack{CallLink: "https://meet.example/" + strings.Repeat("x", 200)}}},
		{"a webhook", "", Config{SlackHooks: map[string]SlackHook{"team": {URL: "https://hooks.slack.com/services/T/B/s"}}}},
		{"a webhook without address", "SERIN_SLACKHOOK_TEAM_URL", Config{SlackHooks: map[string]SlackHook{"team": {}}}},
		{"a webhook that is no address", "slackhook.team.url", Config{SlackHooks: map[string]SlackHook{"team": {URL: "secret"}}}},
	} {
		err := tc.c.checkSlack()
		if (err == nil) != (tc.want == "") || err != nil && (!strings.Contains(err.Error(), tc.want) || strings.Contains(strings.ReplaceAll(err.Error(), "signing_secret", ""), "secret")) {
			t.Errorf("%s: %v, want %q and no secret", tc.name, err, tc.want)
		}
	}
}
