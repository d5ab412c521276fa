package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

// putNotices adds notices whose id is new.
func putNotices(ctx context.Context, tx *sql.Tx, list []notify.Notice) error {
	for _, n := range list {
		body, err := json.Marshal(n)
		if err != nil {
			return fmt.Errorf("encode notice %s: %w", n.ID, err)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO notice (id, rollout, at, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
			n.ID, n.Rollout, nanos(n.At), string(body)); err != nil {
			return err
		}
	}
	return nil
}

// waiting selects the notices that are neither delivered nor dead.
const waiting = "delivered = 0 AND dead = 0"

// notices runs a query for the columns of Outgoing.
func (s *Store) notices(ctx context.Context, rest string, args ...any) (out []store.Outgoing, err error) {
	err = s.rows(ctx, "read notices", func(r *sql.Rows) error {
		var (
			o                        store.Outgoing
			body                     []byte
			next, delivered, retried int64
		)
		if err := r.Scan(&o.Tries, &next, &delivered, &o.Dead, &o.Error, &o.With, &retried, &body); err != nil {
			return err
		}
		err := decode("notice", body, &o.Notice)
		o.Next, o.Delivered, o.Retried = instant(next), instant(delivered), instant(retried)
		out = append(out, o)
		return err
	}, "SELECT tries, next, delivered, dead, error, told_with, retried, body FROM notice "+rest, args...)
	return out, err
}

// Due implements store.Outbox. The inner query reads its index alone.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]store.Outgoing, error) {
	if limit <= 0 {
		return s.notices(ctx, "WHERE "+waiting+" AND next <= ? ORDER BY at, seq", nanos(now))
	}
	return s.notices(ctx, `JOIN (SELECT seq AS due, ROW_NUMBER() OVER (PARTITION BY address ORDER BY at, seq) AS nth
		FROM notice INDEXED BY notice_waiting WHERE `+waiting+` AND next <= ?1) ON seq = due WHERE nth <= ?2 ORDER BY at, seq`, nanos(now), limit)
}

// Notices implements store.Outbox.
func (s *Store) Notices(ctx context.Context, rollout string, limit int) ([]store.Outgoing, error) {
	if rollout == "" {
		return s.notices(ctx, "ORDER BY at DESC, seq DESC LIMIT ?", all(limit))
	}
	return s.notices(ctx, "WHERE rollout = ? ORDER BY at DESC, seq DESC LIMIT ?", rollout, all(limit))
}

// NoticesIn implements store.Outbox.
func (s *Store) NoticesIn(ctx context.Context, state store.DeliveryState, address string, limit int) ([]store.Outgoing, error) {
	where := map[store.DeliveryState]string{store.StateWaiting: waiting, store.StateTold: "delivered > 0", store.StateDead: "delivered = 0 AND dead > 0"}[state]
	if where == "" {
		where = "1"
	}
	return s.notices(ctx, "WHERE "+where+" AND (?1 = '' OR address = ?1) ORDER BY at DESC, seq DESC LIMIT ?2", address, all(limit))
}

// Delivered implements store.Outbox.
func (s *Store) Delivered(ctx context.Context, id string, at time.Time, with ...string) error {
	return s.write(ctx, "notice "+id, func(ctx context.Context, tx *sql.Tx) error {
		var there int
		if err := tx.QueryRowContext(ctx, "SELECT 1 FROM notice WHERE id = ?", id).Scan(&there); err != nil {
			return err
		}
		const set = "UPDATE notice SET tries = tries + 1, delivered = ?1, next = 0, error = '', dead = 0, told_with = ?2 WHERE id = ?3 AND delivered = 0"
		if _, err := tx.ExecContext(ctx, set, nanos(at), "", id); err != nil {
			return err
		}
		for _, one := range with {
			if _, err := tx.ExecContext(ctx, set, nanos(at), id, one); err != nil {
				return err
			}
		}
		return nil
	})
}

// Failed implements store.Outbox. A notice that was delivered stays so.
func (s *Store) Failed(ctx context.Context, id string, why string, next time.Time) error {
	return s.write(ctx, "notice "+id, func(ctx context.Context, tx *sql.Tx) error {
		var delivered int64
		if err := tx.QueryRowContext(ctx, "SELECT delivered FROM notice WHERE id = ?", id).Scan(&delivered); err != nil || delivered != 0 {
			return err
		}
		_, err := tx.ExecContext(ctx, "UPDATE notice SET tries = tries + 1, error = ?, next = ?, dead = ? WHERE id = ?", why, nanos(next), next.IsZero(), id)
		return err
	})
}

// Retry implements store.Outbox.
func (s *Store) Retry(ctx context.Context, ids []string, at time.Time, a store.AuditEntry) (n int, err error) {
	err = s.write(ctx, "retry notices", func(ctx context.Context, tx *sql.Tx) error {
		n = 0
		for _, id := range ids {
			res, err := tx.ExecContext(ctx, "UPDATE notice SET dead = 0, tries = 0, next = ?1, retried = ?1 WHERE id = ?2 AND delivered = 0 AND dead > 0", nanos(at), id)
			if err != nil {
				return err
			}
			changed, err := res.RowsAffected()
			if err != nil {
				return err
			}
			n += int(changed)
		}
		return putAudit(ctx, tx, a)
	})
	return n, err
}

// Channels implements store.Outbox.
func (s *Store) Channels(ctx context.Context) (out []store.ChannelSum, err error) {
	err = s.rows(ctx, "sum up notices", func(r *sql.Rows) error {
		var (
			c            store.ChannelSum
			oldest, told int64
		)
		if err := r.Scan(&c.Address, &c.Waiting, &c.Dead, &oldest, &told, &c.Error); err != nil {
			return err
		}
		c.Oldest, c.Told = instant(oldest), instant(told)
		out = append(out, c)
		return nil
	}, `SELECT address, SUM(`+waiting+`), SUM(delivered = 0 AND dead > 0), COALESCE(MIN(CASE WHEN `+waiting+` THEN at END), 0), MAX(delivered),
		COALESCE((SELECT error FROM notice e WHERE e.address = n.address AND e.delivered = 0 AND e.error <> '' ORDER BY e.at DESC, e.seq DESC LIMIT 1), '')
		FROM notice n GROUP BY address ORDER BY address`)
	return out, err
}
