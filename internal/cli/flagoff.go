package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os/user"

	"github.com/spf13/cobra"

	"serin/internal/config"
	"serin/internal/server"
	"serin/internal/store"
)

// flagOff works on the data directory itself, for when no server runs.
func (a *app) flagOff() *cobra.Command {
	var by, reason string
	var dry bool
	cmd := &cobra.Command{
		Use: "off KEY", Short: "Switch a flag off in the data directory while the server is stopped", Args: cobra.ExactArgs(1),
		Long: `Switch a flag off in the data directory (--data) while the server is stopped and cannot be asked. The rollout that owns the
flag is rolled back: the decision, who made it and why go into its journal and the audit log, as from the dashboard, and
its notices wait for the next start. A flag that no rollout owns is disabled: clients get the default in their code.

No client hears of it before a server serves this directory again; until then each shows what it last got, or its default.
While a server runs, use "serin rollout rollback". Exit status 1: nothing was written, and why.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" && !dry {
				return usageError{errors.New("say why: --reason TEXT goes into the journal")}
			}
			done, err := server.SwitchOff(cmd.Context(), config.Config{Data: a.dataDirectory()}, args[0], cmp.Or(by, a.accountName()), reason, dry)
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("%w: compare the spelling with the flag's name in the code and in its plan", err)
			}
			if err != nil {
				return err
			}
			return a.print(done, func(w io.Writer) {
				fmt.Fprintln(w, oneLine(done.Text))
				if dry {
					return
				}
				if done.Rollout != "" {
					fmt.Fprintf(w, "journal: %s, position %d", done.Rollout, done.Pos)
					if done.Notices > 0 {
						fmt.Fprintf(w, "; %s for the next start", count(done.Notices, "notice"))
					}
					fmt.Fprintln(w)
				}
				fmt.Fprintf(w, "next: serin serve --data %s\n", a.dataDirectory())
			})
		},
	}
	cmd.Flags().StringVar(&by, "by", "", "who does it (default: the account of this terminal)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "write nothing, only say how things stand")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the journal and the audit log")
	return cmd
}

// accountName names who sits at this terminal, for a log.
func (a *app) accountName() string {
	if who, err := user.Current(); err == nil && who.Username != "" {
		return who.Username
	}
	return cmp.Or(a.getenv("USER"), "somebody at the terminal")
}
