//go:build rig

package cli

import (
	"context"
	"fmt"

	"serin/internal/server"
)

// open makes a server whose clock a test drives; see server.NewRig.
func (a *app) open(ctx context.Context, o server.Options) (*server.Server, error) {
	s, url, err := server.NewRig(ctx, o, a.getenv)
	if err == nil {
		fmt.Fprintf(a.Out, "rig        %s\n", url)
	}
	return s, err
}
