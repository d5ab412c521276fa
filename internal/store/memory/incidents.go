package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"serin/internal/store"
)

// incidents are the rows and what became of them.
type incidents struct {
	rows   map[string]store.IncidentRow
	events map[string][]json.RawMessage // by incident, oldest first
}

func cloneIncident(r store.IncidentRow) store.IncidentRow {
	r.State, r.At = bytes.Clone(r.State), utc(r.At)
	return r
}

// CommitIncident implements store.Incidents.
func (s *Store) CommitIncident(ctx context.Context, c store.IncidentCommit) error {
	return s.write(ctx, func() error {
		if s.incidents.rows == nil {
			s.incidents = incidents{map[string]store.IncidentRow{}, map[string][]json.RawMessage{}}
		}
		if at := s.incidents.rows[c.Row.ID].Pos; at != c.Expect {
			return fmt.Errorf("%w: incident %s is at position %d, expected %d", store.ErrConflict, c.Row.ID, at, c.Expect)
		}
		s.incidents.rows[c.Row.ID] = cloneIncident(c.Row)
		for _, e := range c.Events {
			s.incidents.events[c.Row.ID] = append(s.incidents.events[c.Row.ID], bytes.Clone(e))
		}
		s.putNotices(c.Notices)
		s.putAudit(c.Audit...)
		return nil
	})
}

// Incidents implements store.Incidents.
func (s *Store) Incidents(ctx context.Context) (out []store.IncidentRow, err error) {
	err = s.read(ctx, func() error {
		for _, r := range s.incidents.rows {
			out = append(out, cloneIncident(r))
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.IncidentRow) int { return cmp.Compare(a.Number, b.Number) })
	return out, err
}

// IncidentEvents implements store.Incidents.
func (s *Store) IncidentEvents(ctx context.Context, id string) (out []json.RawMessage, err error) {
	err = s.read(ctx, func() error {
		for _, e := range s.incidents.events[id] {
			out = append(out, bytes.Clone(e))
		}
		return nil
	})
	return out, err
}
