package memory

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"serin/internal/store"
)

func clonePerson(p store.Person) store.Person {
	p.Handles, p.Projects = slices.Clone(p.Handles), slices.Clone(p.Projects)
	p.CreatedAt = utc(p.CreatedAt)
	return p
}

// PutPerson implements store.People.
func (s *Store) PutPerson(ctx context.Context, p store.Person, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		for _, o := range s.persons {
			if p.Subject != "" && o.Subject == p.Subject && o.Name != p.Name {
				return fmt.Errorf("%w: person %s has the subject of %s", store.ErrConflict, p.Name, o.Name)
			}
		}
		s.persons[p.Name] = clonePerson(p)
		s.putAudit(a)
		return nil
	})
}

// Person implements store.People.
func (s *Store) Person(ctx context.Context, name string) (out store.Person, err error) {
	err = s.read(ctx, func() error {
		p, ok := s.persons[name]
		if !ok {
			return fmt.Errorf("person %s: %w", name, store.ErrNotFound)
		}
		out = clonePerson(p)
		return nil
	})
	return out, err
}

// People implements store.People.
func (s *Store) People(ctx context.Context) (out []store.Person, err error) {
	err = s.read(ctx, func() error {
		for _, p := range s.persons {
			out = append(out, clonePerson(p))
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.Person) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// DeletePerson implements store.People.
func (s *Store) DeletePerson(ctx context.Context, name string, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		if _, ok := s.persons[name]; !ok {
			return fmt.Errorf("person %s: %w", name, store.ErrNotFound)
		}
		delete(s.persons, name)
		maps.DeleteFunc(s.sessions, func(_ string, v store.Session) bool { return v.Person == name })
		maps.DeleteFunc(s.slack.links, func(_ [2]string, l store.SlackLink) bool { return l.Person == name })
		s.putAudit(a)
		return nil
	})
}

// Sessions implements store.People.
func (s *Store) Sessions(ctx context.Context, person string) (out []store.Session, err error) {
	err = s.read(ctx, func() error {
		for _, v := range s.sessions {
			if person == "" || v.Person == person {
				v.Scopes = slices.Clone(v.Scopes)
				out = append(out, v)
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, err
}
