// Package pagerduty pages people by PagerDuty's Events API v2
// (developer.pagerduty.com/docs/events-api-v2/overview): POST /v2/enqueue with
// routing_key, event_action, dedup_key, payload, links, client, client_url.
//
// Everything about one incident has one dedup_key, "serin/" and the notice's
// thread, so that a notice which arrives twice is one alert at PagerDuty:
// what fires triggers, an acknowledgement acknowledges, the end resolves. News
// of a rollout is an alert of its own, which a person resolves.
//
// 202 means accepted. 400 is permanent; 429, 5xx and lost connections are
// tried again. An event has at most 512,000 bytes; serin's texts are cut far
// below. Errors never hold the routing key.
package pagerduty

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"serin/internal/notify"
)

const (
	defaultURL = "https://events.pagerduty.com"
	// euURL serves accounts of PagerDuty's EU region.
	euURL   = "https://events.eu.pagerduty.com"
	timeout = 10 * time.Second
	prefix  = "pagerduty:"
	// maxKey and maxSummary are the limits of dedup_key (bytes) and payload.summary (characters).
	maxKey, maxSummary = 255, 1024
	// maxDetail bounds each of the custom details.
	maxDetail = 8000
)

// Options configure a Notifier.
type Options struct {
	Keys    map[string]string // routing (integration) key by the name in "pagerduty:name"
	EU      bool              // the account is of the EU region
	BaseURL string            // "" = PagerDuty's, by EU
	Source  string            // what is affected, where a notice names no rollout; "" = serin
	Client  *http.Client      // nil = one with a timeout of 10 s
	Now     func() time.Time  // nil = time.Now; for a Retry-After that is a date
}

// Notifier is a notify.Notifier for addresses "pagerduty:name". It may be used
// by many goroutines at the same time.
type Notifier struct {
	o    Options
	call notify.Caller
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a Notifier.
func New(o Options) *Notifier {
	if o.BaseURL == "" {
		o.BaseURL = defaultURL
		if o.EU {
			o.BaseURL = euURL
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Source == "" {
		o.Source = "serin"
	}
	return &Notifier{o: o, call: notify.Caller{Service: "pagerduty", Client: notify.NoRedirects(o.Client, timeout), Now: o.Now}}
}

// event is the body of /v2/enqueue.
type event struct {
	RoutingKey string   `json:"routing_key"`
	Action     string   `json:"event_action"`
	DedupKey   string   `json:"dedup_key"`
	Payload    *payload `json:"payload,omitempty"` // of triggers only
	Links      []link   `json:"links,omitempty"`
	Client     string   `json:"client,omitempty"`
	ClientURL  string   `json:"client_url,omitempty"`
}

type payload struct {
	Summary   string            `json:"summary"`
	Source    string            `json:"source"`
	Severity  string            `json:"severity"` // critical, error, warning or info
	Timestamp string            `json:"timestamp,omitempty"`
	Component string            `json:"component,omitempty"`
	Group     string            `json:"group,omitempty"`
	Class     string            `json:"class,omitempty"`
	Details   map[string]string `json:"custom_details,omitempty"`
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// Deliver implements notify.Notifier.
func (p *Notifier) Deliver(ctx context.Context, n notify.Notice) error {
	name, ok := strings.CutPrefix(n.Address, prefix)
	key := p.o.Keys[name]
	if !ok || key == "" {
		return fmt.Errorf("no pagerduty service %q: name it in the server's configuration, pagerduty.services", n.Address)
	}
	var answer struct {
		Status string `json:"status"`
	}
	err := p.call.JSON(ctx, http.MethodPost, strings.TrimSuffix(p.o.BaseURL, "/")+"/v2/enqueue", p.compose(n, key), &answer)
	switch {
	case err != nil:
		return masked(err, key)
	case answer.Status != "success":
		return fmt.Errorf("pagerduty answered status %q, want success", notify.OneLine(answer.Status, maxSummary))
	}
	return nil
}

// masked takes the routing key out of an answer that repeats it.
func masked(err error, key string) error {
	var refused *notify.StatusError
	if errors.As(err, &refused) {
		refused.Body = []byte(strings.ReplaceAll(string(refused.Body), key, "(routing key)"))
	}
	return err
}

// compose writes a notice as an event.
func (p *Notifier) compose(n notify.Notice, key string) event {
	const begin = "serin/"
	e := event{RoutingKey: key, Action: "trigger", DedupKey: begin + n.Key(maxKey-len(begin))}
	switch n.Phase() {
	case notify.Acked:
		e.Action = "acknowledge"
		return e
	case notify.Closed:
		e.Action = "resolve"
		return e
	}
	e.Client = "serin"
	if strings.HasPrefix(n.Link, "https://") || strings.HasPrefix(n.Link, "http://") {
		e.ClientURL, e.Links = n.Link, []link{{Href: n.Link, Text: "Open in serin"}}
	}
	summary := n.Title
	if strings.TrimSpace(summary) == "" {
		summary = n.Type
	}
	e.Payload = &payload{Summary: notify.OneLine(summary, maxSummary), Source: p.o.Source, Severity: severity(n),
		Component: n.Rollout, Class: n.Type, Details: details(n)}
	if n.Rollout != "" {
		e.Payload.Source = n.Rollout
	}
	if !n.At.IsZero() {
		e.Payload.Timestamp = n.At.UTC().Format(time.RFC3339)
	}
	return e
}

// severity says how grave it is in PagerDuty's four words.
func severity(n notify.Notice) string {
	switch n.Severity {
	case "p1":
		return "critical"
	case "p2":
		return "error"
	case "p3":
		return "warning"
	case "p4":
		return "info"
	}
	switch {
	case n.Phase() == notify.Opened, n.Type == "rolled_back":
		return "error"
	case n.Type == "test":
		return "info"
	}
	return "warning"
}

// details are what the page shows below the summary.
func details(n notify.Notice) map[string]string {
	out := map[string]string{}
	for _, f := range []struct{ name, value string }{
		{"text", n.Text}, {"rule", n.Rule}, {"value", n.Value}, {"limit", n.Limit}, {"flag", n.Flag}, {"for", strings.Join(n.For, ", ")}, {"notice", n.ID},
	} {
		if f.value != "" {
			out[f.name] = notify.Cut(f.value, maxDetail)
		}
	}
	return out
}
