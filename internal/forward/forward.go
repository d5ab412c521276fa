// Package forward passes telemetry on to another service that speaks Sentry's
// protocol, so that an organisation keeps its Sentry while clients send to
// serin alone.
//
// A Forwarder holds one line for each project that has an upstream. Accept
// takes a request that serin has committed and appends it to the line's queue
// on disk; a goroutine of the line sends it on. What it promises:
//
//   - Every item of an envelope, header line and payload, reaches the upstream
//     byte for byte, those too that serin has no use for, and unscrubbed.
//     Rewritten are the address, the authentication, and in the envelope's
//     header dsn and trace.public_key where they name the client's key; the
//     body is compressed anew.
//   - Accept waits for neither the upstream nor an fsync: it returns when the
//     record is with the operating system, which survives kill -9. Records are
//     synced every second, so a power cut may take the last one's.
//   - A large body comes as a file (Room) and is nowhere in memory as a whole
//     (large.go).
//   - The queue is bounded in bytes and age. When it is full the oldest goes.
//     Everything that does not arrive is counted, by reason.
//   - Each request is delivered at least once, oldest first in batches of up to
//     32 at a time; after a restart at most one batch comes again.
//   - The upstream's 429 and X-Sentry-Rate-Limits hold towards the upstream
//     only: items of a limited category are left out and counted, as an SDK
//     does; a limit on everything makes the queue wait.
//
// Files: DIR/PROJECT/NNNNNNNNNNNNNNNN.seg, the segments (segment.go has the
// format), and DIR/PROJECT/position. They hold what clients sent, personal data
// included, and are the owner's alone. A project without an upstream has no
// files: Set removes them.
//
// Sources: getsentry/sentry-docs develop-docs/sdk (transport, envelopes, rate
// limiting); RFC 1952 (gzip).
package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
	"serin/internal/outbound"
)

// The endpoints that are passed on: what an upstream has too.
const (
	endpointEnvelope = "envelope"
	endpointStore    = "store"
	endpointSecurity = "security"
)

// DefaultQueueBytes and DefaultKeep bound a queue where nothing is said.
const (
	DefaultQueueBytes = 1 << 30
	DefaultKeep       = 24 * time.Hour
)

// Spec is the way of one project.
type Spec struct {
	Project      string // as in the path of its DSN
	DSN          DSN
	QueueBytes   int64         // 0 = DefaultQueueBytes
	Keep         time.Duration // 0 = DefaultKeep
	AllowPrivate bool          // the upstream may be on a private network
}

// Options of New. Dir is required.
type Options struct {
	Dir      string                // of the queues
	Clock    clock.Clock           // nil: the machine's
	Logger   *slog.Logger          // nil: silent
	Registry prometheus.Registerer // nil: metrics are kept but not registered
	Timeout  time.Duration         // of one request; 0 = 60 s

	metrics *metrics
}

// Request is what a client sent, after serin has answered for it. The
// Forwarder keeps nothing of it after Accept.
type Request struct {
	Project  string
	Endpoint string
	Key      string      // that the client sent
	Address  string      // of the client, for X-Forwarded-For; "" = unknown
	Header   http.Header // as sent
	Query    url.Values
	Body     []byte // decompressed
	File     string // of a large body, compressed with gzip, in place of Body; Accept removes it
	Received time.Time
}

// Forwarder passes requests on. All methods may be called at the same time,
// Set and Run by one goroutine each.
type Forwarder struct {
	o     Options
	lines atomic.Pointer[map[string]*line]

	mu  sync.Mutex      // guards ctx, and what Set changes
	ctx context.Context // of Run; nil = not running
}

// New makes a Forwarder without a line.
func New(o Options) *Forwarder {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	f := &Forwarder{o: o}
	f.lines.Store(&map[string]*line{})
	f.o.metrics = newMetrics(o.Registry, f)
	return f
}

// Set takes over which projects are passed on and where. A line that stays
// keeps its queue and sends it to the upstream of now; the queue of a project
// that is no more is removed from the disk. After an error nothing has changed
// but for queues that were opened.
func (f *Forwarder) Set(specs []Spec) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, next := *f.lines.Load(), map[string]*line{}
	var fresh []*line
	for _, spec := range specs {
		l, err := f.open(spec, before[spec.Project])
		if err != nil {
			for _, l := range fresh {
				_ = l.queue.close()
			}
			return fmt.Errorf("forward.%s: %w", spec.Project, err)
		}
		if next[spec.Project] = l; before[spec.Project] == nil {
			fresh = append(fresh, l)
		}
	}
	for _, old := range before {
		old.stop()
	}
	f.lines.Store(&next)
	for project, old := range before {
		if next[project] == nil {
			_ = old.queue.close()
		} else {
			old.queue.setMax(next[project].spec.QueueBytes)
			if next[project].spec.DSN != old.spec.DSN {
				old.forget()
			}
		}
	}
	f.clean(next)
	if f.ctx != nil {
		for _, l := range next {
			l.start(f.ctx)
		}
	}
	return nil
}

