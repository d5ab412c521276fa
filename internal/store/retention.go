package store

import (
	"context"
	"time"
)

// Retention forgets what is old and bounds what is kept. Adapters whose data
// lives long implement it; the server calls it now and then. Journals,
// states, flags, plans, issues, people and keys are never removed by it, and
// of a rollout that is not over nothing is. It works in small transactions,
// so that telemetry is taken in meanwhile.
type Retention interface {
	// Prune removes what each class of c names.
	Prune(ctx context.Context, c Cutoffs) (Pruned, error)
	// ShedSamples removes the samples that came first, at most limit.
	ShedSamples(ctx context.Context, limit int) (int64, error)
	// ShedEvidence removes cells and user rows of the rollout that was over
	// first and still has any, about limit of them, and names it. With
	// nothing left to remove it answers "" and 0.
	ShedEvidence(ctx context.Context, limit int) (rollout string, rows int64, err error)
	// Size measures the store.
	Size(ctx context.Context) (Size, error)
}

// Cutoffs are times before which data goes, by class; a zero time keeps the
// class whole.
type Cutoffs struct {
	Evidence time.Time // cells and user rows of rollouts that were over by then
	Inputs   time.Time // inputs of decisions of rollouts that were over by then
	Samples  time.Time // error samples that came earlier
	Outbox   time.Time // notices that were delivered or given up, the history of alerts, pages that are over, threads of Slack that rest
	Audit    time.Time // entries of the audit log
	Sessions time.Time // sessions that had expired by then
	Seen     time.Time // hashes of events seen last before; they are needed for about an hour
}

// Pruned counts the rows that Prune removed. Seen counts stored groups of
// hashes, not single hashes.
type Pruned struct {
	Cells, Users, Inputs, Samples, Seen, Notices, Alerts, Pages, Threads, Audit, Sessions int64
}

// Size is how much room a store takes, in bytes.
type Size struct {
	Used int64 // pages that hold something
	Free int64 // pages of the file that are used again before it grows
	Log  int64 // write-ahead log beside the file
}
