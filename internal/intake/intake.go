// Package intake is the HTTP door for telemetry: it checks key, size and
// encoding, hands the body to the Decoder of its protocol, and answers only
// after the events are durable.
//
// New makes the http.Handler; it serves POST and OPTIONS of
// PREFIX/api/{project}/{endpoint}[/] for each endpoint that has a Decoder,
// whatever PREFIX is: Sentry's DSNs may carry a path (Match tells such paths
// for the server's mux), and of OTLP's paths (otlp.go). One request goes through these steps, each in its
// own file:
//
//	auth.go      the key, from every place clients put it; all must agree
//	encoding.go  the body: gzip, deflate, br, zstd, within limits
//	Decoder      the protocol: package sentry, package beacon, package otlp
//	large.go     large envelopes of a project that is forwarded, as they come
//	accept.go    Sink.Accept, and what is refused under overload
//	answer.go    status, JSON, CORS and rate-limit headers
//
// What it promises: 200 is answered only after Sink.Accept returned nil; every
// refusal is counted in serin_intake_rejected_total{reason} and says in
// "detail" and X-Sentry-Error what to do; no request costs more memory than
// Limits allow, compressed or not. It stores nothing.
//
// Sources: getsentry/sentry-docs develop-docs/sdk (transport, data model, rate
// limiting), getsentry/relay relay-server endpoints and middlewares/cors.rs.
package intake

import (
	"context"
	"errors"
	"net/http"
	"time"

	"serin/internal/telemetry"
)

// A Decoder turns one request body of a protocol into events. It keeps no
// state and may be used by many goroutines at the same time.
type Decoder interface {
	Decode(r Request) (Result, error)
}

// Request is a body after decompression, with what the door knows about it.
type Request struct {
	Project  string
	Endpoint string // "envelope", "store", "security", "beacon", EndpointTraces ...
	Body     []byte // owned by the door; valid until Decode returns
	Header   http.Header
	Query    map[string][]string
	Received time.Time
	// Age is how long ago a client's stamp was, in client time (clock.Clock.Age).
	Age         func(time.Time) time.Duration
	Publishable bool // the key is one that pages carry
}

// Result is what a Decoder found. Events are owned by the caller.
type Result struct {
	ID      string // answer's id, "" = none
	Events  []telemetry.Event
	Skipped map[string]int // item type -> number skipped, for counting
	Invalid map[string]int // reason -> number: field_invalid, too_large ...
	Answer  []byte         // protocol's own answer; nil = the default {"id": ...}
	// AnswerType is the Content-Type of Answer; "" = application/json.
	AnswerType string
}

// A Sink makes events durable. Accept returns after the commit; its error is
// ErrOverload, ErrUnavailable or a cancelled context.
type Sink interface {
	Accept(ctx context.Context, events []telemetry.Event) error
}

// What a Sink and a KeyChecker answer. They are matched with errors.Is.
var (
	// ErrOverload: the events, all of them, were refused for now.
	ErrOverload = errors.New("intake: overloaded")
	// ErrUnavailable: nothing can be made durable: shutting down, disk full.
	ErrUnavailable = errors.New("intake: unavailable")
	// ErrUnknownKey: no such key for this project.
	ErrUnknownKey = errors.New("intake: unknown key")
	// ErrForbiddenOrigin: the key is not for pages of this origin.
	ErrForbiddenOrigin = errors.New("intake: origin not allowed")
)

// Key is what the door must know about an ingest key.
type Key struct {
	ID          string
	Project     string // whose telemetry it writes
	Environment string // overrides the events' field; "" = bound to none
	Publishable bool   // carried by pages, so anyone may have it
	// Origins is true when the key lists allowed origins. Only then is CORS
	// granted to the request's origin alone.
	Origins bool
}

// A KeyChecker knows the ingest keys. IngestKey's project is the path's, ""
// where the key names it; origin is the request's Origin header, "" if it has none. Its errors are ErrUnknownKey,
// ErrForbiddenOrigin, ErrOverload (a key's rate limit) or ErrUnavailable.
// It may be called by many goroutines at the same time.
type KeyChecker interface {
	IngestKey(ctx context.Context, key, project, origin string) (Key, error)
}
