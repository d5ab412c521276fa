package controller

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

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
	for _, outcome := range []string{"delivered", "told with another", "retried", "dead"} {
		m.notices.WithLabelValues(outcome) // an alarm needs the series before the first fault
	}
	if reg != nil {
		reg.MustRegister(m.events, m.notices, m.failures, m.commit)
	}
	return m
}

// channelGauges tell how channels do, at each scrape. Addresses of people,
// those of mail, are summed up.
type channelGauges struct{ c *Courier }

var (
	channelWaiting = prometheus.NewDesc("serin_controller_channel_waiting", "Notices that wait to be delivered, by channel.", []string{"channel"}, nil)
	channelDead    = prometheus.NewDesc("serin_controller_channel_dead", "Notices that were given up, by channel.", []string{"channel"}, nil)
	channelOldest  = prometheus.NewDesc("serin_controller_channel_oldest_seconds", "Age of the oldest notice that waits, by channel; 0 = none does.", []string{"channel"}, nil)
)

// Describe implements prometheus.Collector.
func (g channelGauges) Describe(out chan<- *prometheus.Desc) {
	out <- channelWaiting
	out <- channelDead
	out <- channelOldest
}

// Collect implements prometheus.Collector.
func (g channelGauges) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), deliverLimit)
	defer cancel()
	all, err := g.c.Health(ctx)
	if err != nil {
		g.c.log.Error("measure channels", "err", err)
		return
	}
	type sums struct{ waiting, dead, oldest float64 }
	by := map[string]sums{}
	for _, h := range all {
		name := h.Address
		if scheme, _, _ := strings.Cut(name, ":"); scheme == "email" {
			name = scheme
		}
		s := by[name]
		s.waiting, s.dead = s.waiting+float64(h.Waiting), s.dead+float64(h.Dead)
		if h.Waiting > 0 {
			s.oldest = max(s.oldest, g.c.clock.Now().Sub(h.Oldest).Seconds())
		}
		by[name] = s
	}
	for name, s := range by {
		out <- prometheus.MustNewConstMetric(channelWaiting, prometheus.GaugeValue, s.waiting, name)
		out <- prometheus.MustNewConstMetric(channelDead, prometheus.GaugeValue, s.dead, name)
		out <- prometheus.MustNewConstMetric(channelOldest, prometheus.GaugeValue, s.oldest, name)
	}
}
