// Package alertmanager hands alerts to a Prometheus Alertmanager by its API v2
// (prometheus/alertmanager, api/v2/openapi.yaml): POST /api/v2/alerts with a
// list of labels, annotations, startsAt, endsAt, generatorURL. Alertmanager
// then groups, silences and routes them as it does those of Prometheus.
//
// An alert is its set of labels: alertname (SerinAlert or SerinRollout),
// thread, rollout, severity. Values and texts are annotations, so that they may
// change. What fires is sent again every minute with an end in four minutes
// (Run), for an alert that is not repeated ends by itself; its end is told by
// an endsAt of now. If the severity of what fires changes, the alert of the old
// severity is ended in the same request. News of a rollout is sent once and
// ends by itself after an hour.
//
// What fires is known in memory. Resume reads it from the notices that were
// delivered, after a start.
package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"serin/internal/notify"
	"serin/internal/outbound"
)

const (
	timeout = 10 * time.Second
	prefix  = "alertmanager:"
	// again is how often what fires is sent, lasts how far ahead its end is.
	again = time.Minute
	lasts = 4 * time.Minute
	// newsLasts is how long something that happened is shown.
	newsLasts = time.Hour
	// maxFiring bounds what is kept alive at one endpoint; the oldest goes first.
	maxFiring = 1000
	maxLabel  = 300
	maxText   = 8000
)

// Endpoint is one Alertmanager.
type Endpoint struct {
	URL          string // without /api/v2
	Token        string // bearer token; "" = none
	Username     string // of basic authentication; "" = none
	Password     string
	AllowPrivate bool // the address may be private or loopback
}

// Options configure a Notifier.
type Options struct {
	Endpoints map[string]Endpoint // by the name in "alertmanager:name"
	Logger    *slog.Logger        // nil = silent
	Now       func() time.Time    // nil = time.Now
}

// Notifier is a notify.Notifier for addresses "alertmanager:name". It may be
// used by many goroutines at the same time.
type Notifier struct {
	log *slog.Logger
	now func() time.Time

	mu        sync.Mutex // guards endpoints and what they hold
	endpoints map[string]*endpoint
}

type endpoint struct {
	is     Endpoint
	client *outbound.Client
	firing map[string]Alert // by thread
	// sending is held from reading firing until the answer, so that a repetition
	// does not overtake the end of an alert. It is taken before Notifier.mu.
	sending *sync.Mutex
}

// Alert is what the API takes for one alert.
type Alert struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a Notifier, or an error that names the endpoint that is wrong.
func New(o Options) (*Notifier, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	n := &Notifier{log: o.Logger, now: o.Now}
	return n, n.Set(o.Endpoints)
}

// Set replaces the endpoints. What fires at one that stays is kept alive
// further. After an error nothing has changed.
func (a *Notifier) Set(endpoints map[string]Endpoint) error {
	made := map[string]*endpoint{}
	for name, e := range endpoints {
		if err := outbound.CheckURL(e.URL); err != nil {
			return fmt.Errorf("alertmanager %s: %w", name, err)
		}
		var allow []netip.Prefix
		if e.AllowPrivate {
			allow = outbound.Private
		}
		client, err := outbound.NewClient(outbound.Options{Guard: outbound.Guard{Allow: allow}, Timeout: timeout, Token: e.Token, Username: e.Username, Password: e.Password})
		if err != nil {
			return fmt.Errorf("alertmanager %s: %w", name, err)
		}
		made[name] = &endpoint{is: e, client: client, firing: map[string]Alert{}, sending: new(sync.Mutex)}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, e := range made {
		if before := a.endpoints[name]; before != nil {
			e.firing, e.sending = before.firing, before.sending
		}
	}
	a.endpoints = made
	return nil
}

func (a *Notifier) endpoint(address string) *endpoint {
	name, ok := strings.CutPrefix(address, prefix)
	if !ok {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.endpoints[name]
}

// Deliver implements notify.Notifier.
func (a *Notifier) Deliver(ctx context.Context, n notify.Notice) error {
	e := a.endpoint(n.Address)
	if e == nil {
		return fmt.Errorf("no alertmanager %q: name it in the server's configuration, alertmanager", n.Address)
	}
	e.sending.Lock()
	defer e.sending.Unlock()
	now := a.now()
	key := n.Key(maxLabel)
	a.mu.Lock()
	before, known := e.firing[key]
	a.mu.Unlock()
	list := []Alert{compose(n, now)}
	if known {
		list[0].StartsAt = before.StartsAt
		if !maps.Equal(before.Labels, list[0].Labels) {
			before.EndsAt = now
			if n.Phase() == notify.Closed {
				list = nil // the alert has the labels that it was told with
			}
			list = append(list, before)
		}
	}
	if err := a.send(ctx, e, list); err != nil {
		return err
	}
	a.keep(e, key, n.Phase(), list[0])
	return nil
}

// keep notes what fires at e.
func (a *Notifier) keep(e *endpoint, key string, phase notify.Phase, alert Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch phase {
	case notify.Opened, notify.Acked:
		e.firing[key] = alert
	case notify.Closed:
		delete(e.firing, key)
	}
	if len(e.firing) > maxFiring {
		delete(e.firing, slices.MinFunc(slices.Collect(maps.Keys(e.firing)), func(x, y string) int {
			return e.firing[x].StartsAt.Compare(e.firing[y].StartsAt)
		}))
	}
}

// Resume takes up what was firing by notices that were delivered before,
// oldest first.
func (a *Notifier) Resume(delivered []notify.Notice) {
	for _, n := range delivered {
		if e := a.endpoint(n.Address); e != nil {
			alert := compose(n, a.now())
			a.mu.Lock()
			if before, known := e.firing[n.Key(maxLabel)]; known {
				alert.StartsAt = before.StartsAt
			}
			a.mu.Unlock()
			a.keep(e, n.Key(maxLabel), n.Phase(), alert)
		}
	}
}

// Run sends what fires again every minute until ctx ends. A slow endpoint does
// not delay another.
func (a *Notifier) Run(ctx context.Context) error {
	ticker := time.NewTicker(again)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			a.repeat(ctx)
		}
	}
}

