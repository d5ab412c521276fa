// Package config reads the server's configuration: a YAML file, overlaid by
// environment variables for secrets. A zero Config is usable: it tells people
// on serin's own pages only.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is the server's configuration file. Plans name channels; addresses
// and secrets are here.
type Config struct {
	// PublicURL is how people and clients reach the server; "" = the listen address.
	PublicURL string `yaml:"public_url"`
	// Slack is the bot that posts to a plan's channels such as "slack:#ops".
	Slack Slack `yaml:"slack"`
	// Webhooks are receivers by the name that a plan's channel uses: "webhook:deploys".
	Webhooks map[string]Webhook `yaml:"webhooks"`
}

// Variable is an environment variable of the server.
type Variable struct{ Name, Does string }

// Variables are the environment variables that go before the file, for
// secrets. Each may have _FILE appended: then it names a file that holds the secret.
var Variables = []Variable{
	{slackVariable, "`slack.token`"},
	{webhookVariable("NAME"), "`webhooks.NAME.secret`; the name in capitals, `-` as `_`"},
}

const slackVariable = "SERIN_SLACK_TOKEN"

// webhookVariable names the variable of a webhook's secret.
func webhookVariable(name string) string {
	return "SERIN_WEBHOOK_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_SECRET"
}

// Slack is the bot that posts to channels.
type Slack struct {
	// Token is the bot's: xoxb-...; better in SERIN_SLACK_TOKEN or SERIN_SLACK_TOKEN_FILE.
	Token string `yaml:"token"`
	// Channels maps a plan's "#name" to Slack's channel id, which does not change when a channel is renamed.
	Channels map[string]string `yaml:"channels"`
	// APIURL is Slack's API; "" = https://slack.com/api. For a proxy.
	APIURL string `yaml:"api_url"`
}

// Webhook is one receiver that follows Standard Webhooks.
type Webhook struct {
	// URL is where notices are posted to; required.
	URL string `yaml:"url"`
	// Secret signs them: whsec_...; better in SERIN_WEBHOOK_NAME_SECRET or SERIN_WEBHOOK_NAME_SECRET_FILE; required.
	Secret string `yaml:"secret"`
	// AllowPrivate lets the address be private or loopback; off, it is refused.
	AllowPrivate bool `yaml:"allow_private"`
}

// Load reads a file and the environment; path "" means no file. Unknown keys are errors.
func Load(path string, getenv func(string) string) (Config, error) {
	var c Config
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("read configuration: %w", err)
		}
		dec := yaml.NewDecoder(bytes.NewReader(data))
		dec.KnownFields(true)
		if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("configuration %s: %w", path, err)
		}
	}
	var err error
	if c.Slack.Token, err = secret(slackVariable, c.Slack.Token, getenv); err != nil {
		return c, err
	}
	for name, w := range c.Webhooks {
		if w.Secret, err = secret(webhookVariable(name), w.Secret, getenv); err != nil {
			return c, err
		}
		c.Webhooks[name] = w
	}
	return c, c.check()
}

// secret prefers the variable, then the file that variable_FILE names, then the file's value.
func secret(variable, value string, getenv func(string) string) (string, error) {
	if v := getenv(variable); v != "" {
		return v, nil
	}
	if path := getenv(variable + "_FILE"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", fmt.Errorf("%s_FILE: %w", variable, err)
		}
		return strings.TrimSpace(string(data)), nil
	}
	return value, nil
}

func (c Config) check() error {
	if u, err := url.Parse(c.PublicURL); c.PublicURL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("public_url %q: write it as https://HOST", c.PublicURL)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Webhooks)) {
		w := c.Webhooks[name]
		if w.URL == "" {
			return fmt.Errorf("webhooks.%s: url is missing", name)
		}
		if w.Secret == "" {
			return fmt.Errorf("webhooks.%s: secret is missing: give it here or in %s", name, webhookVariable(name))
		}
	}
	return nil
}
