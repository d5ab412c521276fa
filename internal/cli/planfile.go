package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/controller"
	"serin/internal/plan"
)

func (a *app) planList() *cobra.Command {
	return a.listedIn(&cobra.Command{
		Use: "list", Short: "List stored plans with what lint says and their rollouts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var plans []controller.PlanSummary
			if err := a.get(cmd.Context(), "/plans", &plans); err != nil {
				return err
			}
			return a.print(plans, func(w io.Writer) { printPlans(w, plans) })
		},
	})
}

func printPlans(w io.Writer, plans []controller.PlanSummary) {
	if len(plans) == 0 {
		fmt.Fprintln(w, "no plans yet: serin plan put PLAN, or serin rollout create PLAN")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PLAN\tVERSION\tSTORED\tLINT\tROLLOUTS")
	for _, p := range plans {
		var rollouts []string
		for _, r := range p.Rollouts {
			rollouts = append(rollouts, fmt.Sprintf("%s (%s)", r.ID, words(r.Status)))
		}
		if len(rollouts) == 0 {
			rollouts = []string{"-"}
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", p.Name, p.Number, p.At.UTC().Format(time.DateTime), checkWords(p.Check), strings.Join(rollouts, ", "))
	}
	_ = t.Flush()
}

// checkWords is a lint result in short: "2 errors, 1 warning".
func checkWords(c controller.PlanCheck) string {
	return count(c.Errors, "error") + ", " + count(c.Warnings, "warning")
}

func (a *app) planShow() *cobra.Command {
	var number int
	var defaults bool
	cmd := &cobra.Command{
		Use: "show PLAN", Short: "Print a stored plan's file", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var p controller.PlanText
			if err := a.get(cmd.Context(), "/plans/"+url.PathEscape(args[0])+"?version="+strconv.Itoa(number), &p); err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				text := p.Source
				if defaults && p.Shown != "" {
					text = p.Shown
				}
				printText(w, text)
			})
		},
	}
	cmd.Flags().IntVar(&number, "version", 0, "version (default: the latest)")
	cmd.Flags().BoolVar(&defaults, "defaults", false, "with every default filled in, the timeline and the runbook")
	return cmd
}

// printText writes a text from the server line by line, safe for a terminal.
func printText(w io.Writer, text string) {
	for line := range strings.Lines(text) {
		fmt.Fprintln(w, oneLine(strings.TrimRight(line, "\r\n")))
	}
}

func (a *app) planPut() *cobra.Command {
	return a.madeIn(&cobra.Command{
		Use: "put PLAN", Short: "Store a version of a plan file; nothing is started", Args: cobra.ExactArgs(1),
		Long: "Store a version of a plan file. Lint errors refuse it. Nothing is started and no rollout changes: those go by\nserin rollout create and serin rollout revise.",
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := a.readPlan(args[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var p controller.PlanStored
			if err := c.Call(cmd.Context(), http.MethodPost, "/plans", source, &p); err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				printProblems(w, args[0], p.Check.Problems)
				what := "stored"
				if !p.New {
					what = "is stored already"
				}
				fmt.Fprintf(w, "%s version %d %s: %s\n", p.Name, p.Number, what, checkWords(p.Check))
			})
		},
	})
}

func (a *app) planDiff() *cobra.Command {
	var from, to int
	var file string
	cmd := &cobra.Command{
		Use: "diff PLAN", Short: "Print what differs between two versions, or a version and a file, and whether it may be revised in flight",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var d controller.PlanDiff
			path := "/plans/" + url.PathEscape(args[0]) + "/diff?from=" + strconv.Itoa(from)
			if file == "" {
				err = c.Call(cmd.Context(), http.MethodGet, path+"&to="+strconv.Itoa(to), nil, &d)
			} else {
				var source []byte
				if source, err = a.readPlan(file); err == nil {
					err = c.Call(cmd.Context(), http.MethodPost, path, source, &d)
				}
			}
			if err != nil {
				return err
			}
			return a.print(d, func(w io.Writer) { printPlanDiff(w, d) })
		},
	}
	cmd.Flags().IntVar(&from, "from", 0, "version to compare with (default: the latest)")
	cmd.Flags().IntVar(&to, "to", 0, "version to compare (default: the latest)")
	cmd.Flags().StringVar(&file, "plan", "", "plan file to compare in place of --to; - is standard input")
	cmd.MarkFlagsMutuallyExclusive("to", "plan")
	return cmd
}

func printPlanDiff(w io.Writer, d controller.PlanDiff) {
	if d.Text == "" {
		fmt.Fprintln(w, "the files are the same")
	}
	printText(w, d.Text)
	if len(d.Changes) > 0 {
		fmt.Fprintln(w, "\nchanges:")
	}
	for _, c := range d.Changes {
		fmt.Fprintf(w, "  %s\n", oneLine(c.String()))
	}
	if !d.From.End.Equal(d.To.End) {
		fmt.Fprintf(w, "\nearliest end: %s, was %s (UTC)\n", moment(d.To.End), moment(d.From.End))
	}
	lintChange(w, "gone", d.Gone)
	lintChange(w, "new", d.Fresh)
	if d.Revision != nil {
		printRevision(w, d)
	}
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

func lintChange(w io.Writer, what string, found []plan.Problem) {
	for _, p := range found {
		fmt.Fprintf(w, "%s: line %d: %s %s: %s: %s\n", what, p.Line, p.Severity, p.Code, oneLine(p.What), oneLine(p.Fix))
	}
}

// printRevision says whether the rollout may take the newer side, and how.
func printRevision(w io.Writer, d controller.PlanDiff) {
	r := d.Revision
	switch {
	case r.Same:
		fmt.Fprintf(w, "\n%s goes by it already\n", r.Rollout)
		return
	case !r.Possible:
		fmt.Fprintf(w, "\n%s cannot take it:\n", r.Rollout)
		for _, p := range r.Problems {
			fmt.Fprintf(w, "  line %d: %s %s: %s: %s\n", p.Line, p.Severity, p.Code, oneLine(p.What), oneLine(p.Fix))
		}
		return
	}
	fmt.Fprintf(w, "\n%s can take it in flight: %s\n", r.Rollout, strings.Join(r.Resets, "; "))
	if r.Looser && !r.Approved {
		fmt.Fprintf(w, "it is looser, so it needs an approval too: %s\n", approvers(r.Approve))
	}
	fmt.Fprintf(w, "serin rollout revise %s --plan FILE --version %d\n", r.Rollout, r.Version)
}

func approvers(roles []string) string {
	if len(roles) == 0 {
		return "every operator may give it"
	}
	return "by " + strings.Join(roles, " or ")
}
