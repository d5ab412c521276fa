package auth

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"serin/internal/flag"
	"serin/internal/store"
)

// HookKey is a key by which another system tells of its alerts.
type HookKey struct {
	ID      string
	Project string   // whose alerts they are
	Notify  []string // addresses of who is told, as plans write them
	// ClientSecret is what Sentry signs its calls with; "" = it does not call.
	ClientSecret string
}

// The bounds of a hook key.
const (
	maxHookNotify       = 20
	maxClientSecretSize = 500
)

// hookAddress is what an address looks like; which there are is the server's business.
var hookAddress = regexp.MustCompile(`^[a-z]+(:\S+)?$`)

// clientSecretOf is the setting that holds the secret of a hook's other side.
// It has to be there as it is, for signatures are made with it.
func clientSecretOf(id string) string { return "hook.client_secret." + id }

// checkHook reports what is wrong with a hook key.
func (n NewToken) checkHook() error {
	switch {
	case n.Project == "":
		return fmt.Errorf("%w: a hook key needs a project", ErrInvalid)
	case len(n.Notify) > maxHookNotify:
		return fmt.Errorf("%w: %d channels to notify, at most %d", ErrInvalid, len(n.Notify), maxHookNotify)
	case len(n.ClientSecret) > maxClientSecretSize:
		return fmt.Errorf("%w: the client secret has %d bytes, at most %d", ErrInvalid, len(n.ClientSecret), maxClientSecretSize)
	}
	for _, address := range n.Notify {
		if !hookAddress.MatchString(address) || len(address) > 200 {
			return fmt.Errorf("%w: notify %q: write an address as in a plan, such as slack:#team or webhook:name", ErrInvalid, address)
		}
	}
	return nil
}

// HookKey returns a key of kind KindHook. Errors are ErrUnknownKey or the store's.
func (a *Auth) HookKey(ctx context.Context, key string) (HookKey, error) {
	t, err := a.key(ctx, key, "", KindHook, KindHook)
	if err != nil {
		return HookKey{}, err
	}
	secret, err := a.store.Setting(ctx, clientSecretOf(t.ID))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return HookKey{}, fmt.Errorf("read the client secret of hook %s: %w", t.ID, err)
	}
	return HookKey{ID: t.ID, Project: flag.ProjectOf(t.Project), Notify: slices.Clone(t.Notify), ClientSecret: secret}, nil
}
