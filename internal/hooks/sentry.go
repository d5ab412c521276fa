package hooks

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/notify"
)

// eventFires is for how long something that Sentry tells of once fires: no
// call says that it is over, but the resolution of its issue.
const eventFires = time.Hour

// issueName and errorName are the alerts of Sentry's hooks that no alert rule
// of Sentry's names.
const (
	issueName = "Sentry issue"
	errorName = "Sentry error"
)

// errSignature is the answer to a call that Sentry did not sign.
var errSignature = errors.New("the signature (Sentry-Hook-Signature) is wrong: give this key the client secret of Sentry's integration")

// text is a string that Sentry also writes as a number.
type text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *text) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) == nil {
		*t = text(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return nil // of another kind: it says nothing
	}
	*t = text(n)
	return nil
}

// sentryEvent is an event, an error or an issue; they share their fields.
type sentryEvent struct {
	ID          text            `json:"id"`
	ShortID     text            `json:"shortId"`
	IssueID     text            `json:"issue_id"`
	Title       text            `json:"title"`
	Level       text            `json:"level"`
	Environment text            `json:"environment"`
	WebURL      text            `json:"web_url"`
	Permalink   text            `json:"permalink"`
	Tags        json.RawMessage `json:"tags"` // [["key","value"]] or [{"key":…,"value":…}]
}

// sentryCall is the body of a webhook.
type sentryCall struct {
	Action string `json:"action"`
	Data   struct {
		Event       *sentryEvent `json:"event"`
		Rule        text         `json:"triggered_rule"`
		Error       *sentryEvent `json:"error"`
		Issue       *sentryEvent `json:"issue"`
		MetricAlert *struct {
			ID         text   `json:"id"`
			Identifier text   `json:"identifier"`
			Projects   []text `json:"projects"`
			AlertRule  struct {
				Name        text `json:"name"`
				Environment text `json:"environment"`
			} `json:"alert_rule"`
		} `json:"metric_alert"`
		Title  text `json:"description_title"`
		Text   text `json:"description_text"`
		WebURL text `json:"web_url"`
	} `json:"data"`
}

// signed reports whether a body bears the signature that a client secret
// makes: hex HMAC-SHA256 of the raw body.
func signed(body []byte, signature, secret string) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	got, err := hex.DecodeString(strings.TrimSpace(signature))
	return err == nil && secret != "" && hmac.Equal(got, mac.Sum(nil))
}

// sentry checks the signature and reads a webhook.
func sentry(k Key, r *http.Request, body []byte, now time.Time) ([]alerting.Outside, error) {
	if !signed(body, r.Header.Get("Sentry-Hook-Signature"), k.ClientSecret) {
		return nil, errSignature
	}
	return DecodeSentry(r.Header.Get("Sentry-Hook-Resource"), body, now)
}

// DecodeSentry reads the body of a webhook of one resource: event_alert,
// metric_alert, error or issue. Others, such as installation, say nothing of
// alerts: they are none. Errors wrap ErrInvalid.
func DecodeSentry(resource string, body []byte, now time.Time) ([]alerting.Outside, error) {
	var in sentryCall
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON of a Sentry webhook: %w", ErrInvalid, err)
	}
	missing := func(field string) error {
		return fmt.Errorf("%w: %s: data.%s is missing", ErrInvalid, resource, field)
	}
	switch resource {
	case "event_alert":
		if in.Data.Event == nil {
			return nil, missing("event")
		}
		return []alerting.Outside{in.Data.Event.once(cmp.Or(string(in.Data.Rule), "Sentry alert"), now)}, nil
	case "error":
		if in.Data.Error == nil {
			return nil, missing("error")
		}
		return []alerting.Outside{in.Data.Error.once(errorName, now)}, nil
	case "issue":
		if in.Data.Issue == nil {
			return nil, missing("issue")
		}
		return in.issue(now), nil
	case "metric_alert":
		if in.Data.MetricAlert == nil {
			return nil, missing("metric_alert")
		}
		return in.metric(now), nil
	}
	return nil, nil
}

// labels are those of an event; which of its tags names a rollout is one.
func (e sentryEvent) labels() map[string]string {
	out := map[string]string{"issue": string(cmp.Or(e.ShortID, e.IssueID, e.ID)), "environment": string(e.Environment)}
	var pairs [][]text
	var named []struct{ Key, Value text }
	if json.Unmarshal(e.Tags, &pairs) == nil {
		for _, p := range pairs {
			if len(p) == 2 {
				named = append(named, struct{ Key, Value text }{p[0], p[1]})
			}
		}
	} else {
		_ = json.Unmarshal(e.Tags, &named) // of another kind: they say nothing
	}
	for _, t := range named {
		switch {
		case t.Key == alert.RolloutLabel:
			out[alert.RolloutLabel] = string(t.Value)
		case t.Key == "environment" && out["environment"] == "":
			out["environment"] = string(t.Value)
		}
	}
	for name, value := range out {
		if value == "" {
			delete(out, name)
		}
	}
	return out
}

// told begins what is said of an event.
func (e sentryEvent) told(now time.Time) alert.Told {
	return alert.Told{Labels: alert.SortedLabels(e.labels(), notify.Digest), Starts: now.UTC(), Severity: alert.SeverityOf(string(e.Level)),
		Why: why(string(e.Title)), Link: link(string(cmp.Or(e.WebURL, e.Permalink)))}
}

// once is something that happened: it fires for an hour.
func (e sentryEvent) once(name string, now time.Time) alerting.Outside {
	t := e.told(now)
	t.Until = now.Add(eventFires).UTC()
	return alerting.Outside{Name: notify.OneLine(name, maxNameText), Told: t}
}

// issue follows an issue: it fires until it is resolved, or for a week.
func (c sentryCall) issue(now time.Time) []alerting.Outside {
	t := c.Data.Issue.told(now)
	switch c.Action {
	case "created", "unresolved":
		t.Until = now.Add(untold).UTC()
	case "resolved", "ignored", "archived":
		t.Ended = now.UTC()
	default:
		return nil
	}
	return []alerting.Outside{{Name: issueName, Told: t}}
}

// metric follows a metric alert: it fires until it is told to be resolved.
func (c sentryCall) metric(now time.Time) []alerting.Outside {
	m := c.Data.MetricAlert
	labels := map[string]string{}
	for i, p := range m.Projects[:min(len(m.Projects), 10)] {
		if i > 0 {
			p = "," + p
		}
		labels["projects"] += string(p)
	}
	if m.AlertRule.Environment != "" {
		labels["environment"] = string(m.AlertRule.Environment)
	}
	t := alert.Told{Labels: alert.SortedLabels(labels, notify.Digest), Starts: now.UTC(), Severity: alert.SeverityOf(c.Action),
		Why: why(string(c.Data.Text), string(c.Data.Title)), Link: link(string(c.Data.WebURL))}
	switch c.Action {
	case "critical", "warning", "open":
		t.Until = now.Add(untold).UTC()
	case "resolved", "closed":
		t.Ended = now.UTC()
	default:
		return nil
	}
	return []alerting.Outside{{Name: notify.OneLine(cmp.Or(string(m.AlertRule.Name), string(c.Data.Title), "Sentry metric alert"), maxNameText), Told: t}}
}
