package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"serin/internal/config"
	"serin/internal/controller"
	"serin/internal/store/sqlite"
)

// ErrServed is the cause of an error about a data directory that a running
// server holds.
var ErrServed = errors.New("a server runs on this data directory")

// SwitchOff switches a flag off in a data directory that no server uses, see
// controller.SwitchOff. It works on a full disk as a rollback does. It never
// makes or upgrades a database: one of an older serin is refused, so that the
// server which wrote it can still start. With dry nothing is written, and it
// says how things stand.
func SwitchOff(ctx context.Context, c config.Config, key, who, reason string, dry bool) (_ controller.SwitchedOff, err error) {
	data := cmp.Or(c.Data, DefaultData)
	file := filepath.Join(data, DatabaseFile)
	format, err := sqlite.Inspect(ctx, file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return controller.SwitchedOff{}, fmt.Errorf("%s is not there: name the data directory with --data", file)
	case err != nil:
		return controller.SwitchedOff{}, err
	case format.Schema != format.Known:
		return controller.SwitchedOff{}, fmt.Errorf("%s has tables of version %d and this serin those of %d: use the serin that ran on it last", file, format.Schema, format.Known)
	}
	unlock, err := lock(filepath.Join(data, "lock"))
	if err != nil {
		return controller.SwitchedOff{}, fmt.Errorf("%w: roll back there (serin rollout rollback), or stop it first: %w", ErrServed, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	db, err := sqlite.Open(ctx, file, sqlite.Options{Spare: reserve(filepath.Join(data, reserveFile)).free})
	if err != nil {
		return controller.SwitchedOff{}, fmt.Errorf("open store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return controller.SwitchOff(ctx, controller.Offline{Store: db, BaseURL: cmp.Or(c.OperatorURL, c.PublicURL), DryRun: dry}, key, who, reason)
}

// site is where this server is, for commands that people paste.
func (s *Server) site() controller.Site {
	data := s.o.Data
	if absolute, err := filepath.Abs(data); err == nil {
		data = absolute
	}
	return controller.Site{Data: data, URL: s.URL()}
}
