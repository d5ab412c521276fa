package server_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/hub"
	"serin/internal/notify"
	"serin/internal/store"
	"serin/internal/store/memory"
)

// strict is a double of a service that refuses what comes too often: at most
// so many messages in any span. It keeps what it took, and when.
type strict struct {
	span time.Duration
	most int

	mu      sync.Mutex // guards the fields below
	down    bool
	took    []notify.Notice
	at      []time.Time
	tooMany int
}

func (s *strict) Deliver(_ context.Context, n notify.Notice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return &notify.RetryError{Err: errors.New("503")}
	}
	now := time.Now()
	i := len(s.at)
	for i > 0 && now.Sub(s.at[i-1]) < s.span {
		i--
	}
	if len(s.at)-i >= s.most {
		s.tooMany++
		return &notify.RetryError{Err: errors.New("429"), After: s.span}
	}
	s.took, s.at = append(s.took, n), append(s.at, now)
	return nil
}

func (s *strict) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

func (s *strict) all() []notify.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.took)
}

// mailServer is a service that takes digests of what waits beyond sixty
// messages an hour, as the mail notifier does.
type mailServer struct{ strict }

func (m *mailServer) Held(string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, at := range m.at {
		n += map[bool]int{true: 1}[time.Since(at) < time.Hour]
	}
	return n >= 60
}

func (m *mailServer) Digest(ctx context.Context, waiting []notify.Notice) error {
	return m.Deliver(ctx, waiting[len(waiting)-1])
}

// TestAlertStorm lets 10,000 alerts of 200 rules (a tenth of them where
// SERIN_SCENARIOS is not "all") begin within a minute, on their
// whole way from the rule to four services, each of which refuses what its
// real one would. No service is called too often, nobody is paged twice for the
// same, and in the end each has heard of all of them. A pager that is down for
// the first hour catches up within its limits, with what is true then.
func TestAlertStorm(t *testing.T) {
	names, alerts := 40, 1_000
	if os.Getenv("SERIN_SCENARIOS") == "all" {
		names, alerts = 200, 10_000
	}
	const batches = 100
	for name, outage := range map[string]time.Duration{"all are there": 0, "the pager is down for an hour": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				// PagerDuty takes 120 events a minute, Slack one message a second.
				pager, slack := &strict{span: time.Minute, most: 120, down: outage > 0}, &strict{span: time.Second, most: 1}
				hook, mail := &strict{span: time.Second, most: 30}, &mailServer{strict{span: time.Hour, most: 1000}}
				r := newStormRig(t, map[string]notify.Notifier{"pagerduty": pager, "slack": slack, "webhook": hook, "email": mail})
				defer r.stop()
				from := alerting.From{System: alert.Alertmanager, Project: "1"}
				for _, address := range []string{"pagerduty:on-call", "slack:#team", "webhook:all", "email:ben@example.com"} {
					from.Notify = append(from.Notify, alert.Channel{Name: address, Address: address})
				}
				for i := range batches {
					var said []alerting.Outside
					for j := range alerts / batches {
						n := i*(alerts/batches) + j
						said = append(said, alerting.Outside{Name: fmt.Sprintf("Alert%03d", n%names), Told: alert.Told{Severity: "p1", Starts: time.Now(), Labels: alert.Labels{{Name: "instance", Value: fmt.Sprint("web-", n/names)}}}})
					}
					if err := r.alerts.Hear(t.Context(), from, said); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute / batches)
				}
				time.Sleep(outage)
				before := len(pager.all())
				pager.set(false)
				time.Sleep(20 * time.Minute)

				firing := 0
				for _, v := range r.alerts.List(func(string) bool { return true }) {
					firing += len(v.Groups)
				}
				if firing != alerts {
					t.Errorf("%d alerts fire, want %d", firing, alerts)
				}
				left, err := r.store.NoticesIn(t.Context(), store.StateWaiting, "", 0)
				if err != nil || len(left) > 0 {
					t.Errorf("%d notices still wait (%v)", len(left), err)
				}
				if dead, err := r.store.NoticesIn(t.Context(), store.StateDead, "", 0); err != nil || len(dead) > 0 {
					t.Errorf("%d notices were given up (%v)", len(dead), err)
				}
				for name, s := range map[string]*strict{"PagerDuty": pager, "Slack": slack, "the webhook": hook} {
					if s.tooMany > 0 {
						t.Errorf("%s was called too often, %d times", name, s.tooMany)
					}
				}
				if n := len(slack.all()); n == 0 || n > 60 {
					t.Errorf("Slack got %d messages: the storm is not grouped", n)
				}
				if n := len(mail.all()); n == 0 || n > 80 {
					t.Errorf("%d mails to one person", n)
				}
				if outage > 0 && (before > 0 || len(pager.all()) > 2*names) { // what was, and that it goes on
					t.Errorf("the pager heard %d events before the end of its outage and %d after it", before, len(pager.all())-before)
				}
				for name, s := range map[string]*strict{"PagerDuty": pager, "the webhook": hook} {
					ids, newest := map[string]bool{}, map[string]notify.Notice{}
					for _, n := range s.all() {
						if ids[n.ID] {
							t.Errorf("%s got %s twice", name, n.ID)
						}
						ids[n.ID], newest[n.Thread] = true, n
					}
					if len(newest) != names {
						t.Errorf("%s heard of %d rules, want %d", name, len(newest), names)
					}
					for thread, n := range newest {
						if want := fmt.Sprintf("and %d more", alerts/names-10); !strings.Contains(n.Text, want) { // ten are named
							t.Errorf("%s: the last word on %s does not tell of all its alerts: %q %q", name, thread, n.Title, n.Text)
						}
					}
				}
				t.Logf("Slack %d, mail %d, PagerDuty %d, webhook %d messages", len(slack.all()), len(mail.all()), len(pager.all()), len(hook.all()))
			})
		})
	}
}

// stormRig is the way of an alert, without rollouts.
type stormRig struct {
	store  *memory.Store
	alerts *alerting.Engine
	stop   func()
}

func newStormRig(t *testing.T, services map[string]notify.Notifier) *stormRig {
	r := &stormRig{store: memory.New()}
	counted := evidence.New(evidence.Options{Store: r.store, Clock: clock.Real()})
	c, err := controller.New(t.Context(), controller.Options{Store: r.store, Evidence: struct{ controller.Evidence }{}, Publisher: hub.New(), Feed: hub.NewFeed(1, 0), Clock: clock.Real(), BaseURL: "https://serin.example"})
	if err != nil {
		t.Fatal(err)
	}
	for scheme, n := range services {
		c.Courier().Use(scheme, n)
	}
	if r.alerts, err = alerting.New(t.Context(), alerting.Options{Store: r.store, Evidence: counted, Clock: clock.Real(), Key: evidence.AlertKey, Keep: evidence.KeptAlertCounts,
		Rollouts: func() []alerting.Rollout { return nil }, Under: func(string) []alerting.Named { return nil }, Heard: counted.AlertsHeard, Wake: c.WakeCourier, BaseURL: "https://serin.example"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for _, run := range []func(context.Context) error{counted.Run, c.Courier().Run, r.alerts.Run} {
		group.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	r.stop = func() { cancel(); group.Wait() }
	return r
}
