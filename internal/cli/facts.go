package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"serin/internal/plan"
	"serin/internal/scan"
)

func (a *app) facts() *cobra.Command {
	var file string
	var dry bool
	cmd := &cobra.Command{
		Use: "facts DIR", Short: "Verify a plan's facts about code and tell the server, from CI", Args: cobra.ExactArgs(1),
		Long: `Verify a plan's facts about code ("path exists", "path gone", "refs gone") in the source tree DIR and send them
to the server, which completes or reopens the checklist items that verify them. A fact is stale after 24 hours: run it
with every build. Exit status 0 also where a fact does not hold.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usageError{errors.New("name the plan: --plan FILE")}
			}
			p, err := a.parsedPlan(file)
			if err != nil {
				return err
			}
			facts, err := scan.Facts(p, os.DirFS(args[0]))
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if !dry && len(facts) > 0 {
				if err := a.sendFacts(cmd, facts); err != nil {
					return err
				}
			}
			return a.print(map[string]any{"plan": p.Name, "facts": facts, "sent": !dry && len(facts) > 0}, func(w io.Writer) {
				if len(facts) == 0 {
					fmt.Fprintf(w, "plan %s has no facts about code\n", p.Name)
				}
				for _, key := range slices.Sorted(maps.Keys(facts)) {
					fmt.Fprintf(w, "%-5t  %s\n", facts[key], oneLine(key))
				}
			})
		},
	}
	cmd.Flags().StringVar(&file, "plan", "", `plan file; "-" is standard input`)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print only, send nothing")
	return a.madeIn(cmd)
}

// sendFacts pushes facts as values, under the names that plans give them.
func (a *app) sendFacts(cmd *cobra.Command, facts map[string]bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	values := map[string]string{}
	for key, holds := range facts {
		values[key] = strconv.FormatBool(holds)
	}
	return c.Call(cmd.Context(), http.MethodPost, "/values", values, nil)
}

// parsedPlan reads a plan; its errors are printed as lint prints them.
func (a *app) parsedPlan(file string) (*plan.Plan, error) {
	source, err := a.readPlan(file)
	if err != nil {
		return nil, err
	}
	p, err := plan.Parse(source)
	var problems plan.Problems
	if errors.As(err, &problems) {
		printProblems(a.Err, file, problems)
		return nil, errFailed
	}
	return p, err
}
