package auth

import (
	"context"
	"sync"
	"time"

	"serin/internal/store"
)

// useEvery is how often the use of one token or key is written down at most.
const useEvery = time.Minute

// uses remembers when the use of each token was last written down, so that
// most requests write nothing. The zero value is ready.
type uses struct {
	mu   sync.Mutex // guards last
	last map[string]time.Time
}

// due reports whether a use at now is to be written down, and takes it as
// written: of several at one time only one is.
func (u *uses) due(t store.Token, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	last, known := u.last[t.ID]
	if !known {
		last = t.LastUsed
	}
	if !last.IsZero() && now.Sub(last) < useEvery && !now.Before(last) {
		return false
	}
	if u.last == nil {
		u.last = map[string]time.Time{}
	}
	u.last[t.ID] = now
	return true
}

// used notes that a token or key was used. That it cannot be stored keeps
// nobody from working.
func (a *Auth) used(ctx context.Context, t store.Token) {
	now := a.now().UTC()
	if !a.uses.due(t, now) {
		return
	}
	if err := a.store.TokenUsed(context.WithoutCancel(ctx), t.ID, now); err != nil {
		a.log.WarnContext(ctx, "the use of a token was not noted", "token", t.ID, "err", err)
	}
}
