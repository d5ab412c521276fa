package store

import (
	"context"
	"time"
)

// Retention forgets what is old. Adapters whose data lives long implement it;
// the server calls it now and then.
type Retention interface {
	// Prune removes, as of before: error samples and event hashes that came
	// earlier, cells, user rows and inputs of decisions of rollouts that were
	// over by then, settled notices and expired sessions. Journals, flags, plans, issues and
	// audit entries stay. It works in small transactions, so that telemetry
	// is taken in meanwhile.
	Prune(ctx context.Context, before time.Time) (Pruned, error)
	// PruneSeen removes only the event hashes seen before the given time;
	// they are needed for the deduplication window, about an hour.
	PruneSeen(ctx context.Context, before time.Time) (int64, error)
}

// Pruned counts the rows that Prune removed. Seen counts stored groups of
// hashes, not single hashes.
type Pruned struct {
	Cells, Users, Inputs, Samples, Seen, Notices, Sessions int64
}
