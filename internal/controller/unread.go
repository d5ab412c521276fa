package controller

import (
	"context"
	"slices"

	"serin/internal/rollout"
	"serin/internal/store"
)

// Unreadable returns the ids of rollouts that are not judged because their
// plan or journal cannot be read, and that are not over.
func (c *Controller) Unreadable(ctx context.Context) ([]string, error) {
	views, err := c.Views(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, v := range views {
		if !store.Over(v.State.Status) && slices.ContainsFunc(v.Waiting, func(w rollout.Waiting) bool { return w.Kind == unreadableKind }) {
			ids = append(ids, v.ID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
