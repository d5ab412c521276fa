package server

import (
	"context"
	"path/filepath"
	"time"

	"serin/internal/store"
)

// How long what is no longer needed is kept.
const (
	keepSeen     = 2 * time.Hour        // event hashes; they count for an hour
	keepEvidence = 400 * 24 * time.Hour // cells of finished rollouts, samples
	pruneEvery   = time.Hour
)

// retain removes what is older than it is kept for, once an hour.
func (s *Server) retain(ctx context.Context) error {
	old, ok := s.store.(store.Retention)
	if !ok {
		return nil
	}
	for {
		due, stop := s.o.Clock.After(pruneEvery)
		select {
		case <-ctx.Done():
			stop()
			return nil
		case <-due:
		}
		now := s.o.Clock.Now()
		if _, err := old.PruneSeen(ctx, now.Add(-keepSeen)); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("prune event hashes", "err", err)
		}
		if _, err := old.Prune(ctx, now.Add(-keepEvidence)); err != nil && ctx.Err() == nil {
			s.o.Logger.Error("prune evidence", "err", err)
		}
		reserve(filepath.Join(s.o.Data, "reserve")).fill(s.o.Logger) // after it was used
	}
}
