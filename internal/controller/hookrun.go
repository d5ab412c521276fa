package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	"serin/internal/notify"
	"serin/internal/store"
)

// hooked reports whether address is that of a build variable.
func hooked(address string) bool { return strings.HasPrefix(address, notify.DeployScheme) }

// head is the notice whose next try decides when its address is due: the
// oldest, so that none overtakes another; of a build variable the newest, so
// that a rollback does not wait for the back-off of a raise that failed.
func head(address string, round []store.Outgoing) store.Outgoing {
	if hooked(address) {
		return round[len(round)-1]
	}
	return round[0]
}

// UseHook sets the deploy hook of a build variable; a nil r takes it away, and
// what waits for it is given up: pages and command line then show what a
// person has to run. A new hook does not run for what changed before.
func (c *Courier) UseHook(variable string, r notify.Runner) {
	c.mu.Lock()
	if r == nil {
		delete(c.runners, notify.DeployScheme+variable)
	} else {
		c.runners[notify.DeployScheme+variable] = r
	}
	c.mu.Unlock()
	c.wake()
}

// Hooked reports whether the server has a deploy hook for a build variable.
func (c *Courier) Hooked(variable string) bool {
	return c.runner(notify.DeployScheme+variable) != nil
}

func (c *Courier) runner(address string) notify.Runner {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.runners[address]
}

// carryOut runs the deploy hook once for all notices of its address: it
// deploys what is committed now, whatever they were about. It has its own
// limit of time; other channels do not wait for it.
func (c *Courier) carryOut(ctx context.Context, round []store.Outgoing) {
	newest := round[len(round)-1]
	if err := c.runHook(ctx, round, newest.Tries+1); err != nil {
		if ctx.Err() == nil {
			c.hookFailed(ctx, round, err)
		}
		return // the server stops: nobody knows what became of it, so the next one runs it again
	}
	c.fault("after send")
	now := c.clock.Now()
	for _, o := range round {
		c.metrics.notices.WithLabelValues("delivered").Inc()
		if err := c.store.Delivered(ctx, o.ID, now); err != nil {
			c.log.Error("mark deploy notice delivered", "notice", o.ID, "err", err)
		}
	}
}

func (c *Courier) runHook(ctx context.Context, round []store.Outgoing, try int) error {
	r := c.runner(round[0].Address)
	if r == nil {
		return fmt.Errorf("the server has no deploy hook for %s: deploy by hand", strings.TrimPrefix(round[0].Address, notify.DeployScheme))
	}
	waiting := make([]notify.Notice, len(round))
	for i, o := range round {
		waiting[i] = o.Notice
	}
	ctx, cancel := context.WithTimeout(ctx, r.Limit())
	defer cancel()
	return r.Run(ctx, waiting, try)
}

// hookFailed plans the next try, or gives all of the round up.
func (c *Courier) hookFailed(ctx context.Context, round []store.Outgoing, err error) {
	now, newest := c.clock.Now(), round[len(round)-1]
	after, temporary := notify.Temporary(err)
	outcome, failed := "retried", round[len(round)-1:]
	var next time.Time
	if temporary && now.Sub(newest.At) < c.scale(giveUpAfter) {
		next = now.Add(c.scale(max(after, backoff(newest.Tries))))
	} else {
		outcome, failed = "dead", round
	}
	c.log.Warn("run deploy hook", "notice", newest.ID, "outcome", outcome, "err", err)
	for _, o := range failed {
		c.metrics.notices.WithLabelValues(outcome).Inc()
		if err := c.store.Failed(ctx, o.ID, err.Error(), next); err != nil {
			c.log.Error("note failed deploy notice", "notice", o.ID, "err", err)
		}
	}
}
