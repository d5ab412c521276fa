package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
)

// tally counts what the server acknowledged, as the clients saw it: one for
// each error, request and beacon record in a body that was answered with 200.
type tally struct {
	errors, requests, records atomic.Int64
	refused                   atomic.Int64
}

func (t *tally) total() int64 { return t.errors.Load() + t.requests.Load() + t.records.Load() }

// counting is the HTTP transport of the Sentry SDK: it looks at what goes out
// and counts it when the answer is 200.
type counting struct {
	tally *tally
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		c.tally.refused.Add(1)
		return resp, nil
	}
	for line := range bytes.Lines(body) {
		var item struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(line, &item) != nil {
			continue
		}
		switch {
		case bytes.Contains(line, []byte(`"event_id"`)): // a payload or the envelope's header
		case item.Type == "event":
			c.tally.errors.Add(1)
		case item.Type == "transaction":
			c.tally.requests.Add(1)
		}
	}
	return resp, nil
}

// counted is how many records the server has taken into the evidence.
func (t *team) counted(ctx context.Context) (n int64, err error) {
	var counters map[string]int64
	if err := t.admin.Call(ctx, http.MethodGet, "/telemetry", nil, &counters); err != nil {
		return 0, err
	}
	// A page load is taken from its LCP and is no record of its own; spans are part of their request.
	for _, kind := range []string{"error", "request", "vital", "survey", "feedback", "action"} {
		n += counters["counted:"+kind]
	}
	return n, nil
}
