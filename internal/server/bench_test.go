package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"serin/internal/server"
)

// benchPlan is watched while events come in: a fixed limit, a comparison of
// affected users, one of a ratio, and one of a quantile.
const benchPlan = `serin: 1
plan: bench
timezone: UTC
flag: { key: bench, audience: role = admin }
calendar: { raise: ["daily 00:00-24:00"] }
stages: [ { stage: half, traffic: 50%, bake: 48h }, { stage: full, traffic: 100%, bake: 1h } ]
rollback: [ p1 > 1000000 over 1h, errors > +30% vs control over 1h, error_rate > +30% vs control over 1h, lcp > +30% vs control over 1h ]
`

// benchSite runs a server on SQLite with one rollout under way.
func benchSite(b *testing.B) (boot server.Bootstrap) {
	b.Helper()
	s, err := server.New(b.Context(), server.Options{Data: b.TempDir(), Listen: "127.0.0.1:0", Version: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Errorf("server ended with: %v", err)
		}
	})
	boot = *s.Bootstrap()
	var made struct{ State struct{ ID string } }
	operate(b, boot, "/rollouts", []byte(benchPlan), &made)
	var view struct{ Version int64 }
	operate(b, boot, "/rollouts/"+made.State.ID, nil, &view)
	operate(b, boot, "/rollouts/"+made.State.ID+"/start", fmt.Appendf(nil, `{"version":%d}`, view.Version), nil)
	return boot
}

// operate calls the operator API: with a body it posts, without it gets.
func operate(tb testing.TB, boot server.Bootstrap, path string, body []byte, out any) {
	tb.Helper()
	method, kind := http.MethodPost, "application/json"
	if body == nil {
		method = http.MethodGet
	} else if body[0] != '{' {
		kind = "application/yaml"
	}
	req, err := http.NewRequestWithContext(tb.Context(), method, boot.URL+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+boot.AdminToken)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		tb.Fatalf("%s %s: %d %s %v", method, path, resp.StatusCode, data, err)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			tb.Fatal(err)
		}
	}
}

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
		"contexts": map[string]any{"flags": map[string]any{"values": []any{map[string]any{"flag": "other", "result": true}}}},
		"exception": map[string]any{"values": []any{map[string]any{
			"type": fmt.Sprintf("Error%d", kind), "value": "cart is undefined", "mechanism": map[string]any{"type": "onerror", "handled": false},
			"stacktrace": map[string]any{"frames": frames},
		}}},
	})
	return fmt.Appendf(nil, "{\"event_id\":\"%032x\"}\n{\"type\":\"event\",\"length\":%d}\n%s\n", n+1, len(payload), payload)
}

// posts renders n requests for path, compressed as SDKs do.
func posts(b *testing.B, host, path string, first, n int) [][]byte {
	b.Helper()
	out := make([][]byte, n)
	var body bytes.Buffer
	z, _ := gzip.NewWriterLevel(&body, gzip.BestSpeed)
	for i := range out {
		body.Reset()
		z.Reset(&body)
		if _, err := z.Write(errorEvent(first + i)); err != nil {
			b.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
		out[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-sentry-envelope\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s",
			path, host, body.Len(), body.Bytes())
	}
	return out
}

// benchClients is how many connections send at once.
const benchClients = 128

// drive sends the requests over benchClients connections, each as fast as it
// is answered, and returns the answer times. Its own cost is small on purpose.
func drive(b *testing.B, host string, requests [][]byte) []time.Duration {
	b.Helper()
	took := make([]time.Duration, len(requests))
	var next atomic.Int64
	var clients sync.WaitGroup
	for range min(benchClients, len(requests)) {
		conn, err := net.Dial("tcp", host)
		if err != nil {
			b.Fatal(err)
		}
		clients.Go(func() {
			defer func() { _ = conn.Close() }()
			in := bufio.NewReader(conn)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(requests) {
					return
				}
				began := time.Now()
				if _, err := conn.Write(requests[i]); err != nil {
					b.Error(err)
					return
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Error(err)
					return
				}
				text, _ := io.ReadAll(resp.Body)
				if took[i] = time.Since(began); resp.StatusCode != http.StatusOK {
					b.Errorf("%d %s", resp.StatusCode, text)
					return
				}
			}
		})
	}
	clients.Wait()
	return took
}

// cpu is the processor time of this process: server and clients.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ingest drives b.N events at a server and reports how it went.
func ingest(b *testing.B, host, path string, sent *int) {
	requests := posts(b, host, path, *sent, b.N)
	*sent += b.N
	runtime.GC()
	before := cpu(b)
	b.ReportAllocs()
	b.ResetTimer()
	took := drive(b, host, requests)
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc-heldBy(requests))/(1<<20), "heap-MB")
}

func heldBy(requests [][]byte) (n uint64) {
	for _, r := range requests {
		n += uint64(cap(r))
	}
	return n
}

// BenchmarkIngestErrors posts envelopes with one error event of 2 KB each over
// HTTP, with a rollout under way. "mark" is the least that any such server
// must do: read, decompress, parse the JSON, append to a file that is synced
// once for all who wait. The figures of cpu and memory include the clients.
func BenchmarkIngestErrors(b *testing.B) {
	b.Run("serin", func(b *testing.B) {
		boot := benchSite(b)
		u, err := url.Parse(boot.URL)
		if err != nil {
			b.Fatal(err)
		}
		sent := 0
		path := "/api/" + boot.Project + "/envelope/?sentry_key=" + boot.PublicKey
		drive(b, u.Host, posts(b, u.Host, path, 1<<40, 100)) // connections, caches, the twenty issues
		ingest(b, u.Host, path, &sent)
		var counters map[string]int64
		operate(b, boot, "/telemetry", nil, &counters)
		if got := counters["counted:error"]; got != int64(sent)+100 {
			b.Errorf("%d errors were sent, %d counted", sent+100, got)
		}
	})
	b.Run("mark", func(b *testing.B) {
		s := httptest.NewServer(newMark(b))
		b.Cleanup(s.Close)
		sent := 0
		host := s.Listener.Addr().String()
		drive(b, host, posts(b, host, "/", 1<<40, 100))
		ingest(b, host, "/", &sent)
	})
}

// mark is the least an intake must do.
type mark struct {
	queue chan *marked
}

type marked struct {
	data []byte
	done chan error
}

func newMark(b *testing.B) *mark {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	m := &mark{queue: make(chan *marked, 2*benchClients)}
	go m.write(f)
	b.Cleanup(func() { close(m.queue) })
	return m
}

// write appends what waits and syncs once.
func (m *mark) write(f *os.File) {
	defer func() { _ = f.Close() }()
	for first := range m.queue {
		group := []*marked{first}
		for len(m.queue) > 0 {
			group = append(group, <-m.queue)
		}
		var all []byte
		for _, e := range group {
			all = append(all, e.data...)
		}
		_, err := f.Write(all)
		if err == nil {
			err = f.Sync()
		}
		for _, e := range group {
			e.done <- err
		}
	}
}

func (m *mark) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	data, err := io.ReadAll(z)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for line := range bytes.Lines(data) {
		var v any
		if err := json.Unmarshal(line, &v); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	e := &marked{data, make(chan error, 1)}
	m.queue <- e
	if err := <-e.done; err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "{}")
}
