package forward

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Status is the state of one project's line, for people. Counts are since the
// server's start.
type Status struct {
	Project   string               `json:"project"`
	Upstream  string               `json:"upstream" doc:"address without the key"`
	State     string               `json:"state" enum:"idle,sending,limited,failing"`
	Queued    int                  `json:"queued" doc:"requests that wait"`
	Bytes     int64                `json:"bytes" doc:"of the queue's files"`
	MaxBytes  int64                `json:"max_bytes" doc:"when it is full the oldest go"`
	Oldest    time.Time            `json:"oldest,omitzero" doc:"when about the oldest that waits arrived"`
	Keep      time.Duration        `json:"keep" doc:"what waits longer is dropped, nanoseconds"`
	Sent      int64                `json:"sent" doc:"requests delivered"`
	LastSent  time.Time            `json:"last_sent,omitzero"`
	Lost      map[string]int64     `json:"lost" doc:"requests that will not arrive, by reason: full, expired, refused, limited, damaged, disk"`
	Held      map[string]int64     `json:"held" doc:"items left out at the upstream's wish, by category"`
	Limits    map[string]time.Time `json:"limits,omitempty" doc:"the upstream's limits in force, by category, and their ends; all = everything"`
	LastError string               `json:"last_error,omitempty"`
	ErrorAt   time.Time            `json:"error_at,omitzero"`
}

// The states.
const (
	Idle    = "idle"    // nothing waits
	Sending = "sending" // it gets through
	Limited = "limited" // the upstream asked for a pause
	Failing = "failing" // the last try failed
)

// Status tells of every line, by project.
func (f *Forwarder) Status() []Status {
	lines := *f.lines.Load()
	out := []Status{}
	for _, project := range slices.Sorted(maps.Keys(lines)) {
		out = append(out, lines[project].status())
	}
	return out
}

func (l *line) status() Status {
	queued, bytes, oldest := l.queue.size()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{
		Project: l.spec.Project, Upstream: l.spec.DSN.Address(), State: Idle, Queued: queued, Bytes: bytes, MaxBytes: l.spec.QueueBytes,
		Oldest: oldest, Keep: l.spec.Keep, Sent: l.sent, LastSent: l.sentAt, Lost: maps.Clone(l.lost), Held: maps.Clone(l.held),
		Limits: l.limits.now(l.o.Clock.Now()), LastError: l.lastErr, ErrorAt: l.errAt,
	}
	switch {
	case len(s.Limits) > 0:
		s.State = Limited
	case l.failing:
		s.State = Failing
	case queued > 0:
		s.State = Sending
	}
	return s
}

// Forwards reports whether requests of a project are passed on.
func (f *Forwarder) Forwards(project string) bool { return (*f.lines.Load())[project] != nil }

type metrics struct {
	f                *Forwarder
	sent, lost, held *prometheus.CounterVec
}

var (
	queuedDesc = prometheus.NewDesc("serin_forward_queued_requests", "Requests that wait to be forwarded.", []string{"project"}, nil)
	bytesDesc  = prometheus.NewDesc("serin_forward_queue_bytes", "Size of the queue's files.", []string{"project"}, nil)
	ageDesc    = prometheus.NewDesc("serin_forward_oldest_seconds", "Age of the oldest request that waits to be forwarded; 0 = none waits.", []string{"project"}, nil)
)

func newMetrics(reg prometheus.Registerer, f *Forwarder) *metrics {
	m := &metrics{
		f:    f,
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "serin_forward_sent_total", Help: "Requests delivered to the upstream."}, []string{"project"}),
		lost: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "serin_forward_lost_total", Help: "Requests that will not reach the upstream, by reason."}, []string{"project", "reason"}),
		held: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "serin_forward_held_items_total", Help: "Items left out at the upstream's wish, by rate-limit category."}, []string{"project", "category"}),
	}
	if reg != nil {
		reg.MustRegister(m, m.sent, m.lost, m.held)
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- queuedDesc
	out <- bytesDesc
	out <- ageDesc
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	now := m.f.o.Clock.Now()
	for _, s := range m.f.Status() {
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(now.Sub(s.Oldest).Seconds(), 0)
		}
		for desc, v := range map[*prometheus.Desc]float64{queuedDesc: float64(s.Queued), bytesDesc: float64(s.Bytes), ageDesc: age} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, s.Project)
		}
	}
}
