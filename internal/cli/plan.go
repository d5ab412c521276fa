package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

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
			errorCount := plan.Problems(problems).Errors()
			err = a.print(problems, func(w io.Writer) {
				printProblems(w, args[0], problems)
				fmt.Fprintf(w, "%s: %s, %s (not looked at without a server: %s)\n", args[0],
					count(errorCount, "error"), count(len(problems)-errorCount, "warning"), strings.Join(plan.Skipped(), ", "))
			})
			if err == nil && errorCount > 0 {
				return errFailed
			}
			return err
		},
	}
}

// printProblems writes the findings of a plan file with the lines they are in.
func printProblems(w io.Writer, file string, problems []plan.Problem) {
	for i := range problems {
		problems[i].File = file
		fmt.Fprintln(w, problems[i])
		if problems[i].Excerpt != "" {
			fmt.Fprintf(w, "    %s\n", problems[i].Excerpt)
		}
	}
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

// firstPlan is what init writes.
const firstPlan = `# A plan says how a feature reaches its users. What is left out has a safe default:
# "serin show FILE" prints the plan with all of them, "serin lint FILE" says what is wrong.
serin: 1
plan: new-checkout              # rollouts are called new-checkout-1, -2, ...
timezone: UTC
flag: { key: newCheckout }      # what the code asks for; made with the first rollout
stages:
  - { stage: canary, traffic: 10%,  bake: 48h }
  - { stage: half,   traffic: 50%,  bake: 24h }
  - { stage: full,   traffic: 100%, bake: 72h }
`

func (a *app) initPlan() *cobra.Command {
	return &cobra.Command{
		Use: "init [FILE]", Short: "Write a plan to begin with (default: plan.yaml)", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := "plan.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s is there already: name another file", file)
			}
			if err != nil {
				return err
			}
			if _, err := io.WriteString(f, firstPlan); err != nil {
				return errors.Join(err, f.Close())
			}
			if err := f.Close(); err != nil {
				return err
			}
			return a.done(map[string]any{"written": file}, "%s written; next: serin lint %s", file, file)
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
