// Package config reads the server's configuration: a YAML file, overlaid by
// environment variables for secrets. A zero Config is usable: it tells people
// on serin's own pages only.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is the server's configuration file. Plans name channels; addresses
// and secrets are here.
type Config struct {
	// PublicURL is how people and clients reach the server; "" = the listen address.
	PublicURL string `yaml:"public_url"`
	Slack     Slack  `yaml:"slack"`
	// Webhooks by the name that a plan's channel uses: "webhook:deploys".
	Webhooks map[string]Webhook `yaml:"webhooks"`
}

// Slack is the bot that posts to channels.
type Slack struct {
	Token string `yaml:"token"` // xoxb-...; SERIN_SLACK_TOKEN or SERIN_SLACK_TOKEN_FILE
	// Channels maps a plan's "#name" to Slack's channel id, which does not change when a channel is renamed.
	Channels map[string]string `yaml:"channels"`
	// APIURL is Slack's API; "" = https://slack.com/api. For a proxy.
	APIURL string `yaml:"api_url"`
}

// Webhook is one receiver that follows Standard Webhooks.
type Webhook struct {
	URL    string `yaml:"url"`
	Secret string `yaml:"secret"` // whsec_...; SERIN_WEBHOOK_<NAME>_SECRET or ..._FILE
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
	if c.Slack.Token, err = secret("SERIN_SLACK_TOKEN", c.Slack.Token, getenv); err != nil {
		return c, err
	}
	for name, w := range c.Webhooks {
		if w.Secret, err = secret("SERIN_WEBHOOK_"+strings.ToUpper(strings.ReplaceAll(name, "-", "_"))+"_SECRET", w.Secret, getenv); err != nil {
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
	var names []string
	for name := range c.Webhooks {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		w := c.Webhooks[name]
		if w.URL == "" {
			return fmt.Errorf("webhooks.%s: url is missing", name)
		}
		if w.Secret == "" {
			return fmt.Errorf("webhooks.%s: secret is missing: give it here or in SERIN_WEBHOOK_%s_SECRET", name, strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		}
	}
	return nil
}
