//go:build !rig

package cli

import (
	"context"

	"serin/internal/server"
)

// open makes a server. A binary built with the tag rig has another one, whose
// clock a test drives.
func (a *app) open(ctx context.Context, o server.Options) (*server.Server, error) {
	return server.New(ctx, o)
}
