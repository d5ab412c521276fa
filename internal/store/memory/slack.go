package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"serin/internal/store"
)

// slackTies are threads and links, by their keys.
type slackTies struct {
	threads map[[2]string]store.SlackThread
	links   map[[2]string]store.SlackLink
}

// SlackThread implements store.Slack.
func (s *Store) SlackThread(ctx context.Context, address, thread string) (out store.SlackThread, err error) {
	err = s.read(ctx, func() error {
		t, known := s.slack.threads[[2]string{address, thread}]
		if !known {
			return fmt.Errorf("thread %s of %s: %w", thread, address, store.ErrNotFound)
		}
		out = t
		return nil
	})
	return out, err
}

// PutSlackThread implements store.Slack.
func (s *Store) PutSlackThread(ctx context.Context, t store.SlackThread) error {
	return s.write(ctx, func() error {
		if s.slack.threads == nil {
			s.slack.threads = map[[2]string]store.SlackThread{}
		}
		t.At = utc(t.At)
		s.slack.threads[[2]string{t.Address, t.Thread}] = t
		return nil
	})
}

// SlackLink implements store.Slack.
func (s *Store) SlackLink(ctx context.Context, team, user string) (out store.SlackLink, err error) {
	err = s.read(ctx, func() error {
		l, known := s.slack.links[[2]string{team, user}]
		if !known {
			return fmt.Errorf("user %s of Slack: %w", user, store.ErrNotFound)
		}
		out = l
		return nil
	})
	return out, err
}

// SlackLinks implements store.Slack.
func (s *Store) SlackLinks(ctx context.Context, person string) (out []store.SlackLink, err error) {
	err = s.read(ctx, func() error {
		for _, l := range s.slack.links {
			if person == "" || l.Person == person {
				out = append(out, l)
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.SlackLink) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Team, b.Team), cmp.Compare(a.User, b.User))
	})
	return out, err
}

// PutSlackLink implements store.Slack.
func (s *Store) PutSlackLink(ctx context.Context, l store.SlackLink, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		if s.slack.links == nil {
			s.slack.links = map[[2]string]store.SlackLink{}
		}
		l.At = utc(l.At)
		s.slack.links[[2]string{l.Team, l.User}] = l
		s.putAudit(a)
		return nil
	})
}

// DeleteSlackLink implements store.Slack.
func (s *Store) DeleteSlackLink(ctx context.Context, team, user string, a store.AuditEntry) error {
	return s.write(ctx, func() error {
		key := [2]string{team, user}
		if _, known := s.slack.links[key]; !known {
			return fmt.Errorf("user %s of Slack: %w", user, store.ErrNotFound)
		}
		delete(s.slack.links, key)
		s.putAudit(a)
		return nil
	})
}
