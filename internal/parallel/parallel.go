// Package parallel carries many independent pieces of pure work out on all
// cores.
package parallel

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Each calls f(0) ... f(n-1), each once, on the given number of goroutines (0 =
// as many as there are cores to run on), and returns when all have ended. When ctx ends no further
// call is begun, and its error is returned. A nil done is fine; else it is
// called after each call of f with how many have ended, by several goroutines
// at once. A panic of f ends the program, as in any goroutine.
func Each(ctx context.Context, n, goroutines int, f func(i int), done func(ended int)) error {
	if goroutines <= 0 {
		goroutines = runtime.GOMAXPROCS(0)
	}
	var next, ended atomic.Int64
	var group sync.WaitGroup
	for range min(n, goroutines) {
		group.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i)
				if count := ended.Add(1); done != nil {
					done(int(count))
				}
			}
		})
	}
	group.Wait()
	if ended.Load() < int64(n) {
		return ctx.Err()
	}
	return nil
}
