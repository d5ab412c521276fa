package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"serin/internal/store"
)

// cloneFlag copies f; its key is not part of the JSON form.
func cloneFlag(f store.FlagRecord) (store.FlagRecord, error) {
	key := f.Definition.Key
	out, err := clone(f)
	if err != nil {
		return out, fmt.Errorf("flag %s: %w", key, err)
	}
	out.Definition.Key = key
	out.UpdatedAt = utc(f.UpdatedAt)
	return out, nil
}

func cloneFlags(list []store.FlagRecord) ([]store.FlagRecord, error) {
	out := make([]store.FlagRecord, 0, len(list))
	for _, f := range list {
		c, err := cloneFlag(f)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// putFlag writes f, which belongs to the store from now on, at the next revision.
func (s *Store) putFlag(f store.FlagRecord) int64 {
	s.revision++
	f.Revision = s.revision
	key := f.Definition.Key
	s.flags[key] = f
	s.history[key] = append(s.history[key], f)
	return f.Revision
}

// Flags implements store.Flags.
func (s *Store) Flags(ctx context.Context) (out []store.FlagRecord, revision int64, err error) {
	err = s.read(ctx, func() error {
		revision = s.revision
		var list []store.FlagRecord
		for _, key := range slices.Sorted(maps.Keys(s.flags)) {
			list = append(list, s.flags[key])
		}
		out, err = cloneFlags(list)
		return err
	})
	return out, revision, err
}

// PutFlag implements store.Flags.
func (s *Store) PutFlag(ctx context.Context, f store.FlagRecord, expect int64, a store.AuditEntry) (revision int64, err error) {
	f, err = cloneFlag(f)
	if err != nil {
		return 0, err
	}
	err = s.write(ctx, func() error {
		old := s.flags[f.Definition.Key]
		if expect >= 0 && old.Revision != expect {
			return fmt.Errorf("%w: flag %s is at revision %d, expected %d", store.ErrConflict, f.Definition.Key, old.Revision, expect)
		}
		if f.Owner != "" && f.Owner == old.Owner {
			if err := f.Supersedes(old, f.Owner, false); err != nil {
				return err
			}
		}
		revision = s.putFlag(f)
		s.putAudit(a)
		return nil
	})
	return revision, err
}

// DeleteFlag implements store.Flags.
func (s *Store) DeleteFlag(ctx context.Context, key string, a store.AuditEntry) (revision int64, err error) {
	err = s.write(ctx, func() error {
		if _, ok := s.flags[key]; !ok {
			return fmt.Errorf("flag %s: %w", key, store.ErrNotFound)
		}
		delete(s.flags, key)
		s.revision++
		revision = s.revision
		s.putAudit(a)
		return nil
	})
	return revision, err
}

// FlagHistory implements store.Flags.
func (s *Store) FlagHistory(ctx context.Context, key string, limit int) (out []store.FlagRecord, err error) {
	err = s.read(ctx, func() error {
		all := func(store.FlagRecord) bool { return true }
		out, err = cloneFlags(newest(s.history[key], limit, all))
		return err
	})
	return out, err
}

// PutPlan implements store.Plans.
func (s *Store) PutPlan(ctx context.Context, project, name string, source []byte, at time.Time, a store.AuditEntry) (number int, err error) {
	err = s.write(ctx, func() error {
		hash := store.SourceHash(source)
		versions := s.plans[name]
		for _, v := range versions {
			if v.Project != project {
				return fmt.Errorf("%w: plan %s is of project %s", store.ErrConflict, name, v.Project)
			}
		}
		if versions == nil {
			versions = map[string]store.PlanVersion{}
			s.plans[name] = versions
		}
		v, known := versions[hash]
		if !known {
			v = store.PlanVersion{Project: project, Name: name, Hash: hash, Number: len(versions) + 1, At: utc(at)}
			versions[hash] = v
			s.sources[hash] = bytes.Clone(source)
		}
		number = v.Number
		if s.latest[name] != hash {
			s.latest[name] = hash
			s.putAudit(a)
		}
		return nil
	})
	return number, err
}

// PlanSource implements store.Plans.
func (s *Store) PlanSource(ctx context.Context, hash string) (out []byte, err error) {
	err = s.read(ctx, func() error {
		source, ok := s.sources[hash]
		if !ok {
			return fmt.Errorf("plan source %s: %w", hash, store.ErrNotFound)
		}
		out = bytes.Clone(source)
		return nil
	})
	return out, err
}

// PlanNames implements store.Plans.
func (s *Store) PlanNames(ctx context.Context) (out []store.PlanVersion, err error) {
	err = s.read(ctx, func() error {
		for _, name := range slices.Sorted(maps.Keys(s.latest)) {
			out = append(out, s.plans[name][s.latest[name]])
		}
		return nil
	})
	return out, err
}

// PlanVersions implements store.Plans.
func (s *Store) PlanVersions(ctx context.Context, name string) (out []store.PlanVersion, err error) {
	err = s.read(ctx, func() error {
		out = slices.SortedFunc(maps.Values(s.plans[name]), func(a, b store.PlanVersion) int { return b.Number - a.Number })
		return nil
	})
	return out, err
}
