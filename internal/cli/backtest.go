package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/api"
	"serin/internal/backtest"
	"serin/internal/plan"
)

func (a *app) backtest() *cobra.Command {
	var b api.BacktestAsk
	var rollout, from, to string
	cmd := &cobra.Command{
		Use: "backtest PLAN", Short: "Run another plan over what was recorded of a rollout, beside what happened", Args: cobra.ExactArgs(1),
		Long: `Runs a plan over the recorded evidence of a rollout, with the real judge and the real state machine: what it would have
decided, when, beside what happened. At each minute it knows only what had been counted by then.

  serin backtest stricter.yaml --from 2025-02-17T00:00:00Z --to 2025-02-24T00:00:00Z
  serin backtest stricter.yaml --rollout new-checkout-1
  serin backtest stricter.yaml --rollout new-checkout-1 --from 2025-02-19T09:00:00Z --to 2025-02-21T09:00:00Z --people never

Users had the variants that they really had, so what would have come after a rollback, or a raise at another time, is not
known; what was not recorded is unknown, and listed. Without --rollout it takes the newest rollout of the plan's flag that had
traffic in the time that --from and --to say: minutes are kept for rollouts only.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.parsedPlan(args[0])
			if err != nil {
				return err
			}
			for text, at := range map[*string]*time.Time{&from: &b.From, &to: &b.To} {
				if *text == "" {
					continue
				}
				if *at, err = time.Parse(time.RFC3339, *text); err != nil {
					return usageError{fmt.Errorf("%q is no time: write it as 2025-02-19T09:00:00Z", *text)}
				}
			}
			b.Plan = string(p.Source)
			path := "/plans/backtest"
			if rollout != "" {
				path = "/rollouts/" + url.PathEscape(rollout) + "/backtest"
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var r backtest.Result
			if err := c.Call(cmd.Context(), http.MethodPost, path, b, &r); err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { printTried(w, r) })
		},
	}
	cmd.Flags().StringVar(&rollout, "rollout", "", "whose evidence it is: its id, or its plan's name (default: the newest of PLAN's flag)")
	cmd.Flags().IntVar(&b.Attempt, "attempt", 0, "run of evidence, from 1; 0 = the newest")
	cmd.Flags().StringVar(&from, "from", "", "from when on, such as 2025-02-19T09:00:00Z (default: since its traffic began)")
	cmd.Flags().StringVar(&to, "to", "", "until when (default: until its traffic ended, or now)")
	cmd.Flags().StringVar(&b.People, "people", "now", "when people give what is asked for: now, never, or after a time such as 2h")
	return cmd
}

func printTried(w io.Writer, r backtest.Result) {
	fmt.Fprintf(w, "%s over what was recorded of %s, %s to %s UTC, a look every %s\n\n", r.Plan, oneLine(r.Rollout), r.From.UTC().Format(time.DateTime), r.To.UTC().Format(time.DateTime), plan.FormatDuration(r.Every))
	list := func(title string, events []backtest.Event) {
		fmt.Fprintln(w, title)
		t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
		for _, e := range events {
			fmt.Fprintf(t, "  %s\t%g%%\t%s\n", e.At.UTC().Format(time.DateTime), e.Exposure, oneLine(e.Text))
			if e.Why != "" {
				fmt.Fprintf(t, "\t\t%s\n", oneLine(e.Why))
			}
		}
		_ = t.Flush()
		if len(events) == 0 {
			fmt.Fprintln(w, "  nothing")
		}
	}
	list("The plan would have", r.Events)
	fmt.Fprintf(w, "  at the end it is %s at %s, %g%%: %s\n", strings.ReplaceAll(string(r.Status), "_", " "), oneLine(r.Stage), r.Exposure, r.Why)
	for _, text := range r.Waiting {
		fmt.Fprintf(w, "  waits for %s\n", oneLine(text))
	}
	fmt.Fprintln(w)
	list("Really", r.Real)
	fmt.Fprintln(w, "\nThe difference")
	for _, text := range r.Against {
		fmt.Fprintf(w, "  %s\n", oneLine(text))
	}
	if len(r.Unanswered) > 0 {
		fmt.Fprintln(w, "\nNot recorded, so unknown")
		for _, u := range r.Unanswered {
			fmt.Fprintf(w, "  %s: %s\n", oneLine(u.Rule), u.Why)
		}
	}
	fmt.Fprintln(w, "\nMind")
	for _, text := range r.Caveats {
		fmt.Fprintf(w, "  %s\n", text)
	}
}
