package parallel

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

func TestEach(t *testing.T) {
	const n = 1000
	var calls [n]atomic.Int32
	var most atomic.Int64
	err := Each(t.Context(), n, 4, func(i int) { calls[i].Add(1) }, func(ended int) {
		for was := most.Load(); int64(ended) > was && !most.CompareAndSwap(was, int64(ended)); was = most.Load() {
		}
	})
	if err != nil || most.Load() != n {
		t.Fatalf("error %v, %d told to have ended, want %d", err, most.Load(), n)
	}
	for i := range calls {
		if got := calls[i].Load(); got != 1 {
			t.Fatalf("f(%d) was called %d times", i, got)
		}
	}
	if err := Each(t.Context(), 0, 0, func(int) { t.Error("called for nothing") }, nil); err != nil {
		t.Error(err)
	}
}

func TestEachEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int64
	err := Each(ctx, 1<<30, 2, func(int) {
		if calls.Add(1) == 10 {
			cancel()
		}
	}, nil)
	if !errors.Is(err, context.Canceled) || calls.Load() > 1000 {
		t.Errorf("error %v after %d calls", err, calls.Load())
	}
}
