//go:build rig

package controller

import (
	"context"
	"time"
)

// Next is when the courier has its next delivery to try, now or later; false
// when the outbox is empty. A notice behind one that waits, waits with it.
func (c *Courier) Next(ctx context.Context) (at time.Time, any bool, err error) {
	waiting, err := c.store.Due(ctx, c.clock.Now().Add(horizon), courierBatch)
	if err != nil {
		return at, false, err
	}
	now := c.clock.Now()
	for address, round := range byAddress(waiting) {
		if next := now.Add(c.waits(address, round, now)); !any || next.Before(at) {
			at, any = next, true
		}
	}
	return at, any, nil
}

// Wake lets the courier look at the outbox without waiting for its own timer,
// which is a real one.
func (c *Courier) Wake() { c.wake() }
