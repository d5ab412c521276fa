package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"serin/internal/plan"
)

// readPlan reads a plan file; "-" is standard input.
func (a *app) readPlan(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(a.In)
	}
	return os.ReadFile(path)
}

func (a *app) lint() *cobra.Command {
	return &cobra.Command{
		Use: "lint PLAN", Short: "Check a plan file", Args: cobra.ExactArgs(1),
		Long: "Check a plan file. Errors stop a start and give exit status 1; warnings do not.",
		RunE: func(_ *cobra.Command, args []string) error {
			source, err := a.readPlan(args[0])
			if err != nil {
				return err
			}
			problems, err := lintSource(source)
			if err != nil {
				return err
			}
			failed := false
			for i := range problems {
				problems[i].File = args[0]
				failed = failed || problems[i].Severity == plan.Error
			}
			err = a.print(problems, func(w io.Writer) {
				for _, p := range problems {
					fmt.Fprintln(w, p)
					if p.Excerpt != "" {
						fmt.Fprintf(w, "    %s\n", p.Excerpt)
					}
				}
				if !failed {
					fmt.Fprintf(w, "%s: no errors, %d warnings (not looked at without a server: %v)\n", args[0], len(problems), plan.Skipped())
				}
			})
			if err == nil && failed {
				return errFailed
			}
			return err
		},
	}
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
			if err != nil {
				return err
			}
			_, err = a.Out.Write(plan.Show(p))
			return err
		},
	}
}
