package hooks

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/notify"
)

const (
	webhookVersion = "4"
	// resolveTimeout is when an alert of the v2 call ends that says no end,
	// as Alertmanager's resolve_timeout has it by default.
	resolveTimeout = 5 * time.Minute
	// untold is for how long an alert of a webhook fires that is not told again.
	untold = 7 * 24 * time.Hour
	// nameless is the name of alerts without one.
	nameless    = "unnamed alert"
	maxLabels   = 60
	maxNameText = 200
	maxWhy      = 500
	maxLink     = 2000
)

// ownAlerts are the names under which serin hands its alerts to an Alertmanager.
var ownAlerts = map[string]bool{"SerinAlert": true, "SerinRollout": true}

// amAlert is an alert in both forms.
type amAlert struct {
	Status       string            `json:"status"` // of a webhook: firing or resolved
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

// DecodeWebhook reads the body of Alertmanager's webhook, version "4". An
// alert fires until the webhook says that it is resolved, or for a week after
// it was told last. Errors wrap ErrInvalid.
func DecodeWebhook(body []byte, now time.Time) ([]alerting.Outside, error) {
	var in struct {
		Version string    `json:"version"`
		Alerts  []amAlert `json:"alerts"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON of Alertmanager's webhook: %w", ErrInvalid, err)
	}
	if in.Version != webhookVersion {
		return nil, fmt.Errorf("%w: version %q: want %q, as Alertmanager 0.16 and later send", ErrInvalid, notify.Cut(in.Version, 20), webhookVersion)
	}
	var out []alerting.Outside
	for i, a := range in.Alerts {
		switch a.Status {
		case "firing":
			a.EndsAt = now.Add(untold)
		case "resolved":
			if a.EndsAt.IsZero() || a.EndsAt.After(now) {
				a.EndsAt = now
			}
		default:
			return nil, fmt.Errorf("%w: alert %d: status %q: want firing or resolved", ErrInvalid, i+1, notify.Cut(a.Status, 20))
		}
		told, ok, err := a.outside(now)
		if err != nil {
			return nil, fmt.Errorf("%w: alert %d: %w", ErrInvalid, i+1, err)
		}
		if ok {
			out = append(out, told)
		}
	}
	return out, nil
}

// DecodeV2 reads the body of a call of Alertmanager's API v2. An alert fires
// until its endsAt, without one for five minutes; one in the past says that it
// is over. Errors wrap ErrInvalid.
func DecodeV2(body []byte, now time.Time) ([]alerting.Outside, error) {
	var in []amAlert
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fmt.Errorf("%w: it is no JSON list of alerts: %w", ErrInvalid, err)
	}
	var out []alerting.Outside
	for i, a := range in {
		if a.EndsAt.IsZero() {
			a.EndsAt = now.Add(resolveTimeout)
		}
		told, ok, err := a.outside(now)
		if err != nil {
			return nil, fmt.Errorf("%w: alert %d: %w", ErrInvalid, i+1, err)
		}
		if ok {
			out = append(out, told)
		}
	}
	return out, nil
}

// outside is the alert in the words of package alerting; ok is false for one
// that serin itself sent.
func (a amAlert) outside(now time.Time) (out alerting.Outside, ok bool, err error) {
	switch {
	case len(a.Labels) == 0:
		return out, false, fmt.Errorf("it has no labels")
	case len(a.Labels) > maxLabels:
		return out, false, fmt.Errorf("%d labels, at most %d", len(a.Labels), maxLabels)
	case !a.StartsAt.IsZero() && a.EndsAt.Before(a.StartsAt):
		return out, false, fmt.Errorf("endsAt %s lies before startsAt", a.EndsAt.Format(time.RFC3339))
	}
	name := notify.OneLine(cmp.Or(strings.TrimSpace(a.Labels["alertname"]), nameless), maxNameText)
	if ownAlerts[name] {
		return out, false, nil
	}
	labels := make(map[string]string, len(a.Labels))
	for label, value := range a.Labels {
		if label != "alertname" && value != "" {
			labels[label] = value
		}
	}
	t := alert.Told{Labels: alert.SortedLabels(labels, notify.Digest), Starts: cmp.Or(a.StartsAt, now).UTC(), Severity: alert.SeverityOf(a.Labels["severity"]),
		Why: why(a.Annotations["summary"], a.Annotations["description"], a.Annotations["message"]), Link: link(a.GeneratorURL)}
	if t.Starts.After(now) { // Alertmanager takes the end for a start that is left out
		t.Starts = now.UTC()
	}
	if a.EndsAt.After(now) {
		t.Until = a.EndsAt.UTC()
	} else {
		t.Ended = a.EndsAt.UTC()
	}
	return alerting.Outside{Name: name, Told: t}, true, nil
}

// why is the first text that says something, on one line.
func why(texts ...string) string {
	for _, text := range texts {
		if text = notify.OneLine(text, maxWhy); text != "" {
			return text
		}
	}
	return ""
}

// link is an address that a page may link to, "" for anything else.
func link(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxLink || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return ""
	}
	return u.String()
}
