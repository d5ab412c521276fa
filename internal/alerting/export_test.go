package alerting

import "context"

// Round looks at the rules of the named sources, nil = at all, as Run does.
func (e *Engine) Round(ctx context.Context, sources map[string]bool) { e.round(ctx, sources) }
