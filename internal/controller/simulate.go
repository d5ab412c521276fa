package controller

import (
	"context"
	"runtime"
	"sync/atomic"

	"serin/internal/parallel"
	"serin/internal/plan"
	"serin/internal/simulate"
)

// simulations lets one simulation at a time have cores of a server.
var simulations = make(chan struct{}, 1)

// Simulate plays a plan on half of the cores, after those who asked before. It
// stops when ctx ends, with its error; other errors are simulate.Run's. It
// needs nothing of a server and changes nothing. played, which may be nil, is told
// after each run how many of Options.Pieces are done, by several goroutines at once.
func Simulate(ctx context.Context, p *plan.Plan, o simulate.Options, played func(n int64)) (simulate.Result, error) {
	select {
	case simulations <- struct{}{}:
		defer func() { <-simulations }()
	case <-ctx.Done():
		return simulate.Result{}, ctx.Err()
	}
	var done atomic.Int64
	o.Each = func(n int, f func(i int)) error {
		return parallel.Each(ctx, n, max(1, runtime.GOMAXPROCS(0)/2), f, func(int) {
			if k := done.Add(1); played != nil {
				played(k)
			}
		})
	}
	return simulate.Run(p, o)
}
