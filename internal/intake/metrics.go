package intake

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/telemetry"
)

// Outcomes of an item.
const (
	outcomeAccepted = "accepted" // durable
	outcomeSkipped  = "skipped"  // a type that serin has no use for
	outcomeInvalid  = "invalid"  // a field or an item dropped; the type label is the reason
	outcomeRefused  = "refused"  // overload
)

type metrics struct {
	requests *prometheus.CounterVec
	rejected *prometheus.CounterVec
	items    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "serin_intake_requests_total", Help: "Telemetry requests by endpoint and HTTP status (499: the client left before the answer).",
		}, []string{"endpoint", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "serin_intake_rejected_total", Help: "Telemetry requests that were refused, by reason.",
		}, []string{"reason"}),
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "serin_intake_items_total", Help: "Telemetry items by type and outcome.",
		}, []string{"type", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "serin_intake_request_seconds", Help: "Time until the answer, in server time.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, []string{"endpoint"}),
	}
	if reg != nil {
		reg.MustRegister(m.requests, m.rejected, m.items, m.seconds)
	}
	return m
}

func (m *metrics) answered(endpoint string, a answer) {
	m.requests.WithLabelValues(endpoint, strconv.Itoa(a.status)).Inc()
	if a.status >= http.StatusBadRequest {
		m.rejected.WithLabelValues(a.reason).Inc()
	}
}

func (m *metrics) accepted(events []telemetry.Event) {
	for i := range events {
		m.items.WithLabelValues(events[i].Kind.String(), outcomeAccepted).Inc()
	}
}

func (m *metrics) skipped(res Result) {
	for kind, n := range res.Skipped {
		m.items.WithLabelValues(kind, outcomeSkipped).Add(float64(n))
	}
	for reason, n := range res.Invalid {
		m.items.WithLabelValues(reason, outcomeInvalid).Add(float64(n))
	}
}
