package pagerduty

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"serin/internal/notify"
	"serin/internal/notify/notifytest"
)

const routingKey = "0123456789abcdef0123456789abcdef"

// invalid says what PagerDuty would refuse of an event.
func invalid(body []byte) string {
	var e event
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	switch err := dec.Decode(&e); {
	case err != nil:
		return err.Error()
	case len(body) > 512_000:
		return "too large"
	case len(e.RoutingKey) != 32:
		return "routing_key must have 32 characters"
	case e.RoutingKey != routingKey:
		return "Invalid routing key " + e.RoutingKey
	case !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.Action):
		return "event_action"
	case e.DedupKey == "" && e.Action != "trigger", len(e.DedupKey) > 255:
		return "dedup_key"
	case e.Action != "trigger":
		return ""
	case e.Payload == nil, e.Payload.Summary == "", utf8.RuneCountInString(e.Payload.Summary) > 1024, e.Payload.Source == "":
		return "payload needs summary and source"
	case !slices.Contains([]string{"critical", "error", "warning", "info"}, e.Payload.Severity):
		return "severity"
	}
	return ""
}

// enqueue is a double of the Events API that keeps open alerts by key.
type enqueue struct{ open map[string]string }

func (q *enqueue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue" || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "not here", http.StatusNotFound)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if why := invalid(body); why != "" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": []string{why}})
		return
	}
	var e event
	_ = json.Unmarshal(body, &e)
	if q.open != nil {
		_, known := q.open[e.DedupKey]
		switch {
		case e.Action == "trigger" && !known:
			q.open[e.DedupKey] = "triggered"
		case e.Action == "acknowledge" && known:
			q.open[e.DedupKey] = "acknowledged"
		case e.Action == "resolve":
			delete(q.open, e.DedupKey)
		}
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
}

func open(url, key string) *Notifier {
	return New(Options{BaseURL: url, Keys: map[string]string{"on-call": key}})
}

func TestConformance(t *testing.T) {
	notifytest.Run(t, notifytest.Service{
		Open:    func(_ *testing.T, url string) notify.Notifier { return open(url, routingKey) },
		Address: "pagerduty:on-call", Secret: routingKey, Accept: (&enqueue{}).ServeHTTP,
	})
}

func TestIncident(t *testing.T) {
	q := &enqueue{open: map[string]string{}}
	srv := httptest.NewServer(q)
	defer srv.Close()
	p := open(srv.URL, routingKey)
	for _, step := range []struct {
		kind string
		want map[string]string
	}{
		{"alert.firing", map[string]string{"serin/alert/x/1/page": "triggered"}},
		{"alert.firing", map[string]string{"serin/alert/x/1/page": "triggered"}},
		{"alert.acked", map[string]string{"serin/alert/x/1/page": "acknowledged"}},
		{"alert.resolved", map[string]string{}},
	} {
		n := notify.Notice{ID: "alert/x/" + step.kind, Thread: "alert/x/1/page", Address: "pagerduty:on-call", Type: step.kind, Title: "x", Severity: "p1"}
		if err := p.Deliver(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, q.open); diff != "" {
			t.Errorf("after %s, open alerts differ (-want +got):\n%s", step.kind, diff)
		}
	}
}

func TestEvent(t *testing.T) {
	n := notify.Notice{ID: "demo-1/7/page", Address: "pagerduty:on-call", Rollout: "demo-1", Type: "rolled_back", Title: "demo\nrolled back", Text: "errors rose",
		Rule: "error-rate", Value: "4.1 %", Limit: "2 %", Link: "https://serin.example/rollouts/demo-1", At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	want := event{
		RoutingKey: routingKey, Action: "trigger", DedupKey: "serin/demo-1/7/page", Client: "serin", ClientURL: n.Link,
		Links: []link{{n.Link, "Open in serin"}},
		Payload: &payload{Summary: "demo rolled back", Source: "demo-1", Severity: "error", Timestamp: "2026-03-02T09:00:00Z", Component: "demo-1", Class: "rolled_back",
			Details: map[string]string{"text": "errors rose", "rule": "error-rate", "value": "4.1 %", "limit": "2 %", "notice": "demo-1/7/page"}},
	}
	if diff := cmp.Diff(want, open("", routingKey).compose(n, routingKey)); diff != "" {
		t.Errorf("event differs (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	srv := httptest.NewServer(&enqueue{})
	defer srv.Close()
	const wrong = "ffffffffffffffffffffffffffffffff"
	err := open(srv.URL, wrong).Deliver(t.Context(), notify.Notice{ID: "a", Address: "pagerduty:on-call", Type: "test", Title: "t"})
	if _, temporary := notify.Temporary(err); err == nil || temporary || strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), "Invalid routing key") {
		t.Errorf("Deliver = %v, want a permanent error that does not hold the key", err)
	}
}

func TestRegion(t *testing.T) {
	if got := New(Options{EU: true}).o.BaseURL; got != "https://events.eu.pagerduty.com" {
		t.Errorf("EU: %s", got)
	}
	if got := New(Options{}).o.BaseURL; got != "https://events.pagerduty.com" {
		t.Errorf("US: %s", got)
	}
}

// Whatever a notice holds, PagerDuty's schema accepts it.
func TestAlwaysValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := notify.Notice{
			ID: rapid.StringN(1, 400, -1).Draw(t, "id"), Thread: rapid.StringN(0, 400, -1).Draw(t, "thread"),
			Type:  rapid.SampledFrom([]string{"alert.firing", "alert.resolved", "alert.acked", "rolled_back", "test"}).Draw(t, "type"),
			Title: rapid.StringN(0, 2000, -1).Draw(t, "title"), Text: strings.Repeat(rapid.StringN(0, 100, -1).Draw(t, "text"), 500),
			Severity: rapid.SampledFrom([]string{"", "p1", "p2", "p3", "p4"}).Draw(t, "severity"),
		}
		body, err := json.Marshal(open("", routingKey).compose(n, routingKey))
		if why := invalid(body); err != nil || why != "" {
			t.Errorf("%v, %s: %.300s", err, why, body)
		}
	})
}
