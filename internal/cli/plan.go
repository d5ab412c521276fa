package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"serin/internal/controller"
	"serin/internal/plan"
)

// readPlan reads a plan file; "-" is standard input.
func (a *app) readPlan(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(a.In)
	}
	return os.ReadFile(path)
}

// plans are the commands on plans that a server keeps.
func (a *app) plans() *cobra.Command {
	cmd := &cobra.Command{Use: "plan", Short: "Versions of plans that a server keeps"}
	cmd.AddCommand(a.planList(), a.planShow(), a.planPut(), a.planDiff())
	return cmd
}

func (a *app) lint() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use: "lint PLAN", Short: "Check a plan file", Args: cobra.ExactArgs(1),
		Long: `Check a plan file. Errors stop a start and give exit status 1; warnings do not.

With a server (--data, --url, or SERIN_URL with SERIN_TOKEN) it is checked with what that server knows too: its channels,
who owns the flag, and what telemetry brought. --offline asks no server.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := a.readPlan(args[0])
			if err != nil {
				return err
			}
			check, where, err := a.checkPlan(cmd.Context(), source, offline)
			if err != nil {
				return err
			}
			for i := range check.Problems {
				check.Problems[i].File = args[0]
			}
			err = a.print(check.Problems, func(w io.Writer) {
				printProblems(w, args[0], check.Problems)
				fmt.Fprintf(w, "%s: %s, %s (%s)\n", args[0], count(check.Errors, "error"), count(check.Warnings, "warning"), where)
			})
			if err == nil && !check.OK {
				return errFailed
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "ask no server")
	return a.madeIn(cmd)
}

// checkPlan lints a plan with what the server knows, where one is named, and
// says what was not looked at.
func (a *app) checkPlan(ctx context.Context, source []byte, offline bool) (check controller.PlanCheck, where string, err error) {
	named := a.data != "" || a.url != "" || a.getenv("SERIN_URL") != "" && a.getenv("SERIN_TOKEN") != ""
	if offline || !named {
		found, err := lintSource(source)
		n := plan.Problems(found).Errors()
		return controller.PlanCheck{OK: n == 0, Errors: n, Warnings: len(found) - n, Problems: found},
			"not looked at without a server: " + strings.Join(plan.Skipped(), ", "), err
	}
	c, err := a.client()
	if err != nil {
		return check, "", err
	}
	if err := c.Call(ctx, http.MethodPost, "/plans/lint", source, &check); err != nil {
		return check, "", err
	}
	where = "with what " + c.url + " knows"
	if len(check.Skipped) > 0 {
		where += "; not looked at: " + strings.Join(check.Skipped, ", ")
	}
	return check, where, nil
}

// printProblems writes the findings of a plan file: FILE:LINE:COLUMN, what was
// found, how to mend it, and the line with a caret under the place.
func printProblems(w io.Writer, file string, problems []plan.Problem) {
	for _, p := range problems {
		fmt.Fprintln(w, oneLine(fmt.Sprintf("%s:%d:%d: %s %s: %s: %s", file, p.Line, p.Column, p.Severity, p.Code, p.What, p.Fix)))
		if p.Excerpt != "" {
			fmt.Fprintf(w, "    %s\n    %s^\n", oneLine(p.Excerpt), indent(p.Excerpt, p.Column))
		}
	}
}

// indent is as wide as what stands before a column of a line, from 1 in bytes.
func indent(line string, column int) string {
	return strings.Repeat(" ", utf8.RuneCountInString(line[:min(max(column, 1)-1, len(line))]))
}

// count writes a number with its noun: "no errors", "1 error", "2 errors".
func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func lintSource(source []byte) ([]plan.Problem, error) {
	p, err := plan.Parse(source)
	var problems plan.Problems
	if errors.As(err, &problems) {
		return problems, nil
	}
	if err != nil {
		return nil, err
	}
	found := plan.Lint(p, nil)
	if found == nil {
		found = []plan.Problem{}
	}
	return found, nil
}

func (a *app) show() *cobra.Command {
	return &cobra.Command{
		Use: "show PLAN", Short: "Print a plan with its defaults, its timeline and the runbook", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			source, err := a.readPlan(args[0])
			if err != nil {
				return err
			}
			p, err := plan.Parse(source)
			var problems plan.Problems
			if errors.As(err, &problems) {
				printProblems(a.Err, args[0], problems)
				return errFailed
			}
			if err != nil {
				return err
			}
			return a.print(map[string]string{"plan": p.Name, "show": string(plan.Show(p))}, func(w io.Writer) { _, _ = w.Write(plan.Show(p)) })
		},
	}
}

func (a *app) schema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of plan files, for editors", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.Out.Write(plan.Schema())
			return err
		},
	}
}
