package evidence

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// ForgetUser removes what is kept of one user of a project: error samples with
// their texts, that the user is in an audience or was affected, page loads and
// exposures that wait, the user in the sets of issues, and what Trace
// remembers. It removes the id and its digest alike. Cells stay: they hold
// counts and, of the newest minutes, heads of SHA-256 of ids, as sets of
// issues do, of which those of more than stats.ExactLimit users cannot lose
// one. Tests go on without the user; only how many loads there were of one whom
// nobody knows any more, and how many of them were bad, stays without a name: their
// sums are in the cells, and that they were one person's must not be forgotten with
// the person, or bursts would pass for many. What arrives afterwards is new, also
// what is on its way now.
//
// a, of which verb and target are set here, is written with it; its target is
// the user's digest, never the id. The error is ErrUnavailable where the store failed;
// then nothing was removed that a restart would not bring back.
func (e *Engine) ForgetUser(ctx context.Context, project, user string, a store.AuditEntry) (store.Forgotten, error) {
	e.commit.Lock()
	defer e.commit.Unlock()
	// What is known but not written yet must not come after the deletion.
	if _, _, err := e.write(ctx, nil, nil, 0, true); err != nil {
		return store.Forgotten{}, fmt.Errorf("forget a user: %w: %w", ErrUnavailable, err)
	}
	names := []string{user}
	if digest := e.subjects.Digest(project, user); digest != user {
		names = append(names, digest)
	}
	a.Verb, a.Target = "forget user", "subject "+e.subjects.Digest(project, user)
	f := store.Forget{Project: project, Users: names, Audit: a}
	exposures, err := e.forget(&f)
	if err == nil {
		var out store.Forgotten
		if out, err = e.store.Forget(ctx, f); err == nil {
			out.Exposures = exposures
			return out, nil
		}
	}
	e.mu.Lock()
	e.broken = true // memory lacks what the store still has
	e.mu.Unlock()
	return store.Forgotten{}, fmt.Errorf("forget a user: %w: %w", ErrUnavailable, err)
}

// forget removes the user from memory and says in f what to write.
func (e *Engine) forget(f *store.Forget) (exposures int64, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue.forget(e.rollouts, f)
	var nameless []store.UserRow
	for _, r := range e.rollouts {
		if sameProject(r.target.Project, f.Project) {
			n, rows := r.forget(f.Users)
			exposures, nameless = exposures+n, append(nameless, rows...)
		}
	}
	f.Pending = e.loads.forget(f)
	e.traces.forget(f)
	e.issues.forget(f)
	var b batch
	b.tick = true
	if err := e.issues.collect(&b); err != nil {
		return 0, err
	}
	f.Issues, f.Rows = b.Issues, append(b.Users, nameless...)
	return exposures, nil
}

// forget drops memberships that wait for a commit.
func (q *queue) forget(rollouts map[string]*rollout, f *store.Forget) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.members = slices.DeleteFunc(q.members, func(m member) bool {
		r := rollouts[m.rollout]
		return slices.Contains(f.Users, m.user) && (r == nil || sameProject(r.target.Project, f.Project))
	})
}

// namelessMark begins the names under which the loads of forgotten users are kept.
const namelessMark = "~forgotten "

// forget removes users from the rows of the rollout, and from its tests, and returns
// what is to be kept of them without a name.
func (r *rollout) forget(users []string) (exposures int64, nameless []store.UserRow) {
	affected := false
	for _, user := range users {
		r.members.users.Delete(user)
		exposures += r.exposed.forget(user)
		for metric, rows := range r.users {
			if row := rows[user]; row != nil {
				if max(row.loads, row.above) > 0 {
					rest := &userRow{attempt: row.attempt, loads: row.loads, above: row.above, means: row.means}
					out := store.UserRow{Rollout: r.target.Rollout, Metric: metric, User: namelessMark + rand.Text(), Data: rest.encode()}
					rows[out.User], nameless = rest, append(nameless, out)
				}
				delete(rows, user)
				delete(r.dirtyUsers, row)
				delete(r.slowUsers, row)
				affected = true
			}
		}
	}
	if affected {
		r.rebuildTests()
	}
	return exposures, nameless
}

// forget drops a user's exposures and returns how many waited for telemetry.
func (x *exposures) forget(name string) (n int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.known.LoadAndDelete(name); ok {
		x.noted--
	}
	hash := userHash(name)
	before := len(x.waiting)
	x.waiting = slices.DeleteFunc(x.waiting, func(w exposure) bool { return w.user == hash })
	return int64(before - len(x.waiting))
}

// forget drops the page loads of the user and returns their ids.
func (l *loads) forget(f *store.Forget) (ids []string) {
	for id, p := range l.byID {
		if !p.vault.concerns(f) {
			continue
		}
		for _, k := range p.keys {
			if l.byKey[k.hash] == p {
				delete(l.byKey, k.hash)
			}
		}
		delete(l.byID, id)
		p.dirty = false
		ids = append(ids, id)
	}
	return ids
}

// forget drops what Trace remembers of the user.
func (t *traces) forget(f *store.Forget) {
	for i := range t.fetches {
		if x := t.fetches[i].Load(); x != nil && slices.Contains(f.Users, x.user) {
			t.fetches[i].CompareAndSwap(x, nil)
		}
	}
	for i := range t.events {
		if x := t.events[i].Load(); x != nil && f.Concerns(*x) {
			t.events[i].CompareAndSwap(x, nil)
		}
	}
}

// forget takes the user out of the sets of the project's issues, and out of
// what they show of their events.
func (s *issues) forget(f *store.Forget) {
	for _, it := range s.byID {
		if !sameProject(it.Project, f.Project) {
			continue
		}
		for _, user := range f.Users {
			if it.hide(user) {
				s.change(it)
			}
			hash := userHash(user)
			for key, u := range it.users {
				if u.set.Remove(hash) {
					s.left(it, key, u)
				}
			}
		}
	}
}

// hide takes a user's id out of texts and tags, and reports whether it was there.
func (it *issue) hide(user string) (found bool) {
	for _, text := range []*string{&it.Title, &it.Culprit, &it.Page} {
		hidden := telemetry.HideUser(*text, user)
		found = found || hidden != *text
		*text = hidden
	}
	tags := maps.Clone(it.Tags) // the event's own: others may read it
	for k, v := range it.Tags {
		if hidden := telemetry.HideUser(v, user); v == user {
			delete(tags, k)
			found = true
		} else if hidden != v {
			tags[k], found = hidden, true
		}
	}
	it.Tags = tags
	return found
}

// left notes that a set of an issue has lost a user.
func (s *issues) left(it *issue, key string, u *issueUsers) {
	s.change(it)
	if !u.dirty {
		u.dirty = true
		s.users = append(s.users, u)
	}
	if key == "" {
		it.Users = u.set.Count()
	} else if c, ok := it.Arms[key]; ok {
		c.Users = u.set.Count()
		it.Arms[key] = c
	}
}
