package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"serin/internal/store"
)

// onCall are rotas and contacts by name, and pages in the order of their beginning.
type onCall struct {
	rotas, contacts map[string]store.OnCallRow
	pages           []store.PageRow
}

// CommitOnCall implements store.OnCall.
func (s *Store) CommitOnCall(ctx context.Context, c store.OnCallCommit) error {
	return s.write(ctx, func() error {
		o := &s.onCall
		if o.rotas == nil {
			o.rotas, o.contacts = map[string]store.OnCallRow{}, map[string]store.OnCallRow{}
		}
		change := func(rows map[string]store.OnCallRow, put []store.OnCallRow, gone []string) {
			for _, name := range gone {
				delete(rows, name)
			}
			for _, r := range put {
				r.Data, r.At = bytes.Clone(r.Data), utc(r.At)
				rows[r.Name] = r
			}
		}
		change(o.rotas, c.PutRotas, c.DeleteRotas)
		change(o.contacts, c.PutContacts, c.DeleteContacts)
		for _, p := range c.PutPages {
			p.Data, p.At = bytes.Clone(p.Data), utc(p.At)
			if i := slices.IndexFunc(o.pages, func(old store.PageRow) bool { return old.ID == p.ID }); i >= 0 {
				p.At = o.pages[i].At
				o.pages[i] = p
				continue
			}
			o.pages = append(o.pages, p)
		}
		s.putNotices(c.Notices)
		for _, a := range c.Audit {
			s.putAudit(a)
		}
		return nil
	})
}

// Rotas implements store.OnCall.
func (s *Store) Rotas(ctx context.Context) ([]store.OnCallRow, error) {
	return s.onCallRows(ctx, func() map[string]store.OnCallRow { return s.onCall.rotas })
}

// Contacts implements store.OnCall.
func (s *Store) Contacts(ctx context.Context) ([]store.OnCallRow, error) {
	return s.onCallRows(ctx, func() map[string]store.OnCallRow { return s.onCall.contacts })
}

func (s *Store) onCallRows(ctx context.Context, rows func() map[string]store.OnCallRow) (out []store.OnCallRow, err error) {
	err = s.read(ctx, func() error {
		for _, r := range rows() {
			r.Data = bytes.Clone(r.Data)
			out = append(out, r)
		}
		return nil
	})
	slices.SortFunc(out, func(a, b store.OnCallRow) int { return cmp.Compare(a.Name, b.Name) })
	return out, err
}

// Pages implements store.OnCall.
func (s *Store) Pages(ctx context.Context, open bool, limit int) (out []store.PageRow, err error) {
	err = s.read(ctx, func() error {
		for _, p := range slices.Backward(s.onCall.pages) {
			if open && !p.Open {
				continue
			}
			p.Data = bytes.Clone(p.Data)
			out = append(out, p)
		}
		return nil
	})
	slices.SortStableFunc(out, func(a, b store.PageRow) int { return b.At.Compare(a.At) })
	if limit > 0 {
		out = out[:min(limit, len(out))]
	}
	return out, err
}

// Page implements store.OnCall.
func (s *Store) Page(ctx context.Context, id string) (out store.PageRow, err error) {
	err = s.read(ctx, func() error {
		for _, p := range s.onCall.pages {
			if p.ID == id {
				out = p
				out.Data = bytes.Clone(p.Data)
				return nil
			}
		}
		return fmt.Errorf("page %s: %w", id, store.ErrNotFound)
	})
	return out, err
}
