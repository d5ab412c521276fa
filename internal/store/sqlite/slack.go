package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"serin/internal/store"
)

// SlackThread implements store.Slack.
func (s *Store) SlackThread(ctx context.Context, address, thread string) (out store.SlackThread, err error) {
	found := false
	err = s.rows(ctx, "read a thread of Slack", func(r *sql.Rows) error {
		var body []byte
		if err := r.Scan(&body); err != nil {
			return err
		}
		found = true
		return decode("thread of Slack", body, &out)
	}, "SELECT body FROM slack_thread WHERE address = ? AND thread = ?", address, thread)
	if err == nil && !found {
		err = fmt.Errorf("thread %s of %s: %w", thread, address, store.ErrNotFound)
	}
	return out, err
}

// PutSlackThread implements store.Slack.
func (s *Store) PutSlackThread(ctx context.Context, t store.SlackThread) error {
	return s.write(ctx, "put a thread of Slack", func(ctx context.Context, tx *sql.Tx) error {
		t.At = t.At.UTC()
		body, err := json.Marshal(t)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "REPLACE INTO slack_thread (address, thread, at, body) VALUES (?, ?, ?, ?)", t.Address, t.Thread, nanos(t.At), string(body))
		return err
	})
}

// slackLinks runs a query for the columns of SlackLink.
func (s *Store) slackLinks(ctx context.Context, rest string, args ...any) (out []store.SlackLink, err error) {
	err = s.rows(ctx, "read links of Slack", func(r *sql.Rows) error {
		var (
			l  store.SlackLink
			at int64
		)
		if err := r.Scan(&l.Team, &l.User, &l.Person, &l.How, &at); err != nil {
			return err
		}
		l.At = instant(at)
		out = append(out, l)
		return nil
	}, "SELECT team, user, person, how, at FROM slack_link "+rest, args...)
	return out, err
}

// SlackLink implements store.Slack.
func (s *Store) SlackLink(ctx context.Context, team, user string) (store.SlackLink, error) {
	found, err := s.slackLinks(ctx, "WHERE team = ? AND user = ?", team, user)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("user %s of Slack: %w", user, store.ErrNotFound)
	}
	if err != nil {
		return store.SlackLink{}, err
	}
	return found[0], nil
}

// SlackLinks implements store.Slack.
func (s *Store) SlackLinks(ctx context.Context, person string) ([]store.SlackLink, error) {
	if person == "" {
		return s.slackLinks(ctx, "ORDER BY at, team, user")
	}
	return s.slackLinks(ctx, "WHERE person = ? ORDER BY at, team, user", person)
}

// PutSlackLink implements store.Slack.
func (s *Store) PutSlackLink(ctx context.Context, l store.SlackLink, a store.AuditEntry) error {
	return s.write(ctx, "put a link of Slack", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "REPLACE INTO slack_link (team, user, person, how, at) VALUES (?, ?, ?, ?, ?)", l.Team, l.User, l.Person, l.How, nanos(l.At)); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}

// DeleteSlackLink implements store.Slack.
func (s *Store) DeleteSlackLink(ctx context.Context, team, user string, a store.AuditEntry) error {
	return s.write(ctx, "delete a link of Slack", func(ctx context.Context, tx *sql.Tx) error {
		if err := deleteOne(ctx, tx, "DELETE FROM slack_link WHERE team = ? AND user = ?", team, user); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}
