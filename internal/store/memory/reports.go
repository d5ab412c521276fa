package memory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"serin/internal/store"
)

func cloneReport(r store.ReportRow) store.ReportRow {
	r.Data, r.Due = bytes.Clone(r.Data), utc(r.Due)
	var notes []json.RawMessage
	for _, n := range r.Notes {
		notes = append(notes, bytes.Clone(n))
	}
	r.Notes = notes
	return r
}

// CommitReport implements store.Reports.
func (s *Store) CommitReport(ctx context.Context, c store.ReportCommit) error {
	return s.write(ctx, func() error {
		if s.reports == nil {
			s.reports = map[string]store.ReportRow{}
		}
		if c.Put != nil {
			if _, there := s.reports[c.Put.ID]; there {
				return fmt.Errorf("%w: report %s is there", store.ErrConflict, c.Put.ID)
			}
		}
		if c.Note != nil {
			r, there := s.reports[c.Report]
			if !there {
				return fmt.Errorf("report %s: %w", c.Report, store.ErrNotFound)
			}
			r.Notes = append(r.Notes, bytes.Clone(c.Note))
			s.reports[c.Report] = r
		}
		if c.Put != nil {
			row := cloneReport(*c.Put)
			row.Notes = nil
			s.reports[row.ID] = row
		}
		s.putNotices(c.Notices)
		s.putAudit(c.Audit...)
		return nil
	})
}

// Report implements store.Reports.
func (s *Store) Report(ctx context.Context, id string) (out store.ReportRow, err error) {
	err = s.read(ctx, func() error {
		r, there := s.reports[id]
		if !there {
			return store.ErrNotFound
		}
		out = cloneReport(r)
		return nil
	})
	return out, err
}

// Reports implements store.Reports.
func (s *Store) Reports(ctx context.Context, q store.ReportQuery) (out []store.ReportRow, err error) {
	fits := func(want, have string) bool { return want == "" || want == have }
	err = s.read(ctx, func() error {
		for _, r := range s.reports {
			if fits(q.Rollout, r.Rollout) && fits(q.Name, r.Name) && fits(q.Kind, r.Kind) && fits(q.Day, r.Day) {
				out = append(out, cloneReport(r))
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.ReportRow) int { return cmp.Or(b.Due.Compare(a.Due), cmp.Compare(a.ID, b.ID)) })
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, err
}

// DropReports implements store.Reports.
func (s *Store) DropReports(ctx context.Context, kind string, before time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		for id, r := range s.reports {
			if r.Kind == kind && r.Due.Before(before) {
				delete(s.reports, id)
				n++
			}
		}
		return nil
	})
	return n, err
}
