package controller

import (
	"context"
	"fmt"

	"serin/internal/store"
)

// AuditQuery picks entries of the audit log. Empty fields pick all.
type AuditQuery struct {
	Who    string // exactly, as the entries name them: "ann", "serin"
	Target string // exactly: "rollout demo-1", "flag x"
	Limit  int    // most entries; 0 = all
	// Sees says of which targets entries are picked; nil = of all.
	Sees func(target string) bool
}

// auditScan is how many of the newest entries are looked through for a person.
const auditScan = 10_000

// Audit lists entries of the audit log, newest first. A person's, and those of
// some targets only, are looked for among the newest 10,000 of the target.
func (c *Controller) Audit(ctx context.Context, q AuditQuery) ([]store.AuditEntry, error) {
	limit := q.Limit
	if q.Who != "" || q.Sees != nil {
		limit = auditScan
	}
	found, err := c.o.Store.AuditEntries(ctx, q.Target, limit)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	if q.Who == "" && q.Sees == nil {
		return found, nil
	}
	out, seen := []store.AuditEntry{}, map[string]bool{}
	for _, e := range found {
		if _, known := seen[e.Target]; !known {
			seen[e.Target] = q.Sees == nil || q.Sees(e.Target)
		}
		if seen[e.Target] && (q.Who == "" || e.Who == q.Who) && (q.Limit <= 0 || len(out) < q.Limit) {
			out = append(out, e)
		}
	}
	return out, nil
}
