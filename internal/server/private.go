package server

import (
	"context"

	"serin/internal/config"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// private reads what telemetry may hold, and by what names users are stored.
// The secret of digests is made at the first start: without it nobody can find
// a user's digest in the audit log.
func private(ctx context.Context, db store.Access, c config.Privacy) (telemetry.Subjects, telemetry.ScrubOptions, error) {
	key, err := secret(ctx, db, "subject.secret")
	return telemetry.Subjects{Secret: key, Hash: c.UserIDs == config.UserIDsHash}, telemetry.ScrubOptions{Keys: c.Scrub, Keep: c.Keep}, err
}
