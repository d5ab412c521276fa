package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"serin/internal/outbound"
)

// Why requests were lost, and items held back.
const (
	lostFull    = "full"    // the queue was: the oldest went
	lostExpired = "expired" // waited too long
	lostRefused = "refused" // by the upstream, for good
	lostDamaged = "damaged" // unreadable in the queue
	lostDisk    = "disk"    // could not be written to the queue
	lostLimited = "limited" // nothing but items of categories that the upstream limits
)

const (
	statusTooMany  = http.StatusTooManyRequests
	maxBatch       = 32       // requests under way at once
	maxBatchBytes  = 32 << 20 // of their bodies as queued
	leastPause     = time.Second
	mostPause      = 5 * time.Minute
	syncEvery      = time.Second
	maxAnswerBytes = 4 << 10
	// maxRefusals is how often a request is tried again that the upstream says it may not send: a wrong key may be put right.
	maxRefusals = 5
)

// line is the way of one project.
type line struct {
	o     *Options
	spec  Spec
	http  *outbound.Client
	queue *queue
	wake  chan struct{}

	cancel context.CancelFunc // nil = not started; the Forwarder's mu guards both
	ended  sync.WaitGroup

	*counts
}

// counts are what became of a project's requests. They outlive a line that Set
// replaces.
type counts struct {
	project string
	metrics *metrics

	mu      sync.Mutex // guards the fields below; taken after the queue's
	limits  rateLimits
	sent    int64
	lost    map[string]int64
	held    map[string]int64
	lastErr string
	errAt   time.Time
	sentAt  time.Time
	failing bool
}

// lose counts requests that will not reach the upstream.
func (c *counts) lose(reason string, n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	c.lost[reason] += int64(n)
	c.mu.Unlock()
	c.metrics.lost.WithLabelValues(c.project, reason).Add(float64(n))
}

// fail notes why a request did not get through.
func (l *line) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastErr, l.errAt = err.Error(), l.o.Clock.Now()
	if !l.failing {
		l.failing = true
		l.o.Logger.Warn("forwarding fails", "project", l.spec.Project, "upstream", l.spec.DSN.Address(), "err", err)
	}
}

func (l *line) start(ctx context.Context) {
	ctx, l.cancel = context.WithCancel(ctx)
	l.ended.Go(func() { l.send(ctx) })
	l.ended.Go(func() { l.sync(ctx) })
}

func (l *line) stop() {
	if l.cancel != nil {
		l.cancel()
		l.ended.Wait()
		l.cancel = nil
	}
}

// sync makes the queue durable from time to time, and removes what was sent.
func (l *line) sync(ctx context.Context) {
	for l.wait(ctx, syncEvery) {
		if err := l.queue.sync(); err != nil {
			l.fail(fmt.Errorf("sync queue: %w", err))
		}
	}
}

// wait is false when ctx has ended.
func (l *line) wait(ctx context.Context, d time.Duration) bool {
	due, stop := l.o.Clock.After(d)
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-due:
		return true
	}
}

// send empties the queue until ctx ends: batches of requests at once, one
// after another, the oldest first. A failure makes the next batch one request,
// and success twice the last.
func (l *line) send(ctx context.Context) {
	n := maxBatch
	for ctx.Err() == nil {
		batch, err := l.queue.take(n, maxBatchBytes)
		if err != nil {
			l.fail(err)
		}
		if len(batch) == 0 {
			if err != nil {
				l.wait(ctx, leastPause)
				continue
			}
			select {
			case <-ctx.Done():
			case <-l.wake:
			}
			continue
		}
		smooth, ok := l.settle(ctx, batch)
		if !ok {
			return
		}
		n = 1
		if smooth {
			n = min(2*len(batch), maxBatch)
		}
	}
}

// settle tries a batch until every request of it is delivered or lost. ok is
// false when ctx ended before. smooth: the first try did it.
func (l *line) settle(ctx context.Context, batch []entry) (smooth, ok bool) {
	smooth = true
	refusals := make([]int, len(batch))
	open := make([]int, len(batch))
	for i := range batch {
		open[i] = i
	}
	for pause := leastPause; len(open) > 0; pause = min(2*pause, mostPause) {
		if !l.allowed(ctx) {
			l.queue.done(batch[:open[0]])
			return false, false
		}
		results := make([]result, len(open))
		var all sync.WaitGroup
		for k, i := range open {
			all.Go(func() { results[k] = l.try(ctx, batch[i]) })
		}
		all.Wait()
		var again []int
		for k, i := range open {
			if results[k] == refused {
				if refusals[i]++; refusals[i] >= maxRefusals {
					l.lose(lostRefused, 1)
					continue
				}
			}
			if results[k] != settled {
				again = append(again, i)
			}
		}
		if open = again; len(open) == 0 {
			break
		}
		smooth = false
		// Half of it is jitter, so that many serins do not come back as one.
		if !l.wait(ctx, pause/2+rand.N(pause/2+1)) {
			l.queue.done(batch[:open[0]]) // what comes before the first open one is dealt with
			return false, false
		}
	}
	l.queue.done(batch)
	return smooth, true
}

