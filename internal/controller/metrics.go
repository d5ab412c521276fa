package controller

import "github.com/prometheus/client_golang/prometheus"

// metrics are the controller's own.
type metrics struct {
	events   *prometheus.CounterVec
	notices  *prometheus.CounterVec
	failures prometheus.Counter
	commit   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "serin_controller_events_total", Help: "Journal events by type."}, []string{"type"}),
		notices:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "serin_controller_notices_total", Help: "Tries to deliver a notice by outcome."}, []string{"outcome"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "serin_controller_failures_total", Help: "Decisions that could not be made or committed."}),
		commit:   prometheus.NewHistogram(prometheus.HistogramOpts{Name: "serin_controller_commit_seconds", Help: "Time from a decision to its flag being published.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 12)}),
	}
	for _, outcome := range []string{"delivered", "retried", "dead"} {
		m.notices.WithLabelValues(outcome) // an alarm needs the series before the first fault
	}
	if reg != nil {
		reg.MustRegister(m.events, m.notices, m.failures, m.commit)
	}
	return m
}
