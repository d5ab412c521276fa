package cli

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/controller"
)

func (a *app) rolloutRunbook() *cobra.Command {
	return &cobra.Command{
		Use: "runbook ROLLOUT", Short: "Print who does what and when, from the plan in force", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r controller.Runbook
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/runbook", &r); err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) {
				for line := range strings.Lines(r.Text) {
					fmt.Fprintln(w, oneLine(strings.TrimSuffix(line, "\n")))
				}
			})
		},
	}
}

func (a *app) rolloutCalendar() *cobra.Command {
	return &cobra.Command{
		Use: "calendar ROLLOUT", Short: "Print when stages began, when the rest comes at the earliest, and what lint says", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var c controller.Calendar
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/calendar", &c); err != nil {
				return err
			}
			return a.print(c, func(w io.Writer) { printCalendar(w, c) })
		},
	}
}

func printCalendar(w io.Writer, c controller.Calendar) {
	if c.Assumes != "" {
		fmt.Fprintf(w, "from %s (UTC), if %s\n", c.From.UTC().Format(time.DateTime), c.Assumes)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, e := range c.Events {
		text := e.Text
		if len(e.Before) > 0 {
			text += "; first: " + strings.Join(e.Before, ", ")
		}
		if len(e.Approve) > 0 {
			text += "; approval of " + strings.Join(e.Approve, " or ")
		}
		mark := "earliest"
		if e.Past {
			mark = "done"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.At.UTC().Format(time.DateTime), mark, oneLine(text))
	}
	_ = t.Flush()
	for _, p := range c.Problems {
		fmt.Fprintf(w, "line %d: %s %s: %s: %s\n", p.Line, p.Severity, p.Code, oneLine(p.What), oneLine(p.Fix))
	}
}
