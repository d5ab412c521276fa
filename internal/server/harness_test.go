package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"serin/internal/clock"
	"serin/internal/controller"
	"serin/internal/rollout"
	"serin/internal/server"
)

// patience is how long a test waits for something that takes milliseconds on
// an idle machine.
const patience = 30 * time.Second

// monday is when the clock of a test begins: a working hour.
var monday = time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)

// site is a running server with the tokens of its first start.
type site struct {
	t    *testing.T
	url  string
	boot server.Bootstrap
	sent int // events with ids of their own
}

// start runs a server in this process, with a clock that goes at rate, until
// the test ends.
func start(t *testing.T, rate float64) *site {
	t.Helper()
	return startWith(t, server.Options{Clock: clock.Fast(monday, rate)})
}

// startWith is start with options of the test's own; what every test needs is
// filled in.
func startWith(t *testing.T, o server.Options) *site {
	t.Helper()
	o.Data, o.Listen, o.Version = t.TempDir(), "127.0.0.1:0", "test"
	s, err := server.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("server ended with: %v", err)
		}
	})
	return &site{t: t, url: s.URL(), boot: *s.Bootstrap()}
}

// answer is what the server said to a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// detail is the sentence of a refusal, of whichever door.
func (a answer) detail() string {
	var p struct {
		Detail, ErrorDetails string
		Errors               []struct{ Message, Location string }
	}
	_ = json.Unmarshal(a.body, &p) // what is no JSON has no sentence
	text := p.Detail + p.ErrorDetails
	for _, e := range p.Errors {
		text += "\n" + e.Message + " " + e.Location
	}
	return text
}

// send does one request with a body and headers in pairs.
func (s *site) send(method, path string, body []byte, header ...string) (answer, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data}, err
}

func (s *site) must(method, path string, body []byte, header ...string) answer {
	s.t.Helper()
	a, err := s.send(method, path, body, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// api calls the operator API as the first admin. A body of string is a plan
// or a flag as written; everything else is sent as JSON.
func (s *site) api(method, path string, body any) answer {
	s.t.Helper()
	kind, data := "application/json", []byte(nil)
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
		if !strings.HasPrefix(b, "{") {
			kind = "application/yaml"
		}
	default:
		var err error
		if data, err = json.Marshal(b); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.must(method, "/api/v1"+path, data, "Authorization", "Bearer "+s.boot.AdminToken, "Content-Type", kind)
}

// ask calls the operator API, expects success and decodes the answer into out.
func (s *site) ask(method, path string, body, out any) {
	s.t.Helper()
	a := s.api(method, path, body)
	if a.status/100 != 2 {
		s.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	if out != nil {
		if err := json.Unmarshal(a.body, out); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, a.body)
		}
	}
}

// create makes a rollout and returns its id.
func (s *site) create(planFile string) string {
	s.t.Helper()
	var r controller.Result
	s.ask(http.MethodPost, "/rollouts", planFile, &r)
	return r.State.ID
}

func (s *site) view(id string) controller.View {
	s.t.Helper()
	var v controller.View
	s.ask(http.MethodGet, "/rollouts/"+id, nil, &v)
	return v
}

// do sends one command, with the version that is there now.
func (s *site) do(id string, verb rollout.Verb, fields ...any) controller.Result {
	s.t.Helper()
	body := map[string]any{}
	if !verb.Lowers() {
		body["version"] = s.view(id).Version
	}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i].(string)] = fields[i+1]
	}
	var r controller.Result
	s.ask(http.MethodPost, "/rollouts/"+id+"/"+string(verb), body, &r)
	return r
}

// flagOf asks for a boolean flag by OFREP, as a server's SDK does.
func (s *site) flagOf(key, user string) (value bool, variant string) {
	s.t.Helper()
	body, _ := json.Marshal(map[string]any{"context": map[string]any{"targetingKey": user, "role": "admin"}})
	a := s.must(http.MethodPost, "/ofrep/v1/evaluate/flags/"+key, body, "X-API-Key", s.boot.FlagKey, "Content-Type", "application/json")
	var e struct {
		Value   bool
		Variant string
	}
	if err := json.Unmarshal(a.body, &e); err != nil || a.status != http.StatusOK {
		s.t.Fatalf("evaluate %s: %d %s", key, a.status, a.body)
	}
	return e.Value, e.Variant
}