// repeat sends what fires once more, to all endpoints at the same time.
func (a *Notifier) repeat(ctx context.Context) {
	a.mu.Lock()
	endpoints := maps.Clone(a.endpoints)
	a.mu.Unlock()
	var group sync.WaitGroup
	for name, e := range endpoints {
		group.Go(func() {
			e.sending.Lock()
			defer e.sending.Unlock()
			a.mu.Lock()
			list := make([]Alert, 0, len(e.firing))
			for _, alert := range e.firing {
				alert.EndsAt = a.now().Add(lasts).UTC()
				list = append(list, alert)
			}
			a.mu.Unlock()
			if len(list) == 0 {
				return
			}
			if err := a.send(ctx, e, list); err != nil && ctx.Err() == nil {
				a.log.Warn("send what fires again", "alertmanager", name, "alerts", len(list), "err", err)
			}
		})
	}
	group.Wait()
}

// compose writes a notice as an alert.
func compose(n notify.Notice, now time.Time) Alert {
	out := Alert{
		Labels:      map[string]string{"alertname": "SerinAlert", "thread": notify.OneLine(n.Key(maxLabel), maxLabel)},
		Annotations: map[string]string{},
		StartsAt:    n.At.UTC(), EndsAt: now.Add(lasts).UTC(),
	}
	if out.StartsAt.IsZero() || out.StartsAt.After(now) {
		out.StartsAt = now.UTC()
	}
	switch n.Phase() {
	case notify.News:
		out.Labels["alertname"], out.EndsAt = "SerinRollout", now.Add(newsLasts).UTC()
	case notify.Closed:
		out.EndsAt = now.UTC()
	}
	for name, value := range map[string]string{"rollout": n.Rollout, "severity": severity(n)} {
		if value != "" {
			out.Labels[name] = notify.OneLine(value, maxLabel)
		}
	}
	for name, value := range map[string]string{"summary": n.Title, "description": n.Text, "rule": n.Rule, "value": n.Value, "limit": n.Limit, "type": n.Type} {
		if value != "" {
			out.Annotations[name] = notify.Cut(value, maxText)
		}
	}
	if outbound.CheckURL(n.Link) == nil {
		out.GeneratorURL = n.Link
	}
	return out
}

// severity is in the words that Alertmanager's examples route by.
func severity(n notify.Notice) string {
	switch n.Severity {
	case "p1":
		return "critical"
	case "p2", "p3":
		return "warning"
	case "p4":
		return "info"
	}
	if n.Type == "rolled_back" {
		return "warning"
	}
	return "info"
}

func (a *Notifier) send(ctx context.Context, e *endpoint, list []Alert) error {
	req, err := request(ctx, e.is.URL, list)
	if err != nil {
		return err
	}
	resp, body, _, err := e.client.Do(req, 1<<10)
	switch {
	case errors.Is(err, outbound.ErrForbidden):
		return fmt.Errorf("alertmanager: %w", err)
	case err != nil:
		return &notify.RetryError{Err: fmt.Errorf("alertmanager: %w", err)}
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return nil
	}
	err = fmt.Errorf("alertmanager answered %s: %s", resp.Status, outbound.Excerpt(body))
	if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError {
		return &notify.RetryError{Err: err, After: notify.RetryAfter(resp.Header, a.now())}
	}
	return err
}
