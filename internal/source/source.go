// Package source is the port to measurements that serin fetches itself, in
// place of waiting for them: a Prometheus-compatible API, an HTTP probe, a
// JSON document. An adapter knows one kind of source and how to ask it; what
// is asked and when is the poller's (internal/poll), what an answer means is
// the evidence's.
//
// A Source promises: it answers every query, in their order, with a value or
// an error; it ends when its context does; nobody it asks can make it hold
// more than a bounded answer or follow redirects to other networks; no error
// holds a secret. sourcetest checks this for every adapter.
package source

import (
	"context"
	"errors"
	"time"
)

// ErrEmpty says that a source answered and had no value: a query without a
// series, a document without the member. The value is unknown, not zero.
var ErrEmpty = errors.New("the answer has no value")

// Query is one question.
type Query struct {
	// Text is PromQL, or a JSON pointer (RFC 6901); "" for a probe.
	Text string
	// LowIsWorse makes the lowest of several series the answer; else it is the highest.
	LowIsWorse bool
}

// Value is an answer. Its unit is the source's own: seconds, bytes, a ratio.
type Value struct {
	// Number is finite. Of a probe it is 1 for a good answer and 0 for a bad one.
	Number float64
	// Text is the value as written, where it is a word; of a bad probe, why.
	Text string
	// Series names which of several series the number is of, as {tenant="a"};
	// "" = there was one without labels.
	Series string
	// Count is how many series had a value; 0 = the source has none.
	Count int
	// Age is how old the value was when it was answered; 0 = new, or not told.
	Age time.Duration
}

// Answer is a Value or why there is none.
type Answer struct {
	Value Value
	Err   error // errors.Is ErrEmpty where the source works and has no value
}

// Source fetches values. Fetch may be called by many goroutines at the same
// time; it returns one answer for each query, in their order.
type Source interface {
	Fetch(ctx context.Context, queries []Query) []Answer
}
