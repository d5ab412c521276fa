package controller

import (
	"context"

	"serin/internal/flag"
	"serin/internal/rollout"
)

// killed is the journal's reason for a rollback that came by the flag.
const killed = "flag switched off by hand"

// PutFlag writes a flag by hand, see Flags.Put. Switching off a flag that a
// rollout owns is the one hand edit that is not refused: it is that rollout's
// rollback, journalled with the person.
func (c *Controller) PutFlag(ctx context.Context, d flag.Definition, expect int64, a Actor, via, reason string) (int64, error) {
	if old, err := c.flags.Get(ctx, d.Key); err == nil && a.Project != "" {
		if err := otherProject("flag", d.Key, old.Place.Project, a.Project); err != nil {
			return 0, err
		}
	}
	owner := c.flags.owner(d.Key)
	if owner == "" || d.State != flag.StateOff {
		return c.flags.Put(ctx, a.Project, d, expect, a.Name, via, reason)
	}
	why := killed
	if reason != "" {
		why += ": " + reason
	}
	cmd := rollout.Command{Verb: rollout.Rollback, Via: via, Reason: why}
	if err := c.Authorize(ctx, owner, a, &cmd); err != nil {
		return 0, err
	}
	if _, err := c.Do(ctx, owner, cmd); err != nil {
		return 0, err
	}
	r, err := c.flags.Get(ctx, d.Key)
	return r.Revision, err
}
