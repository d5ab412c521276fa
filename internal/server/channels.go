package server

import (
	"fmt"
	"net/netip"

	"serin/internal/config"
	"serin/internal/notify/slack"
	"serin/internal/notify/webhook"
)

// notifiers connects the channels of a configuration and takes away those of
// the one before that it no longer has.
func (s *Server) notifiers(c, before config.Config) error {
	made := make(map[string]*webhook.Notifier, len(c.Webhooks))
	for name, w := range c.Webhooks {
		options := webhook.Options{Endpoints: map[string]webhook.Endpoint{name: {URL: w.URL, Secrets: []string{w.Secret}}}, Logger: s.o.Logger}
		if w.AllowPrivate {
			options.Allow = privateRanges
		}
		n, err := webhook.New(options)
		if err != nil {
			return fmt.Errorf("webhook %s: %w", name, err)
		}
		made[name] = n
	}
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

// privateRanges are the addresses that allow_private opens to a webhook.
var privateRanges = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("fc00::/7"),
}
