package server

import (
	"fmt"

	"serin/internal/config"
	"serin/internal/notify/email"
	"serin/internal/notify/jira"
	"serin/internal/notify/pagerduty"
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
	if err := s.useAlertmanagers(c, before); err != nil {
		return err
	}
	hooks, err := s.hooks(c)
	if err != nil {
		return err
	}
	s.useHooks(hooks, before)
	var post *email.Notifier
	if e := c.Email; e.Host != "" {
		if post, err = email.New(email.Options{Host: e.Host, Port: e.Port, TLS: e.TLS, Username: e.Username, Password: e.Password, From: e.From, Domains: e.Domains, Now: s.o.Clock.Now}); err != nil {
			return err
		}
	}
	courier := s.control.Courier()
	s.pagersAndTickets(c, before)
	s.connectRotas(nil, c.PagerDuty)
	if post != nil {
		courier.Use("email", post)
	} else if before.Email.Host != "" {
		courier.Use("email", nil)
	}
	s.useSlack(c, before)
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

// pagersAndTickets connects PagerDuty and Jira, or takes away what is no longer there.
func (s *Server) pagersAndTickets(c, before config.Config) {
	courier := s.control.Courier()
	for name := range before.PagerDuty {
		if _, still := c.PagerDuty[name]; !still {
			courier.Use("pagerduty:"+name, nil)
		}
	}
	for name, p := range c.PagerDuty {
		courier.Use("pagerduty:"+name, pagerduty.New(pagerduty.Options{Keys: map[string]string{name: p.Key}, EU: p.EU, BaseURL: p.URL, Now: s.o.Clock.Now}))
	}
	switch j := c.Jira; {
	case j.URL != "":
		courier.Use("jira", jira.New(jira.Options{URL: j.URL, Email: j.Email, Token: j.Token, IssueType: j.IssueType, Priorities: j.Priorities, Resolve: j.Resolve, Reopen: j.Reopen, Now: s.o.Clock.Now}))
	case before.Jira.URL != "":
		courier.Use("jira", nil)
	}
}
