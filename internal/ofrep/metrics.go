package ofrep

import "github.com/prometheus/client_golang/prometheus"

// metrics count answers; the labelled counters are looked up once.
type metrics struct {
	single, bulk, unchanged, refused prometheus.Counter
	streams                          prometheus.Gauge
}

// newMetrics registers with reg where it is not nil.
func newMetrics(reg prometheus.Registerer) *metrics {
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serin_ofrep_answers_total",
		Help: "Answers to flag clients: single, bulk, unchanged (304) and refused (401, 403, 429).",
	}, []string{"kind"})
	streams := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "serin_ofrep_streams", Help: "Open event streams of flag clients.",
	})
	if reg != nil {
		reg.MustRegister(answers, streams)
	}
	return &metrics{
		single: answers.WithLabelValues("single"), bulk: answers.WithLabelValues("bulk"),
		unchanged: answers.WithLabelValues("unchanged"), refused: answers.WithLabelValues("refused"),
		streams: streams,
	}
}
