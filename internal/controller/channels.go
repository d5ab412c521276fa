package controller

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

// testGap is the least real time between two test notices of a server: enough
// to look at one, and no way to flood a channel.
const testGap = 5 * time.Second

// ChannelState is an address that people can be told at, and whether this
// server can deliver to it now.
type ChannelState struct {
	Address   string   `json:"address"`          // as in a plan: "slack:#team"
	Plans     []string `json:"plans"`            // rollouts under way whose plan names it
	Connected bool     `json:"connected"`        // there is a notifier for it
	Why       string   `json:"why,omitempty"`    // what is missing where it is not
	Notice    string   `json:"notice,omitempty"` // how the newest notice went: delivered, failing, dead or waiting; "" = none was sent
	// Health is how deliveries to it go; nil = no notice was written for it, or
	// who asks may not see the whole server.
	Health *ChannelHealth `json:"health,omitempty"`
}

// The outcomes of a ChannelTest.
const (
	TestDelivered    = "delivered"
	TestFailed       = "failed"
	TestNotAvailable = "not available" // there is no notifier for the address
)

// ChannelTest is what came of a test notice.
type ChannelTest struct {
	Address string        `json:"address"`
	Outcome string        `json:"outcome" enum:"delivered,failed,not available"`
	Detail  string        `json:"detail"`         // the service's answer in words, or what is missing
	Took    time.Duration `json:"took,omitempty"` // real time of the delivery
}

// TooSoonError says that a test notice was sent a moment ago.
type TooSoonError struct{ After time.Duration }

func (e *TooSoonError) Error() string {
	return fmt.Sprintf("a test notice was sent a moment ago: wait %s", e.After.Round(time.Second))
}

// addressForm is what an address looks like; which kinds a plan may name is
// the plan's business.
var addressForm = regexp.MustCompile(`^[a-z]+(:\S+)?$`)

// longestAddress bounds what is written to the audit log.
const longestAddress = 200

// Channels lists the addresses that plans of rollouts under way name, and those
// that the server's configuration connects, by address; sees says of which
// projects' rollouts it may tell. "dashboard" is left out: a notice to it is
// delivered by being stored.
func (c *Controller) Channels(ctx context.Context, sees func(project string) bool) ([]ChannelState, error) {
	newest, err := c.newestNotices(ctx)
	if err != nil {
		return nil, err
	}
	plans := map[string][]string{}
	for _, address := range c.courier.reach() {
		if !strings.HasSuffix(address, ":") { // of a scheme alone nobody knows the rest
			plans[address] = nil
		}
	}
	c.mu.Lock()
	for _, id := range c.order {
		w := c.workers[id]
		p, v := w.inForce.Load(), w.view.Load()
		if p == nil || store.Over(v.State.Status) || !sees(v.Project) {
			continue
		}
		for _, ch := range p.Channels {
			if ch.Address != dashboardAddress && !slices.Contains(plans[ch.Address], id) {
				plans[ch.Address] = append(plans[ch.Address], id)
			}
		}
	}
	c.mu.Unlock()
	out := make([]ChannelState, 0, len(plans))
	for address, rollouts := range plans {
		s := ChannelState{Address: address, Plans: append([]string{}, rollouts...), Connected: c.courier.Knows(address), Notice: newest[address]}
		if !s.Connected {
			s.Why = notConnected(address)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b ChannelState) int { return cmp.Compare(a.Address, b.Address) })
	return out, nil
}

// noticesScanned is how many of the newest notices tell how channels do.
const noticesScanned = 500

// newestNotices is how the newest notice to each address went.
func (c *Controller) newestNotices(ctx context.Context) (map[string]string, error) {
	sent, err := c.o.Store.Notices(ctx, "", noticesScanned)
	if err != nil {
		return nil, fmt.Errorf("read notices: %w", err)
	}
	out := map[string]string{}
	for _, n := range sent { // newest first
		if _, known := out[n.Address]; known {
			continue
		}
		switch {
		case !n.Delivered.IsZero():
			out[n.Address] = "delivered"
		case n.Dead:
			out[n.Address] = "dead"
		case n.Tries > 0:
			out[n.Address] = "failing"
		default:
			out[n.Address] = "waiting"
		}
	}
	return out, nil
}

