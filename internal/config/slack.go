package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// checkSlack says what is wrong with the Slack app and its webhooks. It names
// no secret.
func (c Config) checkSlack() error {
	var errs []error
	s := c.Slack
	switch {
	case s.AppToken != "" && !strings.HasPrefix(s.AppToken, "xapp-"):
		errs = append(errs, errors.New("slack.app_token: it begins with xapp-: make one under Basic Information, App-Level Tokens, with connections:write"))
	case s.Token == "" && (s.AppToken != "" || s.SigningSecret != ""):
		errs = append(errs, fmt.Errorf("slack: app_token and signing_secret need the bot's token: give it here or in %s", Variable("slack.token")))
	}
	if link := strings.ReplaceAll(s.CallLink, "{room}", "room"); link != "" {
		if u, err := url.Parse(link); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(link) > maxCallLink {
			errs = append(errs, fmt.Errorf("slack.call_link %q: write it as https://HOST/{room}, with at most %d bytes", s.CallLink, maxCallLink))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.SlackHooks)) {
		at := "slackhook." + name
		u, err := url.Parse(c.SlackHooks[name].URL)
		switch {
		case c.SlackHooks[name].URL == "":
			errs = append(errs, fmt.Errorf("%s: url is missing: give it here or in %s", at, Variable(at+".url")))
		case err != nil, u.Host == "", u.Scheme != "https" && u.Scheme != "http":
			errs = append(errs, fmt.Errorf("%s.url: write it as https://hooks.slack.com/services/T0/B0/SECRET", at))
		}
	}
	return errors.Join(errs...)
}

// maxCallLink leaves room for the rest of a channel's topic, which has 250 characters.
const maxCallLink = 120
