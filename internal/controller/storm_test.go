package controller_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/hub"
	"serin/internal/notify"
	"serin/internal/store"
	"serin/internal/store/memory"
)

// service is a double of a foreign service: it keeps what it took, and when.
type service struct {
	mu    sync.Mutex
	took  []notify.Notice
	at    []time.Time
	tries int
	down  func(n notify.Notice) error // nil = it takes everything
}

func (s *service) Deliver(_ context.Context, n notify.Notice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.down != nil {
		if err := s.down(n); err != nil {
			return err
		}
	}
	s.took, s.at = append(s.took, n), append(s.at, time.Now())
	return nil
}

func (s *service) all() []notify.Notice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.took)
}

// locked changes what the double does while no call is under way.
func (s *service) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// most is the largest number of messages within any span.
func (s *service) most(span time.Duration) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.at {
		j := i
		for j < len(s.at) && s.at[j].Sub(s.at[i]) < span {
			j++
		}
		n = max(n, j-i)
	}
	return n
}

// couriers is a controller with no rollouts: only its outbox is of interest.
type couriers struct {
	*testing.T
	store *memory.Store
	c     *controller.Controller
	ids   int
}

func courierRig(t *testing.T, services map[string]notify.Notifier, run func(r *couriers)) {
	synctest.Test(t, func(t *testing.T) {
		r := &couriers{T: t, store: memory.New()}
		engine := evidence.New(evidence.Options{Store: r.store, Clock: clock.Real()})
		var err error
		r.c, err = controller.New(t.Context(), controller.Options{Store: r.store, Evidence: watcher{engine, &rig{}}, Publisher: hub.New(), Feed: hub.NewFeed(1, 0), Clock: clock.Real(), BaseURL: "https://serin.example"})
		if err != nil {
			t.Fatal(err)
		}
		for address, n := range services {
			r.c.Courier().Use(address, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.c.Courier().Run(ctx) }()
		run(r)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// says writes an alert's notice into the outbox and wakes the courier.
func (r *couriers) says(address, thread, kind, title string) notify.Notice {
	r.Helper()
	n := r.write(address, thread, kind, title)
	r.c.WakeCourier()
	return n
}

func (r *couriers) write(address, thread, kind, title string) notify.Notice {
	r.Helper()
	r.ids++
	n := notify.Notice{ID: fmt.Sprintf("alert/%s/%d", thread, r.ids), Thread: thread, Channel: address, Address: address, Type: kind, Title: title, Severity: "p2", At: time.Now()}
	if thread == "first" {
		n.Thread = n.ID
	}
	if err := r.store.CommitAlerts(r.Context(), store.AlertCommit{Notices: []notify.Notice{n}}); err != nil {
		r.Fatal(err)
	}
	return n
}

// waiting counts what is neither delivered nor dead.
func (r *couriers) waiting() int {
	r.Helper()
	left, err := r.store.NoticesIn(r.Context(), store.StateWaiting, "", 0)
	if err != nil {
		r.Fatal(err)
	}
	return len(left)
}

// TestStorm: four notices of each of 200 rules in a minute, to four services:
// more than the alerts' own grouping lets through. No service is called more
// often than it allows, nobody is paged twice, and the newest state of every
// rule arrives everywhere.
func TestStorm(t *testing.T) {
	const rules, alerts, burst = 200, 800, 20
	slack, pager, hook := &service{}, &service{}, &service{}
	mail := &mailer{}
	services := map[string]notify.Notifier{"slack": slack, "pagerduty": pager, "webhook": hook, "email": mail}
	courierRig(t, services, func(r *couriers) {
		for i := range alerts {
			rule := fmt.Sprintf("rule-%03d", i%rules)
			for _, address := range []string{"slack:#team", "pagerduty:on-call", "webhook:all", "email:ben@example.com"} {
				r.write(address, rule+"@"+address, "alert.firing", fmt.Sprintf("%s firing, %d", rule, i/rules))
			}
			if i%burst == burst-1 {
				r.c.WakeCourier()
				time.Sleep(time.Minute / (alerts / burst))
			}
		}
		time.Sleep(5 * time.Minute)
		if n := r.waiting(); n != 0 {
			t.Errorf("%d notices still wait five minutes after the storm", n)
		}
		if n := slack.most(time.Second); n > 1 {
			t.Errorf("Slack got %d messages in a second", n)
		}
		if n := len(slack.all()); n > 60 {
			t.Errorf("Slack got %d messages: the storm is not grouped", n)
		}
		if n := pager.most(time.Minute); n > 120 {
			t.Errorf("PagerDuty got %d events in a minute", n)
		}
		if n := hook.most(time.Second); n > 30 {
			t.Errorf("the webhook got %d messages in a second", n)
		}
		if n := len(mail.all()); n > 60 {
			t.Errorf("%d mails to one person", n)
		}
		for name, s := range map[string]*service{"pager": pager, "webhook": hook} {
			newest, ids := map[string]string{}, map[string]bool{}
			for _, n := range s.all() {
				if ids[n.ID] {
					t.Errorf("%s got %s twice", name, n.ID)
				}
				ids[n.ID], newest[n.Thread] = true, n.Title
			}
			if len(newest) != rules {
				t.Errorf("%s heard of %d rules, want %d", name, len(newest), rules)
			}
			for thread, title := range newest {
				if !strings.HasSuffix(title, fmt.Sprintf(", %d", alerts/rules-1)) {
					t.Errorf("%s: the last word on %s is %q", name, thread, title)
				}
			}
		}
		told, err := r.store.NoticesIn(t.Context(), store.StateTold, "", 0)
		if err != nil || len(told) != 4*alerts {
			t.Errorf("%d notices are told of, want %d (%v)", len(told), 4*alerts, err)
		}
	})
}

// mailer is a notify.Digester: sixty messages an hour.
type mailer struct{ service }

func (m *mailer) Held(string) bool { return len(m.all()) >= 60 }

func (m *mailer) Digest(ctx context.Context, waiting []notify.Notice) error {
	return m.Deliver(ctx, waiting[len(waiting)-1])
}

// TestOutage: a service is down for an hour. When it is back it hears of what
// is true now, not of all that was.
func TestOutage(t *testing.T) {
	down := true
	pager := &service{}
	pager.down = func(notify.Notice) error {
		if down {
			return &notify.RetryError{Err: errors.New("503")}
		}
		return nil
	}
	courierRig(t, map[string]notify.Notifier{"pagerduty": pager}, func(r *couriers) {
		const to = "pagerduty:on-call"
		first := r.says(to, "first", "alert.firing", "A fires")
		r.says(to, "b", "alert.firing", "B fires")
		time.Sleep(20 * time.Minute)
		r.says(to, first.ID, "alert.firing", "A is worse")
		time.Sleep(10 * time.Minute)
		r.says(to, first.ID, "alert.resolved", "A is over")
		time.Sleep(30 * time.Minute)
		health, err := r.c.Courier().Health(r.Context())
		if err != nil || len(health) != 1 || health[0].Waiting != 4 || health[0].Error != "503" || time.Since(health[0].Since) < 59*time.Minute {
			t.Errorf("health while it is down: %+v (%v)", health, err)
		}
		tries := 0
		if pager.locked(func() { tries = pager.tries }); tries > 40 {
			t.Errorf("it was called %d times in the hour that it was down", tries)
		}
		pager.locked(func() { down = false })
		time.Sleep(6 * time.Minute)
		got := pager.all()
		var titles []string
		for _, n := range got {
			titles = append(titles, n.Title)
		}
		if diff := cmp.Diff([]string{"A is over", "B fires"}, titles); diff != "" {
			t.Fatalf("messages after the outage differ (-want +got):\n%s", diff)
		}
		if text := got[0].Text; !strings.Contains(text, "over before anybody here was told") || !strings.Contains(text, "2 earlier ones") {
			t.Errorf("the message does not say what it stands for: %q", text)
		}
		one, err := r.store.Notice(r.Context(), first.ID)
		if err != nil || one.Delivered.IsZero() || one.With != got[0].ID {
			t.Errorf("the first notice: %+v (%v)", one, err)
		}
		health, err = r.c.Courier().Health(r.Context())
		if err != nil || health[0].Waiting != 0 || !health[0].Since.IsZero() || health[0].Told.IsZero() {
			t.Errorf("health after it: %+v (%v)", health, err)
		}
	})
}

// TestSummaryRefused: what a service refuses as one message is told one by one.
func TestSummaryRefused(t *testing.T) {
	slack := &service{down: func(n notify.Notice) error {
		if n.Type == controller.DigestType {
			return errors.New("invalid_blocks")
		}
		return nil
	}}
	courierRig(t, map[string]notify.Notifier{"slack": slack}, func(r *couriers) {
		for i := range 15 {
			r.says("slack:#team", fmt.Sprint("t", i), "alert.firing", fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		if got := len(slack.all()); got != 15 || r.waiting() != 0 {
			t.Errorf("%d of 15 messages arrived, %d wait", got, r.waiting())
		}
	})
}

// TestRetryDead: what was given up is sent again for a day when somebody asks.
func TestRetryDead(t *testing.T) {
	gone := errors.New("channel_not_found")
	slack := &service{down: func(notify.Notice) error { return gone }}
	courierRig(t, map[string]notify.Notifier{"slack": slack}, func(r *couriers) {
		r.says("slack:#team", "a", "alert.firing", "A fires")
		r.says("slack:#ops", "b", "alert.firing", "B fires")
		time.Sleep(48 * time.Hour)
		n, err := r.c.Retry(r.Context(), nil, "slack:#team", store.AuditEntry{Who: "Anna", Via: "cli", Reason: "the channel is back"})
		if err != nil || n != 1 {
			t.Fatalf("%d (%v), want 1", n, err)
		}
		slack.locked(func() { gone = &notify.RetryError{Err: errors.New("503")} })
		time.Sleep(2 * time.Hour) // it is older than a day, and is tried all the same
		slack.locked(func() { gone = nil })
		time.Sleep(10 * time.Minute)
		if got := slack.all(); len(got) != 1 || got[0].Title != "A fires" {
			t.Errorf("delivered: %+v", got)
		}
		audit, err := r.store.AuditEntries(r.Context(), "channel slack:#team", 0)
		if err != nil || len(audit) != 1 || audit[0].Verb != "retry notices" || !strings.Contains(audit[0].Reason, "the channel is back") {
			t.Errorf("audit: %+v (%v)", audit, err)
		}
		if n, err := r.c.Retry(r.Context(), []string{"none"}, "", store.AuditEntry{Who: "Anna"}); err != nil || n != 0 {
			t.Errorf("retry of what is not there: %d (%v)", n, err)
		}
	})
}
