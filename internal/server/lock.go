package server

import (
	"fmt"
	"os"
	"syscall"
)

// lock keeps a second server off the data directory. The lock goes with the
// process, so nothing is left behind by a kill.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another serin serves this data directory (%s is locked): stop it, or use another --data", path)
	}
	return f.Close, nil
}
