// Package memory is the store for tests and trials: everything is in maps
// behind one mutex and is gone after Close. It keeps the contract of the port
// to the letter, with the same conflicts and the same order as sqlite, and it
// starts no goroutine and asks for no time, so it may be used inside a
// testing/synctest bubble.
//
// Values are copied on the way in and on the way out, so that callers may
// change theirs.
package memory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"serin/internal/flag"
	"serin/internal/rollout"
	"serin/internal/store"
)

// Store is a store.Store in memory. All methods may be called at the same time.
type Store struct {
	mu     sync.RWMutex // guards everything below
	closed bool
	// fail, when set, is what every write answers.
	fail error

	rollouts map[string]*journal
	order    []string // rollout ids in the order of creation

	flags    map[string]store.FlagRecord
	history  map[string][]store.FlagRecord
	revision int64

	sources map[string][]byte                       // plan sources by hash
	plans   map[string]map[string]store.PlanVersion // name -> hash -> version
	latest  map[string]string                       // name -> hash

	cells    map[cellKey][]byte
	users    map[userKey][]byte
	seen     map[uint64]time.Time
	samples  []store.Sample
	values   map[string]store.Value
	counters map[string]int64
	pending  map[string]store.Pending
	issues   map[string]store.Issue

	outbox    []*store.Outgoing // in the order of arrival
	byID      map[string]*store.Outgoing
	tokens    map[string]store.Token
	tokenIDs  []string // in the order of creation
	sessions  map[string]store.Session
	persons   map[string]store.Person
	artifacts []store.Artifact
	alerts    alerts
	onCall    onCall
	incidents incidents
	reports   map[string]store.ReportRow
	slack     slackTies
	settings  map[string]string
	projects  []store.Project
	audit     []store.AuditEntry
}

type journal struct {
	state     rollout.State
	events    []rollout.Event
	decisions []store.Decision // by rising position
}

var _ store.Store = (*Store)(nil)

// errClosed is returned after Close.
var errClosed = errors.New("the memory store is closed")

// New returns an empty store.
func New() *Store {
	return &Store{
		rollouts: map[string]*journal{},
		flags:    map[string]store.FlagRecord{},
		history:  map[string][]store.FlagRecord{},
		sources:  map[string][]byte{},
		plans:    map[string]map[string]store.PlanVersion{},
		latest:   map[string]string{},
		cells:    map[cellKey][]byte{},
		users:    map[userKey][]byte{},
		seen:     map[uint64]time.Time{},
		values:   map[string]store.Value{},
		counters: map[string]int64{},
		pending:  map[string]store.Pending{},
		issues:   map[string]store.Issue{},
		byID:     map[string]*store.Outgoing{},
		tokens:   map[string]store.Token{},
		sessions: map[string]store.Session{}, persons: map[string]store.Person{},
		settings: map[string]string{},
		projects: []store.Project{{ID: flag.FirstProject, Name: firstProjectName}},
	}
}

// FailWrites makes every later write, and Check, answer err (for instance
// store.ErrFull), until it is called with nil. It is for tests of callers.
func (s *Store) FailWrites(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Check implements store.Store.
func (s *Store) Check(ctx context.Context) error {
	return s.write(ctx, func() error { return nil })
}

// Close implements store.Store.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// write calls fn with the lock held, unless writes fail. fn must change
// nothing when it returns an error.
func (s *Store) write(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if s.fail != nil {
		return s.fail
	}
	return fn()
}

// read calls fn with the read lock held.
func (s *Store) read(ctx context.Context, fn func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return errClosed
	}
	return fn()
}

// clone copies v deeply through JSON, the form in which durable adapters keep
// it; fields that JSON leaves out are the caller's to copy.
func clone[T any](v T) (T, error) {
	var out T
	data, err := json.Marshal(v)
	if err != nil {
		return out, fmt.Errorf("copy %T: %w", v, err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		return out, fmt.Errorf("copy %T: %w", v, err)
	}
	return out, nil
}

// cloneAll copies the elements of list, which is not changed.
func cloneAll[T any](list []T) ([]T, error) {
	out := make([]T, 0, len(list))
	for _, v := range list {
		c, err := clone(v)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// newest returns at most limit elements of list (0 = all) that pass keep,
// last first.
func newest[T any](list []T, limit int, keep func(T) bool) []T {
	var out []T
	for i := len(list) - 1; i >= 0; i-- {
		if !keep(list[i]) {
			continue
		}
		out = append(out, list[i])
		if limit > 0 && len(out) == limit {
			break
		}
	}
	return out
}

// utc returns t in UTC without a monotonic reading, as a durable adapter would.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}
