package controller

import "slices"

// Reach lists where notices can be delivered now, sorted: "slack:" for every
// address of a scheme, or one whole address such as "webhook:deploys".
func (c *Courier) Reach() []string {
	out := c.reach()
	slices.Sort(out)
	return out
}
