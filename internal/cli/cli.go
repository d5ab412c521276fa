// Package cli is the command line: one file a command. Commands that change
// or read a server speak its operator API, as anybody's script would; serve
// and demo run one. Exit status 0 is fine, 1 refused or failed, 2 usage.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"serin/internal/server"
)

// Streams are the terminal's.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// The exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errFailed ends with exitFailed after the command has said why.
var errFailed = errors.New("failed")

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// app is what every command shares.
type app struct {
	Streams
	getenv  func(string) string
	url     string
	data    string
	json    bool
	project string // --project of the command; "" = not given
}

// Run runs one command line and returns the exit status.
func Run(ctx context.Context, args []string, streams Streams, getenv func(string) string) int {
	a := &app{Streams: streams, getenv: getenv}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(streams.Err, "serin: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(streams.Err, "serin: %v\n", err)
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "serin",
		Short: "Progressive delivery: from 0 % to 100 % by a written plan, and back by itself when it hurts",
		Long: `serin carries a feature from 0 % to 100 % of its users by a written plan,
watches what really happens to them, and takes it back by itself when it hurts.

  serin demo     see the whole of it in two minutes
  serin serve    run it

Commands find the server in SERIN_URL and SERIN_TOKEN, or in the data directory of a server on this
machine with --data. Exit status: 0 fine, 1 refused or failed, 2 usage.`,
		SilenceUsage: true, SilenceErrors: true,
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	f := root.PersistentFlags()
	f.StringVar(&a.url, "url", "", "server address (default: SERIN_URL, else http://"+server.DefaultListen+")")
	f.StringVar(&a.data, "data", "", "data directory of a server on this machine")
	f.BoolVar(&a.json, "json", false, "print JSON")
	root.AddCommand(a.serve(), a.demo(), a.initPlan(), a.doctor(), a.notify(), a.sources(), a.forwarding(), a.lint(), a.show(), a.baseline(), a.simulate(), a.backtest(), a.schema(), a.plans(), a.rollout(), a.finalReport(), a.flag(), a.issuesCommand(), a.alertCommand(), a.onCall(), a.incidentCommand(), a.standup(), a.review(), a.sourcemaps(), a.tokenCommand(), a.projectCommand(),
		a.record(), a.deployed(), a.push(), a.facts(), a.scan(), a.audit(), a.configCommand(), a.backup(), a.storage(), a.health(), a.user(), a.forget(), a.version())
	root.CompletionOptions.HiddenDefaultCmd = true
	wrapUsage(root)
	return root
}

// wrapUsage makes wrong arguments and unknown commands usage errors.
func wrapUsage(c *cobra.Command) {
	if args := c.Args; args != nil {
		c.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usageError{fmt.Errorf("%w\nusage: %s", err, cmd.UseLine())}
			}
			return nil
		}
	} else if c.HasSubCommands() {
		if c.RunE == nil { // else cobra shows the help and finds nothing wrong with an unknown word
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
		c.Args = func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				return usageError{fmt.Errorf("unknown command %q for %q: see %s --help", given[0], cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		wrapUsage(sub)
	}
}

// done says what was done: a line, or with --json an object.
func (a *app) done(v map[string]any, format string, args ...any) error {
	return a.print(v, func(w io.Writer) { fmt.Fprintf(w, format+"\n", args...) })
}

// print writes v as JSON with --json, else as text by f.
func (a *app) print(v any, f func(io.Writer)) error {
	if !a.json {
		f(a.Out)
		return nil
	}
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
