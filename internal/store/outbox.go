package store

import (
	"context"
	"time"

	"serin/internal/notify"
)

// Outbox holds notices until they are delivered.
type Outbox interface {
	// Due returns undelivered notices that may be tried at now, oldest first,
	// of each address at most limit (0 = all), so that a channel with many
	// keeps nothing of another back.
	Due(ctx context.Context, now time.Time, limit int) ([]Outgoing, error)
	// Delivered marks a notice as accepted by its service, and those named in
	// with as told by the same message, all or none. One that was delivered
	// stays as it is; ErrNotFound where id is not there.
	Delivered(ctx context.Context, id string, at time.Time, with ...string) error
	// Failed notes a failed try; a zero next means it is dead.
	Failed(ctx context.Context, id string, why string, next time.Time) error
	// Notices lists notices, newest first, at most limit; rollout "" = all.
	Notices(ctx context.Context, rollout string, limit int) ([]Outgoing, error)
	// NoticesIn lists notices of one address ("" = any) in one state, newest
	// first, at most limit (0 = all).
	NoticesIn(ctx context.Context, state DeliveryState, address string, limit int) ([]Outgoing, error)
	// Retry takes dead notices up again: they are tried from at on as if they
	// were new. It returns how many of ids were dead.
	Retry(ctx context.Context, ids []string, at time.Time, a AuditEntry) (int, error)
	// Channels sums the outbox up by address, in the order of addresses.
	Channels(ctx context.Context) ([]ChannelSum, error)
}

// DeliveryState is what became of a notice so far.
type DeliveryState string

// The states of a delivery; AnyState is all of them.
const (
	AnyState     DeliveryState = ""
	StateWaiting DeliveryState = "waiting"
	StateTold    DeliveryState = "delivered"
	StateDead    DeliveryState = "dead"
)

// Outgoing is a notice with the state of its delivery.
type Outgoing struct {
	notify.Notice
	Tries     int       `json:"tries"`
	Next      time.Time `json:"next,omitzero"`
	Delivered time.Time `json:"delivered,omitzero"`
	Dead      bool      `json:"dead,omitempty"`
	Error     string    `json:"error,omitempty"`
	// With is the notice whose message told of this one too; "" = its own did.
	With string `json:"with,omitempty"`
	// Retried is when a person took it up again after it was dead; zero = never.
	Retried time.Time `json:"retried,omitzero"`
}

// State is what became of the notice so far.
func (o Outgoing) State() DeliveryState {
	switch {
	case !o.Delivered.IsZero():
		return StateTold
	case o.Dead:
		return StateDead
	}
	return StateWaiting
}

// ChannelSum is the outbox of one address in numbers.
type ChannelSum struct {
	Address string
	Waiting int64
	Dead    int64
	Oldest  time.Time // notice that waits; zero = none does
	Told    time.Time // last delivery; zero = never
	// Error is of the newest notice that is dead or was tried in vain; "" = none.
	Error string
}
