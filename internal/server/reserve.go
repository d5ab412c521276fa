package server

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
)

// reserve is the path of a file that only takes up room. On a full disk it is
// removed, so that a rollback can still be written: lowering traffic is always
// possible.
type reserve string

// reserveFile is its name in the data directory.
const reserveFile = "reserve"

// reserveBytes is room for many decisions, and little of any disk.
const reserveBytes = 4 << 20

// fill makes the file if it is not there. Random bytes keep a file system
// that compresses from giving the room away.
func (r reserve) fill(log *slog.Logger) {
	if _, err := os.Stat(string(r)); err == nil {
		return
	}
	data := make([]byte, reserveBytes)
	_, _ = rand.Read(data) // never fails: crypto/rand
	if err := os.WriteFile(string(r), data, 0o600); err != nil {
		_ = os.Remove(string(r))
		log.Warn("no room can be kept in reserve: a full disk would stand in the way of a rollback", "file", string(r), "err", err)
	}
}

// free gives the room back.
func (r reserve) free() error {
	if err := os.Remove(string(r)); err != nil {
		return fmt.Errorf("no reserve is left: make room in the data directory: %w", err)
	}
	return nil
}
