package intake

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"serin/internal/telemetry"
)

// retryAfter is how long a client shall hold back what was refused; INTAKE
// rules allow at most 60 s.
const retryAfter = 30 * time.Second

// limitable are the rate-limit categories that may be refused under overload,
// dearest first. Sessions, feedback, client reports and check-ins are never
// limited: they are small, and the ones a rollout cannot do without.
// Source of the names: sentry-docs develop-docs/sdk/foundations rate-limiting.
var limitable = []string{"log_item", "span", "trace_metric", "transaction", "error"}

// category is an event's rate-limit category; "" = never limited.
func category(k telemetry.Kind) string {
	switch k {
	case telemetry.KindSpan, telemetry.KindVital:
		return "span"
	case telemetry.KindPage, telemetry.KindRequest:
		return "transaction"
	case telemetry.KindError:
		return "error"
	case telemetry.KindMetric:
		return "trace_metric"
	default:
		return ""
	}
}

// accept makes the events durable. A Sink that is overloaded refuses all it
// is offered; the door then offers less, leaving out the dearest category
// still there, until the rest is taken. So a 429 names exactly what was
// refused, and everything else of the request is durable.
func (d *door) accept(ctx context.Context, res Result) answer {
	events := res.Events
	var refused []string
	for {
		if len(events) == 0 {
			break
		}
		err := d.sink.Accept(ctx, events)
		if err == nil {
			d.metrics.accepted(events)
			break
		}
		if !errors.Is(err, ErrOverload) {
			return failed(ctx, err)
		}
		dearest := d.dearest(events)
		if dearest == "" { // only what is never limited is left, and even that is not taken
			return unavailable(err)
		}
		refused = append(refused, dearest)
		events = d.without(events, dearest)
	}
	if len(refused) > 0 {
		return overloaded(reasonOverload, refused)
	}
	return answer{status: http.StatusOK, id: res.ID, body: res.Answer, contentType: res.AnswerType}
}

func (d *door) dearest(events []telemetry.Event) string {
	for _, c := range limitable {
		if slices.ContainsFunc(events, func(e telemetry.Event) bool { return category(e.Kind) == c }) {
			return c
		}
	}
	return ""
}

// without copies, as a Sink may still hold the slice it refused.
func (d *door) without(events []telemetry.Event, c string) []telemetry.Event {
	rest := make([]telemetry.Event, 0, len(events))
	for _, e := range events {
		if category(e.Kind) == c {
			d.metrics.items.WithLabelValues(e.Kind.String(), outcomeRefused).Inc()
			continue
		}
		rest = append(rest, e)
	}
	return rest
}

func failed(ctx context.Context, err error) answer {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return answer{status: statusClientGone, reason: "client_gone"}
	}
	return unavailable(err)
}
