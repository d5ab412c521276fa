package memory

import (
	"context"
	"slices"
	"time"

	"serin/internal/store"
)

// firstProjectName is what the project of a new store is called.
const firstProjectName = "Project 1"

// Projects implements store.Access.
func (s *Store) Projects(ctx context.Context) (out []store.Project, err error) {
	err = s.read(ctx, func() error { out = slices.Clone(s.projects); return nil })
	return out, err
}

// PutProject implements store.Access.
func (s *Store) PutProject(ctx context.Context, p store.Project, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		i := slices.IndexFunc(s.projects, func(o store.Project) bool { return o.ID == p.ID })
		if i >= 0 {
			s.projects[i].Name = p.Name
		} else {
			p.CreatedAt = utc(p.CreatedAt)
			s.projects = append(s.projects, p)
		}
		s.putAudit(a)
		return nil
	})
}

// TokenUsed implements store.Access.
func (s *Store) TokenUsed(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func() error {
		if t, ok := s.tokens[id]; ok {
			t.LastUsed = utc(at)
			s.tokens[id] = t
		}
		return nil
	})
}
