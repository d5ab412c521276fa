package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"serin/internal/store"
)

// PutPerson implements store.People.
func (s *Store) PutPerson(ctx context.Context, p store.Person, a store.AuditEntry) error {
	return s.write(ctx, "put person "+p.Name, func(ctx context.Context, tx *sql.Tx) error {
		p.CreatedAt = p.CreatedAt.UTC()
		body, err := json.Marshal(p)
		if err != nil {
			return err
		}
		subject := sql.NullString{String: p.Subject, Valid: p.Subject != ""}
		if _, err := tx.ExecContext(ctx, `INSERT INTO person (name, subject, password, body) VALUES (?, ?, ?, ?)
			ON CONFLICT (name) DO UPDATE SET subject = excluded.subject, password = excluded.password, body = excluded.body`,
			p.Name, subject, p.Password, string(body)); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}

// people runs a query for the columns of Person.
func (s *Store) people(ctx context.Context, rest string, args ...any) (out []store.Person, err error) {
	err = s.rows(ctx, "read people", func(r *sql.Rows) error {
		var (
			p        store.Person
			password string
			body     []byte
		)
		if err := r.Scan(&password, &body); err != nil {
			return err
		}
		err := decode("person", body, &p)
		p.Password = password
		out = append(out, p)
		return err
	}, "SELECT password, body FROM person "+rest, args...)
	return out, err
}

// Person implements store.People.
func (s *Store) Person(ctx context.Context, name string) (store.Person, error) {
	list, err := s.people(ctx, "WHERE name = ?", name)
	if err != nil {
		return store.Person{}, err
	}
	if len(list) == 0 {
		return store.Person{}, fmt.Errorf("person %s: %w", name, store.ErrNotFound)
	}
	return list[0], nil
}

// People implements store.People.
func (s *Store) People(ctx context.Context) ([]store.Person, error) {
	return s.people(ctx, "ORDER BY name")
}

// DeletePerson implements store.People.
func (s *Store) DeletePerson(ctx context.Context, name string, a store.AuditEntry) error {
	return s.write(ctx, "delete person "+name, func(ctx context.Context, tx *sql.Tx) error {
		if err := deleteOne(ctx, tx, "DELETE FROM person WHERE name = ?", name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM session WHERE json_extract(body, '$.Person') = ?", name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM slack_link WHERE person = ?", name); err != nil {
			return err
		}
		return putAudit(ctx, tx, a)
	})
}

// Sessions implements store.People.
func (s *Store) Sessions(ctx context.Context, person string) (out []store.Session, err error) {
	err = s.rows(ctx, "read sessions", func(r *sql.Rows) error {
		var (
			v    store.Session
			body []byte
		)
		if err := r.Scan(&body); err != nil {
			return err
		}
		err := decode("session", body, &v)
		out = append(out, v)
		return err
	}, "SELECT body FROM session WHERE ?1 = '' OR json_extract(body, '$.Person') = ?1", person)
	slices.SortFunc(out, func(a, b store.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, err
}