// allowed waits while the upstream limits everything; false: ctx ended.
func (l *line) allowed(ctx context.Context) bool {
	for {
		now := l.o.Clock.Now()
		l.mu.Lock()
		until := l.limits[everything]
		l.mu.Unlock()
		if !now.Before(until) {
			return ctx.Err() == nil
		}
		if !l.wait(ctx, min(until.Sub(now), mostPause)) {
			return false
		}
	}
}

// result is what one try came to.
type result uint8

const (
	settled result = iota // delivered, or lost and counted
	retry                 // may go better later
	refused               // may go better if somebody puts the settings right
)

// try sends one request.
func (l *line) try(ctx context.Context, e entry) result {
	now := l.o.Clock.Now()
	if now.Sub(e.meta.At) > l.spec.Keep {
		l.lose(lostExpired, 1)
		return settled
	}
	req, held, err := l.request(ctx, e, now)
	if err != nil {
		l.fail(err)
		l.lose(lostDamaged, 1)
		return settled
	}
	if req == nil {
		l.hold(held)
		l.lose(lostLimited, 1)
		return settled
	}
	resp, text, _, err := l.http.Do(req, maxAnswerBytes)
	if err != nil {
		if ctx.Err() == nil {
			l.fail(err)
		}
		return retry
	}
	l.mu.Lock()
	l.limits.note(resp.StatusCode, resp.Header.Get("X-Sentry-Rate-Limits"), resp.Header.Get("Retry-After"), l.o.Clock.Now())
	l.mu.Unlock()
	if resp.StatusCode/100 == 2 && resp.Request.Method == http.MethodPost {
		l.hold(held)
		l.delivered()
		return settled
	}
	l.fail(fmt.Errorf("the upstream answered %s to /%s/: %s", resp.Status, e.meta.Endpoint, outbound.Excerpt(text)))
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound:
		return refused
	case code == statusTooMany, code == http.StatusRequestTimeout, code/100 != 4:
		return retry
	}
	l.lose(lostRefused, 1)
	return settled
}

func (l *line) delivered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.sentAt = l.o.Clock.Now()
	if l.failing {
		l.failing = false
		l.o.Logger.Info("forwarding works again", "project", l.spec.Project)
	}
	l.metrics.sent.WithLabelValues(l.project).Inc()
}

// hold counts items that were left out at the upstream's wish.
func (c *counts) hold(items map[string]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for category, n := range items {
		c.held[category] += int64(n)
		c.metrics.held.WithLabelValues(c.project, category).Add(float64(n))
	}
}

// request is what goes to the upstream; nil if the upstream wants none of it now.
func (l *line) request(ctx context.Context, e entry, now time.Time) (*http.Request, map[string]int, error) {
	to := l.spec.DSN
	l.mu.Lock()
	limits := l.limits.now(now)
	l.mu.Unlock()
	limited := func(category string) bool { _, yes := limits[category]; return yes }
	if e.large != nil {
		return l.largeRequest(ctx, e, limited, len(limits) > 0)
	}
	body := e.body
	if e.meta.Gzip {
		var err error
		if body, err = gunzip(e.body); err != nil {
			return nil, nil, err
		}
	}
	var held map[string]int
	if e.meta.Endpoint == endpointEnvelope {
		line, rest, found := bytes.Cut(body, []byte("\n"))
		next := rewriteHeader(line, e.meta.Key, to)
		if found {
			next = append(next[:len(next):len(next)], '\n')
		}
		body = append(next[:len(next):len(next)], rest...)
		if len(limits) > 0 {
			var left bool
			if body, held, left = without(body, limited); !left {
				return nil, held, nil
			}
		}
	} else if category := categoryOfEndpoint(e.meta.Endpoint); limited(category) {
		return nil, map[string]int{category: 1}, nil
	}
	packed := len(body) >= minGzipBytes
	if packed {
		body = compress(body)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.endpoint(e.meta.Endpoint, e.meta.Query), bytes.NewReader(body))
	if err != nil {
		return nil, nil, errors.New("the upstream's address cannot be used")
	}
	l.head(req, e.meta, packed)
	return req, held, nil
}

// head sets the headers of a request to the upstream.
func (l *line) head(req *http.Request, m meta, packed bool) {
	req.Header.Set("User-Agent", "") // the client's own or none
	for name, value := range m.Header {
		req.Header.Set(name, value)
	}
	req.Header.Set("X-Sentry-Auth", l.spec.DSN.auth(m.Client))
	if packed {
		req.Header.Set("Content-Encoding", "gzip")
	}
}

func categoryOfEndpoint(name string) string {
	if name == endpointSecurity {
		return "security"
	}
	return "error"
}

// minGzipBytes is the size from which a body is worth compressing.
const minGzipBytes = 1 << 10

var gzips = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic("forward: " + err.Error()) // the level is a constant
	}
	return z
}}

func compress(b []byte) []byte {
	var out bytes.Buffer
	z := gzips.Get().(*gzip.Writer)
	defer gzips.Put(z)
	z.Reset(&out)
	_, _ = z.Write(b) // a Buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, maxRecordBytes))
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	return out, nil
}
