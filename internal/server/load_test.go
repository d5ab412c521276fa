package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is a kind of telemetry that is sent fast. Its n-th request is always the
// same, so that serin and the mark get the same bytes.
type load struct {
	name     string
	endpoint string
	zipped   bool
	values   int // what one request is worth in the figures: errors, or vitals
	events   int // what serin counts of one request
	body     func(n int) []byte
}

// The loads of the benchmark.
var (
	errorLoad  = load{"errors of 2 KB", "envelope", true, 1, 1, errorEvent}
	vitalLoad  = load{"vitals, ten an envelope", "envelope", true, 10, 8, vitalEnvelope}
	beaconLoad = load{"vitals, ten a beacon", "beacon", false, 10, 12, vitalBeacon}
)

// loadParts is on how many pages, in turn, things happen: as many as there are
// rollouts at most.
const loadParts = 50

// errorEvent is the n-th error of about 2 KB: of 2,000 users, every hundredth
// a new issue.
func errorEvent(n int) []byte {
	kind := n % 20
	if n%100 == 0 {
		kind = 1000 + n
	}
	frames := make([]any, 12)
	for i := range frames {
		frames[i] = map[string]any{"function": fmt.Sprintf("handle%d", (i+kind)%37), "module": fmt.Sprintf("app/part%d/view%d", kind, i),
			"filename": fmt.Sprintf("https://shop.example/static/part%d.js", i), "lineno": 10 + i, "colno": 5, "in_app": true}
	}
	payload, _ := json.Marshal(map[string]any{
		"event_id": fmt.Sprintf("%032x", n+1), "platform": "javascript", "level": "error", "environment": "production", "release": "shop@1.4.2",
		"user":     map[string]any{"id": fmt.Sprintf("user-%d", n%2000), "role": "admin"},
		"tags":     map[string]any{"browser": "Firefox 128", "os": "Linux"},
		"request":  map[string]any{"url": fmt.Sprintf("https://shop.example/part%d/cart", n%loadParts)},
		"contexts": map[string]any{"flags": map[string]any{"values": []any{map[string]any{"flag": "other", "result": true}}}},
		"exception": map[string]any{"values": []any{map[string]any{
			"type": fmt.Sprintf("Error%d", kind), "value": "cart is undefined", "mechanism": map[string]any{"type": "onerror", "handled": false},
			"stacktrace": map[string]any{"frames": frames},
		}}},
	})
	return fmt.Appendf(nil, "{\"event_id\":\"%032x\"}\n{\"type\":\"event\",\"length\":%d}\n%s\n", n+1, len(payload), payload)
}

// vitalEnvelope is the n-th envelope of two page loads with five vitals each,
// as a browser SDK of version 11 streams spans.
func vitalEnvelope(n int) []byte {
	var items []any
	for i := range 2 {
		id := 2*n + i + 1
		page, trace, user := fmt.Sprintf("%016x", id<<3), fmt.Sprintf("%032x", id), fmt.Sprintf("user-%d", id%2000)
		span := func(k int, op, name string, attributes map[string]any) {
			typed := map[string]any{}
			for key, v := range attributes {
				kind := "double"
				if _, ok := v.(string); ok {
					kind = "string"
				}
				typed[key] = map[string]any{"value": v, "type": kind}
			}
			for key, v := range map[string]string{
				"sentry.op": op, "sentry.segment.id": page, "sentry.segment.name": "Pageload", "sentry.release": "shop@1.4.2", "sentry.environment": "production",
				"user.id": user, "user.role": "admin", "sentry.sdk.name": "sentry.javascript.browser", "sentry.sdk.version": "11.12.0",
			} {
				typed[key] = map[string]any{"value": v, "type": "string"}
			}
			items = append(items, map[string]any{"name": name, "span_id": fmt.Sprintf("%016x", id<<3+k), "trace_id": trace, "is_segment": k == 0, "status": "ok",
				"start_timestamp": loadTime, "end_timestamp": loadTime + 1, "attributes": typed})
		}
		path := fmt.Sprintf("/part%d/cart", id%loadParts)
		span(0, "pageload", "Pageload", map[string]any{"url.path": path, "browser.web_vital.fcp.value": float64(900 + id%400), "browser.web_vital.ttfb.value": float64(90 + id%40)})
		span(1, "ui.webvital.lcp", "lcp", map[string]any{"browser.web_vital.lcp.value": float64(1200 + id%900)})
		span(2, "ui.webvital.cls", "cls", map[string]any{"browser.web_vital.cls.value": float64(id%100) / 1000})
		span(3, "ui.interaction.click", "inp", map[string]any{"browser.web_vital.inp.value": float64(40 + id%200)})
	}
	payload, _ := json.Marshal(map[string]any{"version": 2, "items": items})
	return fmt.Appendf(nil, "{}\n{\"type\":\"span\",\"item_count\":%d,\"content_type\":\"application/vnd.sentry.items.span.v2+json\"}\n%s\n", len(items), payload)
}

