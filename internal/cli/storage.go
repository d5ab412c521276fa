package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/config"
	"serin/internal/server"
	"serin/internal/upkeep"
)

func (a *app) storage() *cobra.Command {
	cmd := &cobra.Command{Use: "storage", Short: "See what serin's data takes, and give room back"}
	cmd.AddCommand(a.storageShow(), a.storageCompact())
	return cmd
}

func (a *app) storageShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show what the store takes, what room is left and how long data is kept", Args: cobra.NoArgs,
		Long: `Show what the store takes of its budget (disk.budget), what the file system has left, how long each class of
data is kept (retention), and what was removed because the store was over its budget. Exit status 1: it is over
its budget and nothing is left that may be removed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var r upkeep.Report
			if err := a.get(cmd.Context(), "/storage", &r); err != nil {
				return err
			}
			if err := a.print(r, func(w io.Writer) { printStorage(w, r) }); err != nil {
				return err
			}
			if r.Level == upkeep.Over {
				return errFailed
			}
			return nil
		},
	}
}

func printStorage(w io.Writer, r upkeep.Report) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	budget := "no budget"
	if r.Room.Budget > 0 {
		budget = fmt.Sprintf("%d %% of the budget of %s", r.Used*100/r.Room.Budget, upkeep.Bytes(r.Room.Budget))
	}
	fmt.Fprintf(t, "store\t%s\t%s\n", upkeep.Bytes(r.Used), budget)
	fmt.Fprintf(t, "reusable\t%s\tfree pages of the file\n", upkeep.Bytes(r.Reusable))
	fmt.Fprintf(t, "disk free\t%s\twarns below %s\n", upkeep.Bytes(r.Left), upkeep.Bytes(r.Room.Floor))
	for _, k := range []struct {
		name, since string
		age         time.Duration
	}{
		{"evidence", "after the end of its rollout", r.Ages.Evidence}, {"inputs", "after the end of their rollout", r.Ages.Inputs},
		{"samples", "after they came", r.Ages.Samples}, {"audit", "after the entry", r.Ages.Audit}, {"outbox", "after the notice", r.Ages.Outbox},
	} {
		fmt.Fprintf(t, "%s\t%s\tkept %s\n", k.name, config.FormatAge(k.age), k.since)
	}
	_ = t.Flush()
	for _, s := range r.Shed {
		fmt.Fprintf(w, "%s  removed over the budget: %s, %s%s\n", s.At.Format(time.RFC3339), count(int(s.Samples), "sample"), count(int(s.Evidence), "row"), of(s.Rollouts))
	}
	for _, n := range r.Warnings {
		fmt.Fprintf(w, "warning: %s\n", oneLine(n.Text))
	}
}

// of names rollouts, "" for none.
func of(rollouts []string) string {
	if len(rollouts) == 0 {
		return ""
	}
	return " of " + oneLine(strings.Join(rollouts, ", "))
}

func (a *app) storageCompact() *cobra.Command {
	return &cobra.Command{
		Use: "compact", Short: "Give free pages of the database back to the file system, while the server is stopped", Args: cobra.NoArgs,
		Long: `Rewrite the database in the data directory (--data) without its free pages. Removed data leaves such pages; they
are used again before the file grows, so this is needed only when the room is wanted for something else. The server
must be stopped. It needs free room of about twice what the database holds.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir := a.dataDirectory()
			before, after, err := server.Compact(cmd.Context(), dir)
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("there is no %s in %s: name the data directory with --data", server.DatabaseFile, dir)
			}
			if err != nil {
				return err
			}
			return a.done(map[string]any{"data": dir, "before": before, "after": after}, "%s: %s, now %s", dir, upkeep.Bytes(before), upkeep.Bytes(after))
		},
	}
}

// address is where the server is, also for who has no token.
func (a *app) address() string {
	if a.url != "" {
		return a.url
	}
	if a.data != "" {
		if b, err := firstTokens(a.data); err == nil {
			return b.URL
		}
	}
	return cmp.Or(a.getenv("SERIN_URL"), "http://"+server.DefaultListen)
}
