package controller_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/evidence"
	"serin/internal/hub"
	"serin/internal/notify"
	"serin/internal/notify/pagerduty"
	"serin/internal/notify/webhook"
	"serin/internal/outbound"
	"serin/internal/store"
	"serin/internal/store/memory"
)

// pagerDouble opens one alert a dedup_key, as PagerDuty does, and keeps the
// ids that a webhook came with.
type pagerDouble struct {
	mu     sync.Mutex
	open   map[string]int // alerts by dedup_key: how often each was opened
	events int
	hooks  map[string]int // calls by webhook-id
}

func (p *pagerDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := r.Header.Get("Webhook-Id"); id != "" {
		p.hooks[id]++
		return
	}
	var event struct {
		Action string `json:"event_action"`
		Dedup  string `json:"dedup_key"`
	}
	body, _ := io.ReadAll(r.Body)
	if json.Unmarshal(body, &event) != nil || event.Action != "trigger" || event.Dedup == "" {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	p.events++
	if p.open[event.Dedup] == 0 {
		p.open[event.Dedup] = 1
	}
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"status":"success","dedup_key":%q}`, event.Dedup)
}

// TestCrashLosesNoPage: a process that ends after the notices of an alert were
// written, before they are sent; or between the sending and the mark. The next
// one sends what is not marked. Nothing is lost, PagerDuty has one alert, and
// what a webhook gets twice has one id.
func TestCrashLosesNoPage(t *testing.T) {
	for _, tt := range []struct {
		name  string
		point string // where the process ends; "" = before the courier ran
		twice bool   // a call is made twice
	}{{"written, not sent", "", false}, {"sent, not marked", "after send", true}} {
		t.Run(tt.name, func(t *testing.T) {
			double := &pagerDouble{open: map[string]int{}, hooks: map[string]int{}}
			srv := httptest.NewServer(double)
			defer srv.Close()
			kept := memory.New()
			var list []notify.Notice
			for i, address := range []string{"pagerduty:on-call", "webhook:all"} {
				id := fmt.Sprintf("alert/x/1/%d", i)
				list = append(list, notify.Notice{ID: id, Thread: id, Channel: "c", Address: address, Type: "alert.firing", Title: "X", Severity: "p1", At: time.Now()})
			}
			if err := kept.CommitAlerts(t.Context(), store.AlertCommit{Notices: list}); err != nil {
				t.Fatal(err)
			}
			run := func(fault func(string)) (stop func()) {
				c, err := controller.New(t.Context(), controller.Options{Store: kept, Evidence: watcher{evidence.New(evidence.Options{Store: kept, Clock: clock.Real()}), &rig{}},
					Publisher: hub.New(), Feed: hub.NewFeed(1, 0), Clock: clock.Real(), Fault: fault})
				if err != nil {
					t.Fatal(err)
				}
				hook, err := webhook.New(webhook.Options{Allow: outbound.Private, Endpoints: map[string]webhook.Endpoint{"all": {URL: srv.URL, Secrets: []string{"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}}}})
				if err != nil {
					t.Fatal(err)
				}
				c.Courier().Use("pagerduty", pagerduty.New(pagerduty.Options{Keys: map[string]string{"on-call": "k"}, BaseURL: srv.URL}))
				c.Courier().Use("webhook", hook)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); _ = c.Courier().Run(ctx) }()
				return func() { cancel(); <-done }
			}
			if tt.point != "" {
				var dead sync.WaitGroup
				dead.Add(2)
				release := make(chan struct{})
				stop := run(func(point string) {
					if point == tt.point { // the goroutine gets no further: nothing is marked
						dead.Done()
						<-release
					}
				})
				dead.Wait()
				_ = stop // the process is gone; its goroutines do nothing any more
				defer func() { close(release); stop() }()
			}
			stop := run(nil)
			defer stop()
			for deadline := time.Now().Add(10 * time.Second); ; {
				left, err := kept.NoticesIn(t.Context(), store.StateWaiting, "", 0)
				if err != nil {
					t.Fatal(err)
				}
				if len(left) == 0 {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("still waiting: %+v", left)
				}
				time.Sleep(time.Millisecond) // sockets are not of a bubble
			}
			double.mu.Lock()
			defer double.mu.Unlock()
			calls := map[bool]int{false: 1, true: 2}[tt.twice]
			if len(double.open) != 1 || double.open["serin/alert/x/1/0"] != 1 || double.events != calls {
				t.Errorf("PagerDuty has %v after %d events, want one alert after %d", double.open, double.events, calls)
			}
			if len(double.hooks) != 1 || double.hooks["alert/x/1/1"] != calls {
				t.Errorf("the webhook got %v, want one id %d times", double.hooks, calls)
			}
		})
	}
}
