package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"serin/internal/rollout"
)

// Restored takes every rollout whose traffic could still be lowered down to
// 0 %, because the store is a backup of the time at: what was decided after it
// is not known, and a rollout that was rolled back since must not come back by
// itself. Each waits for a person to resume it. A rollout in clean-up stays,
// since its old code may be gone. Run must have begun; nothing may be served
// before Restored returns. Called again it does nothing.
func (c *Controller) Restored(ctx context.Context, at time.Time) error {
	views, err := c.Views(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range views {
		if v.State.Exposure == 0 || v.State.Status == rollout.Cleanup || v.State.Status == rollout.Done {
			continue
		}
		cmd := rollout.Command{Verb: rollout.Reduce, By: "serin", Via: rollout.ViaRestore,
			Reason: fmt.Sprintf("restored from the backup of %s: what was decided since is not known, resume when you know", at.UTC().Format("2 Jan 15:04 UTC"))}
		if _, err := c.Do(ctx, v.ID, cmd); err != nil {
			errs = append(errs, fmt.Errorf("take %s down after the restore: %w", v.ID, err))
		}
	}
	return errors.Join(errs...)
}
