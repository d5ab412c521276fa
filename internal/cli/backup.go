package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/server"
	"serin/internal/store/sqlite"
)

// backup works on the data directory itself, without a server's help.
func (a *app) backup() *cobra.Command {
	cmd := &cobra.Command{Use: "backup", Short: "Back up and restore a data directory"}
	cmd.AddCommand(a.backupCreate(), a.backupRestore())
	return cmd
}

func (a *app) dataDirectory() string {
	return cmp.Or(a.data, a.getenv("SERIN_DATA"), server.DefaultData)
}

func (a *app) backupCreate() *cobra.Command {
	return &cobra.Command{
		Use:   "create FILE",
		Short: "Copy everything into one file, while the server runs",
		Long: `Copy everything that serin keeps into one new file (mode 0600), as of one moment. A server may
be running on the data directory: it is not held up. The file holds hashes of tokens and passwords,
and the people and addresses of the audit log: keep it as safely as the directory itself.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			from := filepath.Join(a.dataDirectory(), server.DatabaseFile)
			err := sqlite.Backup(cmd.Context(), from, args[0], time.Now())
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%s is not there: name the data directory with --data", from)
			}
			if err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			return a.done(map[string]any{"file": args[0], "bytes": info.Size()}, "%s: %d bytes", args[0], info.Size())
		},
	}
}

func (a *app) backupRestore() *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a new data directory out of a backup",
		Long: `Make a new data directory (--data) out of a backup. The directory must not hold a database yet.

What was decided after the backup is not known to the restored server: a rollout may have been rolled
back since. So its first start takes every running rollout down to 0 % and waits: look what happened,
then resume each with "serin rollout resume". Tokens that were revoked since the backup work again:
revoke them again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := a.dataDirectory()
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
			if err := sqlite.Restore(cmd.Context(), args[0], filepath.Join(dir, server.DatabaseFile)); err != nil {
				return err
			}
			return a.done(map[string]any{"data": dir}, "%s is ready: its first start takes running rollouts down to 0 %% until somebody resumes them", dir)
		},
	}
}
