package server_test

import (
	"net/http"
	"testing"

	"serin/internal/config"
)

// TestErrorsOfOpenTelemetry: log records of severity ERROR are errors unless
// the configuration says that Sentry sends them; then /metrics counts what was
// left out.
func TestErrorsOfOpenTelemetry(t *testing.T) {
	t.Parallel()
	for errors, want := range map[string][2]float64{"": {1, 0}, "on": {1, 0}, "off": {0, 1}} {
		t.Run("otlp.errors "+errors, func(t *testing.T) {
			t.Parallel()
			s := guarded(t, config.Config{OTLP: config.OTLP{Errors: errors}})
			body := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":17,"body":{"stringValue":"cart is broken"}},{"severityNumber":9,"body":{"stringValue":"fine"}}]}]}]}`
			s.must(http.MethodPost, "/v1/logs", []byte(body), "Authorization", "Bearer "+s.boot.PublicKey, "Content-Type", "application/json")
			taken, out := s.metric(`serin_intake_items_total{outcome="accepted",type="error"}`), s.metric(`serin_intake_items_total{outcome="skipped",type="log_error"}`)
			if got := [2]float64{taken, out}; got != want {
				t.Errorf("errors taken and left out: %v, want %v", got, want)
			}
			if n := s.metric(`serin_intake_items_total{outcome="skipped",type="log"}`); n != 1 {
				t.Errorf("%v other logs skipped, want 1", n)
			}
		})
	}
}