// TestChannel sends one test notice to an address by the notifier that real
// notices take, waits for the service's answer and writes it to the audit log.
// It is not tried again and is no row of the outbox. A *TooSoonError says that
// another test was sent less than five seconds ago.
func (c *Controller) TestChannel(ctx context.Context, address string, by store.AuditEntry) (ChannelTest, error) {
	out := ChannelTest{Address: address, Outcome: TestNotAvailable}
	switch {
	case len(address) > longestAddress || !addressForm.MatchString(address):
		out.Address, out.Detail = clipped(address), "this is no address: write it as in a plan, such as slack:#team or webhook:name"
		return out, nil
	case address == dashboardAddress:
		out.Detail = "there is nothing to send: notices to dashboard are shown on these pages as soon as they are stored"
		return out, nil
	case !c.courier.Knows(address):
		out.Detail = notConnected(address)
		return out, nil
	}
	if wait := c.courier.tests.take(time.Now()); wait > 0 {
		return out, &TooSoonError{After: wait}
	}
	now := c.o.Clock.Now()
	began := time.Now()
	err := c.courier.send(ctx, alone([]store.Outgoing{{Notice: c.testNotice(address, by.Who, now)}}))
	out.Took = time.Since(began)
	out.Outcome, out.Detail = TestDelivered, "the service accepted the message: look whether it is there"
	if err != nil {
		out.Outcome, out.Detail = TestFailed, err.Error()
	}
	by.At, by.Verb, by.Target, by.Reason = now, "test notice", "channel "+address, out.Outcome
	by.After, _ = json.Marshal(out)
	if err := c.o.Store.PutAudit(context.WithoutCancel(ctx), by); err != nil {
		return out, fmt.Errorf("the test was made (%s), but not written to the audit log: %w", out.Outcome, err)
	}
	return out, nil
}

// testNotice cannot be taken for news of a rollout: it names none.
func (c *Controller) testNotice(address, who string, now time.Time) notify.Notice {
	n := notify.Notice{
		ID: "test/" + strconv.FormatInt(now.UnixNano(), 36) + "/" + url.PathEscape(address), Channel: "test", Address: address, Type: "test", At: now,
		Title: "Test message from serin",
		Text:  fmt.Sprintf("%s asked for it, to see that notices to %s arrive. No rollout has changed.", who, address),
	}
	if c.o.BaseURL != "" {
		n.Link = strings.TrimSuffix(c.o.BaseURL, "/") + "/settings"
	}
	return n
}

// notConnected says what is missing for an address.
func notConnected(address string) string {
	scheme, name, _ := strings.Cut(address, ":")
	switch scheme {
	case "slack":
		return "not available: the configuration has no slack.token"
	case "slackhook":
		return fmt.Sprintf("not available: the configuration has no slackhook.%s", name)
	case "webhook":
		return fmt.Sprintf("not available: the configuration has no webhooks.%s", name)
	case "pagerduty":
		return fmt.Sprintf("not available: the configuration has no pagerduty.%s, and there is no rota of that name", name)
	case "alertmanager":
		return fmt.Sprintf("not available: the configuration has no alertmanager.%s", name)
	case "jira":
		return "not available: the configuration has no jira.url"
	case "oncall":
		return fmt.Sprintf("not available: there is no rota %s: make it with serin oncall set", name)
	case "email":
		return "not available: the configuration has no email.host"
	}
	return fmt.Sprintf("not available: this server has no notifier for %s", scheme)
}

func clipped(s string) string {
	if len(s) <= longestAddress {
		return strings.ToValidUTF8(s, "?")
	}
	return strings.ToValidUTF8(s[:longestAddress], "") + "…"
}

// testLimit spaces test notices out.
type testLimit struct {
	mu   sync.Mutex // guards last
	last time.Time
}

// take notes a test at now, or returns how long to wait.
func (l *testLimit) take(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait := testGap - now.Sub(l.last); !l.last.IsZero() && wait > 0 {
		return wait
	}
	l.last = now
	return 0
}

// turns lets one delivery at a time pass to each address. The zero value is ready.
type turns struct {
	mu   sync.Mutex // guards busy
	busy map[string]chan struct{}
}

// take waits for its turn; false means that ctx ended first.
func (t *turns) take(ctx context.Context, address string) (done func(), ok bool) {
	for {
		t.mu.Lock()
		before, taken := t.busy[address]
		if !taken {
			mine := make(chan struct{})
			if t.busy == nil {
				t.busy = map[string]chan struct{}{}
			}
			t.busy[address] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.busy, address)
				t.mu.Unlock()
				close(mine)
			}, true
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, false
		}
	}
}
