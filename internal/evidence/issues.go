package evidence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/stats"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// issuePrefix begins the short ids of issues.
const issuePrefix = "SERIN-"

// issueRows is the rollout of the user rows that hold the users of issues.
const issueRows = "~issues"

// promptUsers is up to how many users a set is written with the event that
// changes it. Larger sets are written once a minute and at the end of Run, so
// that a frequent issue does not write its users again and again: a crash
// takes at most the last minute of them.
const promptUsers = 256

// issue is a store.Issue with its user sets.
type issue struct {
	store.Issue
	users map[string]*issueUsers // "" = all, else rollout/arm
	own   issueState
	dirty bool
}

// issueUsers is one user set of an issue.
type issueUsers struct {
	issue, key string
	set        stats.Set
	dirty      bool
}

type issues struct {
	byHash  map[string]*issue // project, 0, hash
	byID    map[string]*issue
	dirty   []*issue
	users   []*issueUsers // dirty
	samples []store.Sample
	next    int
	limit   int
}

func newIssues(limit int) issues {
	return issues{byHash: map[string]*issue{}, byID: map[string]*issue{}, next: 1, limit: limit}
}

func (s *issues) load(list []store.Issue) {
	for _, in := range list {
		it := &issue{Issue: in, users: map[string]*issueUsers{}}
		it.restore()
		s.put(it)
		if n, err := strconv.Atoi(strings.TrimPrefix(in.ID, issuePrefix)); err == nil {
			s.next = max(s.next, n+1)
		}
	}
}

// loadUsers puts a stored user set back.
func (s *issues) loadUsers(row store.UserRow) error {
	it := s.byID[row.Metric]
	if it == nil {
		return nil // the issue was removed
	}
	if err := it.usersOf(row.User).set.UnmarshalBinary(row.Data); err != nil {
		return fmt.Errorf("%w: users of issue %s: %w", errCell, it.ID, err)
	}
	return nil
}

func (it *issue) usersOf(key string) *issueUsers {
	u := it.users[key]
	if u == nil {
		u = &issueUsers{issue: it.ID, key: key}
		it.users[key] = u
	}
	return u
}

func (s *issues) put(it *issue) {
	s.byHash[it.Project+"\x00"+it.Hash] = it
	s.byID[it.ID] = it
}

func (s *issues) change(it *issue) {
	if !it.dirty {
		it.dirty = true
		s.dirty = append(s.dirty, it)
	}
}

// issue puts an error event, the last that addEverywhere counted, into its issue.
func (e *Engine) issue(b *batch, ev *telemetry.Event) {
	hash, title, culprit := telemetry.Group(ev)
	s := &e.issues
	it := s.byHash[ev.Project+"\x00"+hash]
	if it == nil {
		it = &issue{Issue: store.Issue{
			ID: issuePrefix + strconv.Itoa(s.next), Hash: hash, Project: ev.Project, Title: title, Culprit: culprit,
			Status: "unresolved", FirstSeen: ev.Received, Release: ev.Release,
		}, users: map[string]*issueUsers{}}
		s.next++
		s.put(it)
	}
	s.change(it)
	it.comeBack(ev)
	it.count(ev)
	it.Level, it.LastSeen = levelOf(ev), ev.Received
	it.Events++
	user := b.userHash(ev.User)
	it.Users = s.see(it, "", user)
	for _, in := range b.arms {
		s.arm(it, in, ev, user)
	}
	if n := it.Events; n <= int64(s.limit)/2 || n%max(n/int64(s.limit)*2, 1) == 0 && n <= int64(s.limit)*int64(s.limit) {
		s.samples = append(s.samples, store.Sample{Issue: it.ID, Event: *ev})
	}
}

func levelOf(e *telemetry.Event) string {
	l, _ := e.Field("level")
	return l
}

// arm counts an event for one arm of a rollout. First belongs to the attempt:
// it is set anew when the attempt is younger than it.
func (s *issues) arm(it *issue, in armOf, ev *telemetry.Event, user uint64) {
	if it.Arms == nil {
		it.Arms = map[string]store.ArmCount{}
	}
	key := in.rollout.armKeys[in.arm]
	c := it.Arms[key]
	if c.First.IsZero() || c.First.Before(in.rollout.target.AttemptAt) {
		c.First = ev.Received
	}
	c.Events++
	c.Users = s.see(it, key, user)
	it.Arms[key] = c
}

// see notes a user, by hash, 0 = none, and returns how many there are.
func (s *issues) see(it *issue, key string, user uint64) int64 {
	u := it.usersOf(key)
	if user != 0 && (u.set.Add(user) || !u.set.Exact()) && !u.dirty {
		u.dirty = true
		s.users = append(s.users, u)
	}
	return u.set.Count()
}

// collect moves changed issues and samples into the batch.
func (s *issues) collect(b *batch) error {
	for _, it := range s.dirty {
		it.dirty = false
		out := it.Issue
		out.Arms, out.Hours = maps.Clone(it.Arms), slices.Clone(it.Hours)
		out.State, _ = json.Marshal(it.own) // cannot fail: text and numbers
		b.Issues = append(b.Issues, out)
	}
	b.Samples = append(b.Samples, s.samples...)
	s.dirty, s.samples = s.dirty[:0], nil
	later := s.users[:0]
	for _, u := range s.users {
		if !b.tick && u.set.Count() > promptUsers {
			later = append(later, u)
			continue
		}
		data, err := u.set.MarshalBinary()
		if err != nil {
			return fmt.Errorf("encode users of issue %s: %w", u.issue, err)
		}
		u.dirty = false
		b.Users = append(b.Users, store.UserRow{Rollout: issueRows, Metric: u.issue, User: u.key, Data: data})
	}
	clear(s.users[len(later):])
	s.users = later
	return nil
}

// newIssues counts the unresolved issues that were first seen in the attempt
// and whose first event of arm arrived in (from, to].
func (s *issues) countNew(t Target, arm telemetry.Arm, from, to time.Time) (n int64, last time.Time) {
	key := t.Rollout + "/" + arm.String()
	for _, it := range s.byID {
		c, ok := it.Arms[key]
		if !ok || it.Status != "unresolved" || it.FirstSeen.Before(t.AttemptAt) || !c.First.After(from) || c.First.After(to) {
			continue
		}
		n++
		if c.First.After(last) {
			last = c.First
		}
	}
	return n, last
}
