package cli

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"serin/internal/controller"
	"serin/internal/plan"
)

// rolloutEmergency prints what to do when serin is down, while it is up.
func (a *app) rolloutEmergency() *cobra.Command {
	return &cobra.Command{
		Use: "emergency ROLLOUT | FILE.yaml", Short: "Print what to do when serin itself is down, to be kept elsewhere", Args: cobra.ExactArgs(1),
		Long: `Print the runbook for the case that serin itself is down, in Markdown: whom to call, what each kind of client does meanwhile,
how the feature is switched off without serin, how the data is restored, and how one sees that it is over. Print it, or
keep it beside the code: while serin is down nobody can ask for it. A name that ends in .yaml or .yml is a plan file, of
which the runbook is made without a server.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var e controller.Emergency
			if ext := filepath.Ext(args[0]); ext == ".yaml" || ext == ".yml" {
				source, err := os.ReadFile(args[0])
				if err != nil {
					return err
				}
				p, err := plan.Parse(source)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				e = controller.EmergencyOf(p, controller.Site{Data: a.data, URL: a.url})
			} else if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/emergency", &e); err != nil {
				return err
			}
			return a.print(e, func(w io.Writer) {
				for line := range strings.Lines(e.Text) {
					fmt.Fprintln(w, oneLine(strings.TrimSuffix(line, "\n")))
				}
			})
		},
	}
}
