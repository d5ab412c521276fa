package config

import (
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
)

// checkChannels says what is wrong with pagers, tickets and mail.
func (c Config) checkChannels() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.PagerDuty)) {
		at := "pagerduty." + name
		if c.PagerDuty[name].Key == "" {
			errs = append(errs, fmt.Errorf("%s: key is missing: give it here or in %s", at, Variable(at+".key")))
		}
		errs = append(errs, checkURL(at+".url", c.PagerDuty[name].URL))
	}
	if j := c.Jira; j.URL != "" && (j.Email == "" || j.Token == "") {
		errs = append(errs, fmt.Errorf("jira: url needs email and token: give the token here or in %s", Variable("jira.token")))
	}
	errs = append(errs, checkURL("jira.url", c.Jira.URL))
	if e := c.Email; e.Host != "" {
		if _, err := mail.ParseAddress(e.From); err != nil {
			errs = append(errs, fmt.Errorf("email.from %q: write it as serin@example.com or serin <serin@example.com>", e.From))
		}
		if e.Port < 0 || e.Port > 65535 {
			errs = append(errs, fmt.Errorf("email.port %d: write a port, or leave it out", e.Port))
		}
	} else if e.From != "" || e.Username != "" {
		errs = append(errs, errors.New("email: host is missing"))
	}
	return errors.Join(append(errs, c.checkAlertmanagers(), c.checkSlack())...)
}
