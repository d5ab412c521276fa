package cli

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/controller"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/rollout"
)

func (a *app) rolloutExplain() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use: "explain ROLLOUT", Short: "Say why it is where it is, or why it was decided so at any time before", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/rollouts/" + url.PathEscape(args[0]) + "/explain"
			if at != "" {
				path += "?at=" + url.QueryEscape(at)
			}
			var x controller.Explanation
			if err := a.get(cmd.Context(), path, &x); err != nil {
				return err
			}
			return a.print(x, func(w io.Writer) { printExplanation(w, x) })
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "journal position, or time such as 2026-05-04T09:30:00Z (default: now)")
	return cmd
}

func printExplanation(w io.Writer, x controller.Explanation) {
	fmt.Fprintln(w, oneLine(x.Sentence))
	when := "now"
	if !x.Now {
		when = "position " + positions(x)
	}
	fmt.Fprintf(w, "%s, %s, %s UTC, plan revision %d\n", x.Rollout, when, x.At.UTC().Format(time.DateTime), x.Revision)
	if x.Before != x.After {
		fmt.Fprintf(w, "from %s to %s\n", standing(x.Before), standing(x.After))
	}
	if len(x.Next) > 0 {
		fmt.Fprintf(w, "next: %s\n", oneLine(strings.Join(x.Next, "; ")))
	}
	if !x.Stored {
		fmt.Fprintf(w, "%s\n", x.Missing)
	}
	for _, d := range x.Differences {
		fmt.Fprintf(w, "computed again it differs: %s\n", oneLine(d))
	}
	printLooks(w, x.Steps)
	if len(x.Events) > 0 {
		fmt.Fprintln(w, "\njournal")
		for _, e := range x.Events {
			fmt.Fprintf(w, "  %d  %s\n", e.Pos, oneLine(e.Title))
		}
	}
}

func positions(x controller.Explanation) string {
	if x.First == x.Last {
		return strconv.FormatInt(x.First, 10)
	}
	return fmt.Sprintf("%d to %d", x.First, x.Last)
}

func standing(s controller.Standing) string {
	text := words(s.Status)
	if s.Status == "" {
		text = "nothing"
	}
	if s.Stage != "" {
		text += " at " + s.Stage
	}
	return text + " " + strconv.FormatFloat(s.Traffic, 'f', -1, 64) + " %"
}

// printLooks prints the steps in the order of looking, and then their rules.
func printLooks(w io.Writer, looks []rollout.Look) {
	if len(looks) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\tLOOKED AT\tOUTCOME\tWHAT WAS SEEN")
	rules := false
	for _, l := range looks {
		mark := ""
		if l.Outcome == rollout.Decided {
			mark = ">"
		}
		rules = rules || len(l.Rules) > 0
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", mark, l.Name, l.Outcome, oneLine(l.Text))
	}
	_ = t.Flush()
	if !rules {
		return
	}
	fmt.Fprintln(w)
	t = tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "\tLOOK\tRULE\tVERDICT\tVALUE\tLIMIT\tESTIMATE (95%)\tWHY")
	for _, l := range looks {
		decided := l.Outcome == rollout.Decided
		if !decided && l.Name != "rollback" && l.Name != "reduce" && l.Name != "criteria" {
			continue // its rules are among those of the three
		}
		for _, r := range l.Rules {
			mark, why := "", r.Why
			if r.Decides && decided {
				mark = ">"
			}
			if r.Note != "" {
				why = r.Note + "; " + why
			}
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, l.Name, oneLine(r.Rule), r.Status, amount(r.Value, r.Verdict),
				amount(&r.Limit, r.Verdict), estimate(r.Verdict), oneLine(why))
		}
	}
	_ = t.Flush()
}

// amount writes a value of a verdict: a relative change where the rule
// compares, else in the metric's unit.
func amount(x *float64, v judge.Verdict) string {
	if x == nil {
		return "-"
	}
	if v.Ref != plan.None {
		return fmt.Sprintf("%+.1f%%", 100**x)
	}
	return judge.Format(*x, v.Unit)
}

func estimate(v judge.Verdict) string {
	if v.Low == nil && v.High == nil {
		return "-"
	}
	interval := amount(v.Low, v) + " … " + amount(v.High, v)
	if v.Estimate == nil {
		return interval
	}
	return amount(v.Estimate, v) + " (" + interval + ")"
}
