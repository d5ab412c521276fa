package memory

import (
	"context"
	"fmt"
	"slices"

	"serin/internal/store"
)

func cloneToken(t store.Token) store.Token {
	t.Scopes, t.Origins, t.Projects = slices.Clone(t.Scopes), slices.Clone(t.Origins), slices.Clone(t.Projects)
	t.Notify = slices.Clone(t.Notify)
	t.CreatedAt, t.ExpiresAt, t.LastUsed = utc(t.CreatedAt), utc(t.ExpiresAt), utc(t.LastUsed)
	return t
}

// PutToken implements store.Access.
func (s *Store) PutToken(ctx context.Context, t store.Token, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		for _, o := range s.tokens {
			if o.Hash == t.Hash && o.ID != t.ID {
				return fmt.Errorf("%w: token %s has the secret of token %s", store.ErrConflict, t.ID, o.ID)
			}
		}
		if _, known := s.tokens[t.ID]; !known {
			s.tokenIDs = append(s.tokenIDs, t.ID)
		}
		used := s.tokens[t.ID].LastUsed
		t = cloneToken(t)
		t.LastUsed = used
		s.tokens[t.ID] = t
		s.putAudit(a)
		return nil
	})
}

// TokenByHash implements store.Access.
func (s *Store) TokenByHash(ctx context.Context, hash string) (out store.Token, err error) {
	err = s.read(ctx, func() error {
		for _, t := range s.tokens {
			if t.Hash == hash {
				out = cloneToken(t)
				return nil
			}
		}
		return fmt.Errorf("token: %w", store.ErrNotFound)
	})
	return out, err
}

// Tokens implements store.Access.
func (s *Store) Tokens(ctx context.Context) (out []store.Token, err error) {
	err = s.read(ctx, func() error {
		for _, id := range s.tokenIDs {
			out = append(out, cloneToken(s.tokens[id]))
		}
		return nil
	})
	return out, err
}

// DeleteToken implements store.Access.
func (s *Store) DeleteToken(ctx context.Context, id string, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		if _, ok := s.tokens[id]; !ok {
			return fmt.Errorf("token %s: %w", id, store.ErrNotFound)
		}
		delete(s.tokens, id)
		s.tokenIDs = slices.DeleteFunc(s.tokenIDs, func(o string) bool { return o == id })
		s.putAudit(a)
		return nil
	})
}

// PutSession implements store.Access.
func (s *Store) PutSession(ctx context.Context, v store.Session) error {
	return s.write(ctx, func() error {
		v.Scopes = slices.Clone(v.Scopes)
		v.CreatedAt, v.ExpiresAt = utc(v.CreatedAt), utc(v.ExpiresAt)
		s.sessions[v.Hash] = v
		return nil
	})
}

// SessionByHash implements store.Access.
func (s *Store) SessionByHash(ctx context.Context, hash string) (out store.Session, err error) {
	err = s.read(ctx, func() error {
		v, ok := s.sessions[hash]
		if !ok {
			return fmt.Errorf("session: %w", store.ErrNotFound)
		}
		v.Scopes = slices.Clone(v.Scopes)
		out = v
		return nil
	})
	return out, err
}

// DeleteSession implements store.Access; a session that is gone already is fine.
func (s *Store) DeleteSession(ctx context.Context, hash string) error {
	return s.write(ctx, func() error { delete(s.sessions, hash); return nil })
}

// Setting implements store.Access.
func (s *Store) Setting(ctx context.Context, key string) (out string, err error) {
	err = s.read(ctx, func() error {
		v, ok := s.settings[key]
		if !ok {
			return fmt.Errorf("setting %s: %w", key, store.ErrNotFound)
		}
		out = v
		return nil
	})
	return out, err
}

// PutSetting implements store.Access.
func (s *Store) PutSetting(ctx context.Context, key, value string) error {
	return s.write(ctx, func() error { s.settings[key] = value; return nil })
}

// putAudit appends entries; one without a verb is none.
func (s *Store) putAudit(list ...store.AuditEntry) {
	for _, a := range list {
		if a.Verb == "" {
			continue
		}
		a.ID = int64(len(s.audit)) + 1
		a.At = utc(a.At)
		a.Before, a.After = slices.Clone(a.Before), slices.Clone(a.After)
		s.audit = append(s.audit, a)
	}
}

// PutAudit implements store.Audit.
func (s *Store) PutAudit(ctx context.Context, a store.AuditEntry) error {
	return s.write(ctx, func() error { s.putAudit(a); return nil })
}

// AuditEntries implements store.Audit.
func (s *Store) AuditEntries(ctx context.Context, target string, limit int) (out []store.AuditEntry, err error) {
	err = s.read(ctx, func() error {
		out = newest(s.audit, limit, func(a store.AuditEntry) bool { return target == "" || a.Target == target })
		for i := range out {
			out[i].Before, out[i].After = slices.Clone(out[i].Before), slices.Clone(out[i].After)
		}
		return nil
	})
	return out, err
}