// loadTime is when the spans began; set once, so that they are young.
var loadTime = float64(time.Now().Unix())

// vitalBeacon is the n-th beacon of two page loads with five vitals each.
func vitalBeacon(n int) []byte {
	var list []any
	for i := range 2 {
		id := 2*n + i
		metric := func(name string, value float64) any {
			return map[string]any{"name": name, "value": value, "id": fmt.Sprintf("v6-%s-%d", name, id), "rating": "good", "navigationType": "navigate"}
		}
		list = append(list, map[string]any{
			"v": 1, "user": map[string]any{"id": fmt.Sprintf("user-%d", id%2000), "role": "admin"}, "page": fmt.Sprintf("/part%d/cart", id%loadParts),
			"release": "shop@1.4.2", "environment": "production", "load": map[string]any{"id": fmt.Sprintf("load-%d", id)},
			"metrics": []any{metric("LCP", float64(1200+id%900)), metric("FCP", float64(900+id%400)), metric("CLS", float64(id%100)/1000),
				metric("INP", float64(40+id%200)), metric("TTFB", float64(90+id%40))},
		})
	}
	data, _ := json.Marshal(list)
	return data
}

// render makes n requests for path, compressed where SDKs compress.
func (l load) render(tb testing.TB, host, path string, first, n int) [][]byte {
	tb.Helper()
	out := make([][]byte, n)
	var body bytes.Buffer
	z, _ := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	for i := range out {
		body.Reset()
		encoding := ""
		if plain := l.body(first + i); l.zipped {
			encoding = "Content-Encoding: gzip\r\n"
			z.Reset(&body)
			if _, err := z.Write(plain); err != nil {
				tb.Fatal(err)
			}
			if err := z.Close(); err != nil {
				tb.Fatal(err)
			}
		} else {
			body.Write(plain)
		}
		out[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n%s",
			path, host, encoding, body.Len(), body.Bytes())
	}
	return out
}

// sent is what became of the requests of a drive.
type sent struct {
	took []time.Duration // each request, from when it was due to its answer
	all  time.Duration
}

// drive sends the requests over some connections, perSecond of them evenly, or
// with 0 each as soon as a connection is free. A request that is due while all
// connections wait counts from then on, so that a slow server does not hide its
// slowness by slowing its load down. Any answer but 200 is an error.
func drive(tb testing.TB, host string, requests [][]byte, connections int, perSecond float64) sent {
	tb.Helper()
	out := sent{took: make([]time.Duration, len(requests))}
	var next atomic.Int64
	var clients sync.WaitGroup
	began := time.Now()
	for range min(connections, len(requests)) {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			tb.Fatal(err)
		}
		clients.Go(func() {
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				due := time.Now()
				if perSecond > 0 {
					due = began.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				if err := exchange(conn, in, requests[i]); err != nil {
					tb.Error(err)
					return
				}
				out.took[i] = time.Since(due)
			}
		})
	}
	clients.Wait()
	out.all = time.Since(began)
	return out
}

// exchange sends one request and reads its answer.
func exchange(conn io.Writer, in *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	return err
}