// users returns one user on each side of a flag's split.
func (s *site) users(key string) (in, out string) {
	s.t.Helper()
	for i := 0; i < 200 && (in == "" || out == ""); i++ {
		u := fmt.Sprintf("admin-%03d", i)
		if on, _ := s.flagOf(key, u); on {
			in = u
		} else {
			out = u
		}
	}
	if in == "" || out == "" {
		s.t.Fatalf("nobody on one side of %s: in %q, out %q", key, in, out)
	}
	return in, out
}

// counters are those of the telemetry taken in.
func (s *site) counters() map[string]int64 {
	s.t.Helper()
	var c map[string]int64
	s.ask(http.MethodGet, "/telemetry", nil, &c)
	return c
}

// metric sums the series of /metrics whose line begins with prefix.
func (s *site) metric(prefix string) float64 {
	s.t.Helper()
	sum := 0.0
	for line := range strings.Lines(string(s.must(http.MethodGet, "/metrics", nil).body)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		var v float64
		if _, err := fmt.Sscan(line[strings.LastIndexByte(strings.TrimSpace(line), ' '):], &v); err != nil {
			s.t.Fatalf("metric line %q: %v", line, err)
		}
		sum += v
	}
	return sum
}

// envelope sends telemetry as a Sentry SDK does.
func (s *site) envelope(body []byte, header ...string) answer {
	s.t.Helper()
	return s.must(http.MethodPost, "/api/"+s.boot.Project+"/envelope/?sentry_key="+s.boot.PublicKey, body, header...)
}

// eventID is the n-th id of a test, 32 hex digits.
func eventID(n int) string { return fmt.Sprintf("%032x", n+1) }

// errorEnvelope is an unhandled error of a user, with the flag that the page saw.
func errorEnvelope(id, user, flagKey string, on bool) []byte {
	event := map[string]any{
		"event_id": id, "platform": "javascript", "level": "error", "environment": "production",
		"user":     map[string]any{"id": user, "role": "admin"},
		"contexts": map[string]any{"flags": map[string]any{"values": []any{map[string]any{"flag": flagKey, "result": on}}}},
		"exception": map[string]any{"values": []any{map[string]any{
			"type": "TypeError", "value": "cart is undefined", "mechanism": map[string]any{"type": "onerror", "handled": false},
			"stacktrace": map[string]any{"frames": []any{map[string]any{"function": "pay", "module": "checkout/pay", "in_app": true, "lineno": 7}}},
		}}},
	}
	payload, _ := json.Marshal(event)
	return fmt.Appendf(nil, "{\"event_id\":%q}\n{\"type\":\"event\",\"length\":%d}\n%s\n", id, len(payload), payload)
}

// traffic sends a page load of each of n users, every fifth with an error.
func (s *site) traffic(flagKey string, n int) {
	s.t.Helper()
	for i := range n {
		user := fmt.Sprintf("admin-%03d", i)
		on, _ := s.flagOf(flagKey, user)
		beacon, _ := json.Marshal(map[string]any{
			"v": 1, "user": map[string]string{"id": user, "role": "admin"}, "page": "/checkout", "release": "shop@1", "environment": "production",
			"flags":   map[string]string{flagKey: fmt.Sprint(on)},
			"metrics": []any{map[string]any{"name": "LCP", "value": 1200 + 10*i, "id": fmt.Sprintf("v6-%s-%d", flagKey, i), "navigationType": "navigate"}},
			"actions": []any{map[string]any{"action": "login", "ok": true}},
		})
		a := s.must(http.MethodPost, "/api/"+s.boot.Project+"/beacon/?sentry_key="+s.boot.PublicKey, beacon, "Content-Type", "text/plain")
		if a.status != http.StatusOK {
			s.t.Fatalf("beacon: %d %s", a.status, a.body)
		}
		if i%5 == 0 {
			s.sent++
			if a := s.envelope(errorEnvelope(eventID(s.sent), user, flagKey, on)); a.status != http.StatusOK {
				s.t.Fatalf("envelope: %d %s", a.status, a.body)
			}
		}
	}
}

// eventually waits until f holds; f says what is wrong while it does not.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, patience, err)
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal(errors.Join(t.Context().Err(), err))
		}
	}
}