// open makes the line of a spec; it takes queue and counts over from the one before.
func (f *Forwarder) open(spec Spec, before *line) (*line, error) {
	if spec.QueueBytes <= 0 {
		spec.QueueBytes = DefaultQueueBytes
	}
	if spec.Keep <= 0 {
		spec.Keep = DefaultKeep
	}
	o := outbound.Options{Timeout: f.o.Timeout}
	if spec.AllowPrivate {
		o.Guard.Allow = outbound.Private
	}
	client, err := outbound.NewClient(o)
	if err != nil {
		return nil, err
	}
	l := &line{o: &f.o, spec: spec, http: client}
	if before == nil {
		l.counts = &counts{project: spec.Project, metrics: f.o.metrics, limits: rateLimits{}, lost: map[string]int64{}, held: map[string]int64{}}
		l.wake = make(chan struct{}, 1)
		l.queue, err = openQueue(filepath.Join(f.o.Dir, spec.Project), spec.QueueBytes, l.lose)
		return l, err
	}
	// Queue and counts belong to the project, whatever its upstream is.
	l.counts, l.wake, l.queue = before.counts, before.wake, before.queue
	return l, nil
}

// clean removes the queues of projects that have no line.
func (f *Forwarder) clean(lines map[string]*line) {
	dirs, err := os.ReadDir(f.o.Dir)
	if err != nil {
		return // there is none yet
	}
	for _, d := range dirs {
		if lines[d.Name()] == nil && d.IsDir() {
			if err := os.RemoveAll(filepath.Join(f.o.Dir, d.Name())); err != nil {
				f.o.Logger.Warn("remove the queue of a project that is not forwarded any more", "project", d.Name(), "err", err)
				continue
			}
			f.o.Logger.Warn("queue of a project that is not forwarded any more was removed", "project", d.Name())
		}
	}
}

// Run sends until ctx ends, and then makes the queues durable.
func (f *Forwarder) Run(ctx context.Context) error {
	f.mu.Lock()
	f.ctx = ctx
	for _, l := range *f.lines.Load() {
		l.start(ctx)
	}
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ctx = nil
	for _, l := range *f.lines.Load() {
		l.stop()
	}
	return nil
}

// Close closes the queues; the Forwarder is not used afterwards.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, l := range *f.lines.Load() {
		errs = append(errs, l.queue.close())
	}
	f.lines.Store(&map[string]*line{})
	return errors.Join(errs...)
}

// Accept queues a request, if its project and endpoint are passed on. What
// cannot be queued is counted, and logged when it begins.
func (f *Forwarder) Accept(r Request) {
	l := (*f.lines.Load())[r.Project]
	if l == nil || !slices.Contains([]string{endpointEnvelope, endpointStore, endpointSecurity}, r.Endpoint) {
		if r.File != "" {
			_ = os.Remove(r.File)
		}
		return
	}
	if err := l.queue.put(metaOf(r), r); err != nil {
		l.lose(lostDisk, 1)
		l.fail(err)
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// put appends a request to the queue.
func (q *queue) put(m meta, r Request) error {
	if r.File != "" {
		m.Gzip, m.Large = true, true
		return q.appendFile(m, r.File)
	}
	body := r.Body
	if m.Gzip = len(body) >= minGzipBytes; m.Gzip {
		body = compress(body)
	}
	return q.append(m, body)
}

// kept are the headers that go on: who sent it, from which page, and what it
// says it is. Cookies and the like stay here.
var kept = []string{"User-Agent", "Content-Type", "Origin", "Referer"}

// notKept are the parameters of a query that authenticate.
var notKept = []string{"sentry_key", "sentry_version", "sentry_client", "sentry_secret"}

func metaOf(r Request) meta {
	m := meta{At: r.Received, Endpoint: r.Endpoint, Key: r.Key, Client: clientOf(r), Header: map[string]string{}}
	for _, name := range kept {
		if v := r.Header.Get(name); v != "" {
			m.Header[name] = v
		}
	}
	hops := r.Header.Values("X-Forwarded-For")
	if all := strings.Join(hops, ", "); all != "" {
		m.Header["X-Forwarded-For"] = all
	} else if r.Address != "" {
		m.Header["X-Forwarded-For"] = r.Address
	}
	query := url.Values{}
	for name, values := range r.Query {
		if !slices.Contains(notKept, name) {
			query[name] = values
		}
	}
	m.Query = query.Encode()
	return m
}

// clientOf is the SDK's name for itself, in the header or the query.
func clientOf(r Request) string {
	client := r.Query.Get("sentry_client")
	for _, name := range []string{"X-Sentry-Auth", "Authorization"} {
		_, fields, _ := strings.Cut(r.Header.Get(name), " ")
		for field := range strings.SplitSeq(fields, ",") {
			if k, v, _ := strings.Cut(strings.TrimSpace(field), "="); k == "sentry_client" {
				client = v
			}
		}
	}
	if strings.ContainsAny(client, ",\r\n\"") {
		return ""
	}
	return client
}
