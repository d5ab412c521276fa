package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/api"
	"serin/internal/reporting"
)

// standupFormats are the forms of stand-ups and reviews.
var standupFormats = []string{"text", "markdown", "json"}

func (a *app) standup() *cobra.Command {
	var format, date, rollout, project string
	cmd := &cobra.Command{
		Use: "standup", Short: "Print the daily stand-up: numbers of the last day, and what is to be decided", Args: cobra.NoArgs,
		Long: `Prints the daily stand-up: the metrics of the last 24 hours against the day before and control, P1 and P2, what users
said, and what is to be decided now. Without --date it is the newest of each rollout that is not over.

  serin standup
  serin standup --date 2025-02-21 --format markdown
  serin standup decide new-checkout-1 proceed --reason "all clear" --present anna,ben`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{}
			for key, value := range map[string]string{"date": date, "rollout": rollout, "project": project} {
				if value != "" {
					q.Set(key, value)
				}
			}
			return a.reports(cmd, "/standup", q, format, func(w io.Writer) error {
				var v reporting.Standup
				if err := a.get(cmd.Context(), "/standup?"+q.Encode(), &v); err != nil {
					return err
				}
				printStandup(w, v)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, markdown or json")
	cmd.Flags().StringVar(&date, "date", "", "day in the plan's zone, such as 2025-02-21")
	cmd.Flags().StringVar(&rollout, "rollout", "", "only of this rollout: its id, or its plan's name")
	cmd.Flags().StringVar(&project, "project", "", "only of this project")
	cmd.AddCommand(a.standupDecide())
	return cmd
}

// reports prints reports: as the server writes them, or by text.
func (a *app) reports(cmd *cobra.Command, path string, q url.Values, format string, text func(w io.Writer) error) error {
	if a.json {
		format = "json"
	}
	switch {
	case !slices.Contains(standupFormats, format):
		return usageError{fmt.Errorf("--format %q: write text, markdown or json", format)}
	case format == "text":
		return text(a.Out)
	}
	q.Set("format", format)
	var data []byte
	if err := a.get(cmd.Context(), path+"?"+q.Encode(), &data); err != nil {
		return err
	}
	if format == "json" {
		data = append(data, '\n')
	}
	_, err := a.Out.Write(data)
	return err
}

func printStandup(w io.Writer, v reporting.Standup) {
	for _, o := range v.Open {
		fmt.Fprintf(w, "%s: %s\n", o.Rollout, oneLine(o.Text))
		fmt.Fprintf(w, "  serin advises: %s (%s)\n", o.Advice, oneLine(o.Why))
		for _, n := range o.Needs {
			fmt.Fprintf(w, "  waits for a person: %s\n", oneLine(n.Text))
		}
	}
	if len(v.Open) == 0 {
		fmt.Fprintln(w, "nothing is to be decided: no rollout is under way")
	}
	for _, r := range v.Reports {
		printReport(w, r)
	}
	if len(v.Reports) == 0 {
		fmt.Fprintln(w, "\nno stand-up yet; a plan asks for one under reports, such as stand-up: { daily: \"09:00\", to: CHANNEL }")
	}
}

// printReport prints a report as it was sent, and what was decided since.
func printReport(w io.Writer, v reporting.View) {
	fmt.Fprintf(w, "\n%s\n", oneLine(v.Heading()))
	for line := range strings.SplitSeq(v.Text, "\n") {
		fmt.Fprintf(w, "  %s\n", oneLine(line))
	}
	for _, n := range v.Notes {
		fmt.Fprintf(w, "  %s  %s: %s\n", n.At.UTC().Format(time.DateTime), oneLine(n.By), oneLine(n.Words()))
	}
	for _, m := range v.Decided {
		fmt.Fprintf(w, "  %s  %s\n", m.At.UTC().Format(time.DateTime), oneLine(m.Text))
	}
}

func (a *app) standupDecide() *cobra.Command {
	var b api.StandupDecision
	cmd := &cobra.Command{
		Use: "decide ROLLOUT proceed|hold|rollback", Short: "Record what the stand-up decided, with your name", Args: cobra.ExactArgs(2),
		Long: `Records what the stand-up decided about a rollout, with who and when. Proceed approves the raise that waits for
approval, and rollback rolls back at once; hold is recorded and moves nothing.`,
		ValidArgs: reporting.Choices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if b.Do = args[1]; !slices.Contains(reporting.Choices, b.Do) {
				return usageError{fmt.Errorf("%q: write %s", b.Do, strings.Join(reporting.Choices, ", "))}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var v reporting.View
			if err := c.Call(cmd.Context(), http.MethodPost, "/rollouts/"+url.PathEscape(args[0])+"/standup", b, &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s is recorded in the stand-up of %s\n", v.Rollout, b.Do, v.Day)
				if n := len(v.Notes); n > 0 && v.Notes[n-1].Approved {
					fmt.Fprintln(w, "the next raise is approved")
				}
			})
		},
	}
	cmd.Flags().StringVar(&b.Reason, "reason", "", "why")
	cmd.Flags().StringSliceVar(&b.Present, "present", nil, "who was there, with commas")
	cmd.Flags().StringVar(&b.Day, "day", "", "of the stand-up that you saw; refused if there is a newer one")
	cmd.Flags().Int64Var(&b.Version, "version", 0, "of the rollout that you saw; refused if it changed since")
	cmd.Flags().StringVar(&b.As, "as", "", "the plan's role to act in")
	return cmd
}

func (a *app) review() *cobra.Command {
	var format, date string
	var limit int
	cmd := &cobra.Command{
		Use: "review ROLLOUT", Short: "Print the newest reviews: new issues, spikes, slow-downs, what users said", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			if date != "" {
				q.Set("date", date)
			}
			path := "/rollouts/" + url.PathEscape(args[0]) + "/reviews"
			return a.reports(cmd, path, q, format, func(w io.Writer) error {
				var list []reporting.View
				if err := a.get(cmd.Context(), path+"?"+q.Encode(), &list); err != nil {
					return err
				}
				for _, v := range list {
					printReport(w, v)
				}
				if len(list) == 0 {
					fmt.Fprintln(w, "no review yet; a plan asks for one under reports, such as review: { every: 1h, to: CHANNEL }")
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, markdown or json")
	cmd.Flags().StringVar(&date, "date", "", "only of this day in the plan's zone, such as 2025-02-21")
	cmd.Flags().IntVar(&limit, "limit", 4, "most reviews; 0 = 48")
	return cmd
}
