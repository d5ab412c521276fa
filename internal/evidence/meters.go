package evidence

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// meters are the package's own metrics.
type meters struct {
	events   *prometheus.CounterVec
	kinds    *prometheus.CounterVec
	commits  prometheus.Histogram
	failures prometheus.Counter
	refused  prometheus.Counter
}

func newMeters(r prometheus.Registerer) *meters {
	m := &meters{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "serin_evidence_events_total", Help: "Telemetry events by what became of them."}, []string{"result"}),
		kinds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "serin_evidence_counted_events_total", Help: "Telemetry events taken into the evidence, by kind."}, []string{"kind"}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "serin_evidence_commit_seconds", Help: "Duration of a group commit.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "serin_evidence_commit_failures_total", Help: "Group commits that the store refused."}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "serin_evidence_refused_events_total", Help: "Events refused because the queue was full."}),
	}
	if r != nil {
		r.MustRegister(m.events, m.kinds, m.commits, m.failures, m.refused)
	}
	return m
}

func (m *meters) add(counters map[string]int64) {
	for name, n := range counters {
		if kind, ok := strings.CutPrefix(name, countedKind); ok {
			m.kinds.WithLabelValues(kind).Add(float64(n))
		} else if n > 0 {
			m.events.WithLabelValues(name).Add(float64(n))
		}
	}
}
