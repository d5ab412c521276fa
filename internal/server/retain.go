package server

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"

	"serin/internal/config"
	"serin/internal/store/sqlite"
	"serin/internal/upkeep"
)

// policy is how long data is kept and what room it may take. The
// configuration was checked: see config.Config.Check.
func policy(c config.Config) (upkeep.Policy, error) {
	ages, err := c.Retention.Ages()
	if err != nil {
		return upkeep.Policy{}, err
	}
	room, err := c.Disk.Room()
	return upkeep.Policy{Ages: upkeep.Ages(ages), Room: upkeep.Room(room)}, err
}

// left measures what the file system of a directory has left for a process
// that is not root.
func left(dir string) func() (int64, error) {
	return func() (int64, error) {
		var s syscall.Statfs_t
		if err := syscall.Statfs(dir, &s); err != nil {
			return 0, fmt.Errorf("file system of %s: %w", dir, err)
		}
		return int64(s.Bavail) * int64(s.Bsize), nil
	}
}

// Compact gives free pages of a data directory's database back to the file
// system. It refuses while a server runs on the directory.
func Compact(ctx context.Context, data string) (before, after int64, err error) {
	path := filepath.Join(data, DatabaseFile)
	if _, err := sqlite.Inspect(ctx, path); err != nil {
		return 0, 0, err
	}
	unlock, err := lock(filepath.Join(data, "lock"))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = unlock() }()
	return sqlite.Compact(ctx, path)
}
