package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"serin/internal/store"
	"serin/internal/store/sqlite"
)

// afterRestore takes rollouts down where the store is a backup, however it
// came here, before anybody is served. The mark goes when that is done: a
// start that is interrupted does it again.
func (s *Server) afterRestore(ctx context.Context) error {
	text, err := s.store.Setting(ctx, sqlite.BackupSetting)
	if errors.Is(err, store.ErrNotFound) || err == nil && text == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read setting %s: %w", sqlite.BackupSetting, err)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("setting %s: %w", sqlite.BackupSetting, err)
	}
	if err := s.control.Restored(ctx, at); err != nil {
		return err
	}
	s.o.Logger.Warn("this is a restored backup: every running rollout was taken down to 0 % and waits to be resumed", "backup of", text)
	return s.store.PutSetting(ctx, sqlite.BackupSetting, "")
}
