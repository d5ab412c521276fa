package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"serin/internal/flag"
	"serin/internal/store"
)

// Forget implements store.Forgets.
func (s *Store) Forget(ctx context.Context, f store.Forget) (out store.Forgotten, err error) {
	issues, err := cloneAll(f.Issues)
	if err != nil {
		return out, err
	}
	err = s.write(ctx, func() error {
		if err := s.mayPutIssues(issues); err != nil {
			return err
		}
		out = s.forget(f)
		out.Issues = int64(len(issues))
		for _, i := range issues {
			s.issues[i.ID] = i
		}
		for _, u := range f.Rows {
			s.users[userKey{u.Rollout, u.Metric, u.User}] = bytes.Clone(u.Data)
		}
		a := f.Audit
		after, err := json.Marshal(out)
		if err != nil {
			return fmt.Errorf("forget a user: %w", err)
		}
		a.After = after
		s.putAudit(a)
		return nil
	})
	return out, err
}

// forget removes the user's own rows. The caller holds the lock.
func (s *Store) forget(f store.Forget) (out store.Forgotten) {
	before := len(s.samples)
	s.samples = slices.DeleteFunc(s.samples, func(sm store.Sample) bool { return f.Concerns(sm.Event) })
	out.Samples = int64(before - len(s.samples))
	for k := range s.users {
		if slices.Contains(f.Users, k.user) && s.rowOf(k.rollout, f.Project) {
			delete(s.users, k)
			out.UserRows++
		}
	}
	for _, id := range f.Pending {
		if _, ok := s.pending[id]; ok {
			delete(s.pending, id)
			out.PageLoads++
		}
	}
	return out
}

// rowOf reports whether rows of rollout are the project's; those of a rollout
// that is not known are everybody's.
func (s *Store) rowOf(rollout, project string) bool {
	if store.SharedRow(rollout) {
		return false
	}
	j := s.rollouts[rollout]
	return j == nil || flag.ProjectOf(j.state.Project) == flag.ProjectOf(project)
}
