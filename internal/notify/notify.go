// Package notify is the port through which serin tells people: one Notifier a
// foreign service, a Notice with a key so that it is told once.
package notify

import (
	"context"
	"errors"
	"time"
)

// Notice is one message about one transition for one channel.
type Notice struct {
	ID      string    `json:"id"`      // rollout/pos/channel: the receiver's deduplication key
	Channel string    `json:"channel"` // the plan's channel name
	Address string    `json:"address"` // as in the plan: "slack:#team", "webhook:name", "dashboard"
	Rollout string    `json:"rollout"`
	Flag    string    `json:"flag,omitempty"` // key; of notices to a deploy hook
	For     []string  `json:"for,omitempty"`  // who is meant, role and person: "lead (@ann)"; empty = everybody there
	Type    string    `json:"type"`           // journal event type: "rolled_back"
	Title   string    `json:"title"`          // one line
	Text    string    `json:"text"`           // plain text, a few lines
	Rule    string    `json:"rule,omitempty"`
	Value   string    `json:"value,omitempty"` // with unit
	Limit   string    `json:"limit,omitempty"`
	Link    string    `json:"link,omitempty"`
	At      time.Time `json:"at"`

	// Thread is what belongs together, such as everything about one incident:
	// the id of its first notice; "" = the notice stands alone.
	Thread string `json:"thread,omitempty"`
	// Severity is p1 (gravest) to p4; "" = not graded.
	Severity string `json:"severity,omitempty"`

	// Severe asks for a channel of its own where the service has such (Slack):
	// the thread's notices then go there too. It has no effect without Thread,
	// and once a channel was made for the thread it stays.
	Severe bool `json:"severe,omitempty"`
	// Room is what that channel is called, such as "inc-42-admin-workbench";
	// "" = made of Thread. Topic is its topic: severity, rollout, when a
	// decision is due; the adapter cuts it.
	Room  string `json:"room,omitempty"`
	Topic string `json:"topic,omitempty"`
	// Invite are who is asked into it: names or handles of people, with or
	// without the "@".
	Invite []string `json:"invite,omitempty"`
	// Actions are what a reader may do about it by a button, where the service
	// has such; the first is the most likely.
	Actions []Action `json:"actions,omitempty"`
}

// A Notifier delivers notices to one service. Deliver is called by one
// goroutine at a time per channel; it must respect ctx.
type Notifier interface {
	// Deliver sends n once. A nil error means the service accepted it. An
	// error for which Temporary is true may be tried again later.
	Deliver(ctx context.Context, n Notice) error
}

// RetryError is an error that may go away: try again, not before After.
type RetryError struct {
	Err   error
	After time.Duration // the service's own word (Retry-After); 0 = not told
}

func (e *RetryError) Error() string { return e.Err.Error() }
func (e *RetryError) Unwrap() error { return e.Err }

// Temporary reports whether err may go away, and how long the service asked to wait.
func Temporary(err error) (after time.Duration, ok bool) {
	var r *RetryError
	if errors.As(err, &r) {
		return r.After, true
	}
	return 0, false
}
