package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"serin/internal/store"
)

// alerts are the rows and what became of them.
type alerts struct {
	rows    map[string]store.AlertRow
	entries map[string][]store.AlertEntry // by rule, oldest first
}

func cloneAlert(a store.AlertRow) store.AlertRow {
	a.Rule, a.State, a.At = bytes.Clone(a.Rule), bytes.Clone(a.State), utc(a.At)
	return a
}

// CommitAlerts implements store.Alerts.
func (s *Store) CommitAlerts(ctx context.Context, c store.AlertCommit) error {
	return s.write(ctx, func() error {
		if s.alerts.rows == nil {
			s.alerts = alerts{map[string]store.AlertRow{}, map[string][]store.AlertEntry{}}
		}
		for _, id := range c.Delete {
			delete(s.alerts.rows, id)
			delete(s.alerts.entries, id)
		}
		for _, a := range c.Put {
			s.alerts.rows[a.ID] = cloneAlert(a)
		}
		for _, e := range c.Entries {
			e.Data, e.At = bytes.Clone(e.Data), utc(e.At)
			s.alerts.entries[e.Alert] = append(s.alerts.entries[e.Alert], e)
		}
		s.putNotices(c.Notices)
		for _, a := range c.Audit {
			s.putAudit(a)
		}
		return nil
	})
}

// Alerts implements store.Alerts.
func (s *Store) Alerts(ctx context.Context) (out []store.AlertRow, err error) {
	err = s.read(ctx, func() error {
		for _, a := range s.alerts.rows {
			out = append(out, cloneAlert(a))
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.AlertRow) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// AlertHistory implements store.Alerts.
func (s *Store) AlertHistory(ctx context.Context, id string, limit int) (out []store.AlertEntry, err error) {
	err = s.read(ctx, func() error {
		for _, e := range slices.Backward(s.alerts.entries[id]) {
			if limit > 0 && len(out) == limit {
				break
			}
			e.Data = bytes.Clone(e.Data)
			out = append(out, e)
		}
		return nil
	})
	return out, err
}

// DropCounts implements store.Alerts.
func (s *Store) DropCounts(ctx context.Context, key string, before int64) (n int64, err error) {
	err = s.write(ctx, func() error {
		had := len(s.cells)
		maps.DeleteFunc(s.cells, func(k cellKey, _ []byte) bool { return k.rollout == key && k.minute < before })
		n = int64(had - len(s.cells))
		return nil
	})
	return n, err
}

// Notice implements store.Alerts.
func (s *Store) Notice(ctx context.Context, id string) (out store.Outgoing, err error) {
	err = s.read(ctx, func() error {
		o, known := s.byID[id]
		if !known {
			return fmt.Errorf("notice %s: %w", id, store.ErrNotFound)
		}
		out = *o
		return nil
	})
	return out, err
}
