package cli

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/spf13/cobra"
)

// reportFormats are the forms of a report.
var reportFormats = []string{"markdown", "html", "json"}

// finalReport prints what became of a rollout, as the server writes it.
func (a *app) finalReport() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "report ROLLOUT", Short: "Print what became of a rollout: criteria, people, time, ways back", Args: cobra.ExactArgs(1),
		Long: `Prints the report of a rollout: whether its criteria were met and on which numbers, who decided what, where the time
went, and how long each way back took against its limit. It is final once the rollout is over; before that it says how
things stand. Markdown pastes into a ticket, html is one page to print.

  serin report new-checkout-1
  serin report new-checkout-1 --format html > report.html`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if a.json {
				format = "json"
			}
			if !slices.Contains(reportFormats, format) {
				return usageError{fmt.Errorf("--format %q: write markdown, html or json", format)}
			}
			var text []byte
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/report?format="+format, &text); err != nil {
				return err
			}
			if format == "json" {
				text = append(text, '\n')
			}
			_, err := a.Out.Write(text)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "markdown", "markdown, html or json")
	return cmd
}
