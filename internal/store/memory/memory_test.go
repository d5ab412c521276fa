package memory

import (
	"errors"
	"testing"

	"serin/internal/store"
	"serin/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store { return New() })
}

func TestFailWrites(t *testing.T) {
	s := New()
	s.FailWrites(store.ErrFull)
	if err := s.Check(t.Context()); !errors.Is(err, store.ErrFull) {
		t.Errorf("Check = %v, want %v", err, store.ErrFull)
	}
	if err := s.AppendEvidence(t.Context(), store.Batch{Counters: map[string]int64{"n": 1}}); !errors.Is(err, store.ErrFull) {
		t.Errorf("AppendEvidence = %v, want %v", err, store.ErrFull)
	}
	s.FailWrites(nil)
	if n, err := s.Counters(t.Context()); err != nil || len(n) != 0 {
		t.Errorf("Counters = %v, %v; want none", n, err)
	}
}

func TestClosed(t *testing.T) {
	s := New()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check of a closed store = nil, want an error")
	}
}
