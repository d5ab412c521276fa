// Package webhook tells another service of the team's by an HTTP POST that is
// signed as Standard Webhooks describes
// (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
//
// A request has the headers webhook-id (the notice's id: the same at every
// try, so that the receiver can tell a repeated one), webhook-timestamp (Unix
// seconds of this try) and webhook-signature: "v1," and the base64 of
// HMAC-SHA256(secret, id "." timestamp "." body), one for each secret, so that
// a secret can be changed without a gap. The body is
//
//	{"type":"rollout.rolled_back","timestamp":"2026-03-02T09:00:00Z","data":{…the notice…}}
//
// with the type alert.firing, alert.resolved, alert.no_data or alert.data_back
// for alerts, and incident.… for incidents.
//
// 2xx means delivered. 410 means that nobody wants it any more: the endpoint
// is not called again until the server starts anew. All else is tried again.
// Redirects are not followed, and names are resolved before the call: an
// address within the own network is refused unless the configuration allows it.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"serin/internal/notify"
	"serin/internal/outbound"
)

const (
	timeout = 15 * time.Second
	prefix  = "webhook:"
	// secretPrefix stands before a base64 secret of 24 to 64 bytes.
	secretPrefix                   = "whsec_"
	minSecretBytes, maxSecretBytes = 24, 64
	// maxBodyBytes bounds a message; the specification advises under 20 kB.
	maxBodyBytes = 64 << 10
)

// ErrGone is the cause of the error for an endpoint that answered 410.
var ErrGone = errors.New("the receiver answered 410 Gone: the webhook is switched off")

// Options configure a Notifier.
type Options struct {
	Endpoints map[string]Endpoint // by the name in "webhook:name"
	// Allow lists networks that may be called although they are not public,
	// such as 10.1.0.0/16.
	Allow   []netip.Prefix
	Timeout time.Duration // of a whole call; 0 = 15 s
	Logger  *slog.Logger  // nil = silent
	Now     func() time.Time
}

// Endpoint is one receiver.
type Endpoint struct {
	URL     string
	Secrets []string // "whsec_…"; the first is the current one
}

// Notifier is a notify.Notifier for addresses "webhook:name". It may be used
// by many goroutines at the same time.
type Notifier struct {
	endpoints map[string]endpoint
	client    *http.Client
	log       *slog.Logger
	now       func() time.Time

	mu   sync.Mutex      // guards gone
	gone map[string]bool // endpoints that answered 410
}

type endpoint struct {
	url  string
	keys [][]byte
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a Notifier, or an error that names the endpoint whose
// address or secret is wrong.
func New(o Options) (*Notifier, error) {
	n := &Notifier{endpoints: map[string]endpoint{}, log: o.Logger, now: o.Now, gone: map[string]bool{}}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	if n.now == nil {
		n.now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = timeout
	}
	g := outbound.Guard{Allow: o.Allow}
	n.client = &http.Client{
		Timeout: o.Timeout,
		// No proxy: it would resolve names behind the guard's back.
		Transport:     &http.Transport{DialContext: g.Dial, TLSHandshakeTimeout: o.Timeout, MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for name, e := range o.Endpoints {
		parsed, err := parseEndpoint(e)
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", name, err)
		}
		n.endpoints[name] = parsed
	}
	return n, nil
}

// parseEndpoint checks address and secrets. Its errors hold neither.
func parseEndpoint(e Endpoint) (endpoint, error) {
	u, err := url.Parse(e.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return endpoint{}, errors.New("the address must be an http or https URL with a host")
	}
	out := endpoint{url: u.String()}
	for i, s := range e.Secrets {
		text, ok := strings.CutPrefix(s, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
			return endpoint{}, fmt.Errorf("secret %d must be %q and the base64 of %d to %d bytes", i+1, secretPrefix, minSecretBytes, maxSecretBytes)
		}
		out.keys = append(out.keys, key)
	}
	if len(out.keys) == 0 {
		return endpoint{}, errors.New("it needs a secret")
	}
	return out, nil
}

// bodyType is the type of a body: what happened to a rollout has no word
// before its dot yet ("rollout.rolled_back"); what happened to an alert or an
// incident has ("alert.firing", "incident.opened").
func bodyType(kind string) string {
	if strings.Contains(kind, ".") {
		return kind
	}
	return "rollout." + kind
}

// payload is the body of a request.
type payload struct {
	Type      string        `json:"type"`
	Timestamp time.Time     `json:"timestamp"`
	Data      notify.Notice `json:"data"`
}

// Deliver implements notify.Notifier. The error of an endpoint that answered
// 410 is ErrGone, then and later.
func (n *Notifier) Deliver(ctx context.Context, m notify.Notice) error {
	name, ok := strings.CutPrefix(m.Address, prefix)
	e, known := n.endpoints[name]
	if !ok || !known {
		return fmt.Errorf("no webhook %q: name it in the server's configuration", m.Address)
	}
	if n.isGone(name) {
		return fmt.Errorf("webhook %s: %w", name, ErrGone)
	}
	body, err := json.Marshal(payload{Type: bodyType(m.Type), Timestamp: m.At.UTC(), Data: m})
	if err != nil {
		return fmt.Errorf("webhook %s: encode notice: %w", name, err)
	}
	if len(body) > maxBodyBytes {
		return fmt.Errorf("webhook %s: notice %s has %d bytes, more than %d", name, m.ID, len(body), maxBodyBytes)
	}
	err = n.post(ctx, e, m.ID, body)
	if errors.Is(err, ErrGone) {
		n.log.WarnContext(ctx, "webhook switched off: the receiver answered 410", "webhook", name)
		n.mu.Lock()
		n.gone[name] = true
		n.mu.Unlock()
	}
	if err != nil {
		return fmt.Errorf("webhook %s: %w", name, err)
	}
	return nil
}

func (n *Notifier) isGone(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone[name]
}

// post sends the very bytes that it signs.
func (n *Notifier) post(ctx context.Context, e endpoint, id string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return notify.WithoutURL(err)
	}
	stamp := strconv.FormatInt(n.now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "serin")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", stamp)
	req.Header.Set("Webhook-Signature", sign(e.keys, id, stamp, body))
	resp, err := n.client.Do(req)
	if err != nil {
		err = notify.WithoutURL(err)
		if errors.Is(err, outbound.ErrForbidden) {
			return err
		}
		return &notify.RetryError{Err: err}
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return nil
	case resp.StatusCode == http.StatusGone:
		return ErrGone
	}
	return &notify.RetryError{
		Err:   fmt.Errorf("the receiver answered %s: %s", resp.Status, notify.ReadAnswer(resp.Body)),
		After: notify.RetryAfter(resp.Header, n.now()),
	}
}

// sign returns the value of webhook-signature: one signature a key, blank between.
func sign(keys [][]byte, id, stamp string, body []byte) string {
	var list []string
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + stamp + "."))
		mac.Write(body)
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(list, " ")
}
