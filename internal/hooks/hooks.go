// Package hooks is the door through which other systems tell of their alerts:
// Prometheus Alertmanager (its webhook, and calls of its API v2 as Prometheus
// itself makes them) and Sentry (webhooks of an internal integration). What
// comes in becomes alerts of package alerting: each name is a rule, each set
// of labels a group of it.
//
//	POST /hooks/alertmanager/{key}                 webhook, version "4"
//	POST /hooks/alertmanager/{key}/api/v2/alerts   the v2 call
//	POST /hooks/sentry/{key}                       signed by Sentry's client secret
//
// The key says whose alerts they are and who is told. 200 means durable: who
// gets anything else sends again, and the same words twice change nothing.
// Bodies are bounded (MaxBody, MaxAlerts). Alerts that serin itself handed to
// an Alertmanager are left aside, so that nothing goes in a circle.
//
// The forms are those of prometheus/alertmanager (notify/webhook, template
// Data; api/v2/openapi.yaml) and of docs.sentry.io, "Integration Platform
// Webhooks".
package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/alert"
	"serin/internal/alerting"
)

const (
	// MaxBody bounds a request's body in bytes, MaxAlerts its alerts.
	MaxBody   = 4 << 20
	MaxAlerts = 5000
	// retryAfter is what a sender is asked to wait, in seconds.
	retryAfter = "10"
)

// ErrUnknownKey is the answer of Options.Key for a key that is not known.
var ErrUnknownKey = errors.New("this key is not known: make one under Settings, API keys and tokens, or by serin token create --kind hook")

// ErrInvalid is wrapped by the errors of bodies that cannot be read.
var ErrInvalid = errors.New("this body cannot be read")

// Key is what a key of this door stands for.
type Key struct {
	Project string
	Notify  []string // addresses of who is told, as plans write them
	// ClientSecret is that of Sentry's integration; "" = no calls of Sentry.
	ClientSecret string
}

// Options are what a door needs; Key, Hear and Now are required.
type Options struct {
	// Key looks a key up; ErrUnknownKey, or an error that may go away.
	Key func(ctx context.Context, key string) (Key, error)
	// Hear takes alerts over, as alerting.Engine.Hear does.
	Hear     func(ctx context.Context, from alerting.From, said []alerting.Outside) error
	Now      func() time.Time
	Logger   *slog.Logger          // nil = silent
	Registry prometheus.Registerer // nil = no metrics
}

type server struct {
	Options
	calls *prometheus.CounterVec
}

// New returns the handler of all paths under /hooks/ that this package has.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &server{Options: o, calls: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "serin_hooks_calls_total", Help: "Calls of other systems that tell of their alerts, by system and status.",
	}, []string{"system", "code"})}
	if o.Registry != nil {
		o.Registry.MustRegister(s.calls)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hooks/alertmanager/{key}", s.serve(alert.Alertmanager, func(_ Key, _ *http.Request, body []byte, now time.Time) ([]alerting.Outside, error) {
		return DecodeWebhook(body, now)
	}))
	mux.HandleFunc("POST /hooks/alertmanager/{key}/api/v2/alerts", s.serve(alert.Alertmanager, func(_ Key, _ *http.Request, body []byte, now time.Time) ([]alerting.Outside, error) {
		return DecodeV2(body, now)
	}))
	mux.HandleFunc("POST /hooks/sentry/{key}", s.serve(alert.Sentry, sentry))
	return mux
}

// decode reads the alerts of a body.
type decode func(k Key, r *http.Request, body []byte, now time.Time) ([]alerting.Outside, error)

// serve is a handler that takes the alerts of one system.
func (s *server) serve(system string, read decode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		status, err := s.take(w, r, system, read)
		s.calls.WithLabelValues(system, fmt.Sprint(status)).Inc()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		answer := map[string]string{}
		if err != nil {
			answer["error"] = err.Error()
			s.Logger.WarnContext(r.Context(), "alerts from outside", "system", system, "status", status, "err", err)
		}
		_ = json.NewEncoder(w).Encode(answer) // the client has gone
	}
}

// take carries a call out and says what to answer.
func (s *server) take(w http.ResponseWriter, r *http.Request, system string, read decode) (status int, err error) {
	key, err := s.Key(r.Context(), r.PathValue("key"))
	switch {
	case errors.Is(err, ErrUnknownKey):
		return http.StatusUnauthorized, ErrUnknownKey
	case err != nil:
		s.Logger.ErrorContext(r.Context(), "look up the key of a hook", "err", err)
		return http.StatusServiceUnavailable, errors.New("the key cannot be looked up now: send it again")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes: send fewer alerts at a time", MaxBody)
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("%w: it ended early", ErrInvalid)
	}
	said, err := read(key, r, body, s.Now())
	switch {
	case errors.Is(err, errSignature):
		return http.StatusUnauthorized, err
	case err != nil:
		return http.StatusBadRequest, err
	case len(said) > MaxAlerts:
		return http.StatusRequestEntityTooLarge, fmt.Errorf("%d alerts in one call, at most %d", len(said), MaxAlerts)
	}
	from := alerting.From{System: system, Project: key.Project}
	for _, address := range key.Notify {
		from.Notify = append(from.Notify, alert.Channel{Name: address, Address: address})
	}
	if err := s.Hear(r.Context(), from, said); err != nil {
		return http.StatusServiceUnavailable, err
	}
	return http.StatusOK, nil
}
