package server

import (
	"fmt"

	"serin/internal/config"
	"serin/internal/notify/slack"
	"serin/internal/notify/webhook"
	"serin/internal/outbound"
)

// notifiers connects the channels and deploy hooks of a configuration and
// takes away those of the one before that it no longer has.
func (s *Server) notifiers(c, before config.Config) error {
	made := make(map[string]*webhook.Notifier, len(c.Webhooks))
	for name, w := range c.Webhooks {
		options := webhook.Options{Endpoints: map[string]webhook.Endpoint{name: {URL: w.URL, Secrets: []string{w.Secret}}}, Logger: s.o.Logger}
		if w.AllowPrivate {
			options.Allow = outbound.Private
		}
		n, err := webhook.New(options)
		if err != nil {
			return fmt.Errorf("webhook %s: %w", name, err)
		}
		made[name] = n
	}
	hooks, err := s.hooks(c)
	if err != nil {
		return err
	}
	s.useHooks(hooks, before)
	courier := s.control.Courier()
	if c.Slack.Token != "" {
		courier.Use("slack", slack.New(slack.Options{Token: c.Slack.Token, BaseURL: c.Slack.APIURL, Channels: c.Slack.Channels, Logger: s.o.Logger}))
	} else if before.Slack.Token != "" {
		courier.Use("slack", nil)
	}
	for name := range before.Webhooks {
		if made[name] == nil {
			courier.Use("webhook:"+name, nil)
		}
	}
	for name, n := range made {
		courier.Use("webhook:"+name, n)
	}
	return nil
}
