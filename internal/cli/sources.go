package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/poll"
)

// sources lists and tests what the server asks for measurements. Without a
// verb it lists.
func (a *app) sources() *cobra.Command {
	list := a.sourcesList()
	cmd := &cobra.Command{Use: "sources", Short: "List the sources that the server asks for measurements, and test them", Args: cobra.NoArgs,
		Long: list.Long, RunE: list.RunE}
	cmd.AddCommand(list, a.sourcesTest())
	return cmd
}

func (a *app) sourcesList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the sources with their last answers, ages and errors", Args: cobra.NoArgs,
		Long: `List the sources of the server's configuration (Prometheus, probes, reports) with their last answers, the age of these
and the last error. "serin sources" alone does the same.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []poll.Status
			if err := a.get(cmd.Context(), "/sources", &all); err != nil {
				return err
			}
			return a.print(all, func(w io.Writer) { printSources(w, all, time.Now()) })
		},
	}
}

func (a *app) sourcesTest() *cobra.Command {
	return &cobra.Command{
		Use: "test NAME", Short: "Ask a source once and show its answers", Args: cobra.ExactArgs(1),
		Long: `Ask a source once, now, and show its answers. Nothing of them is kept as evidence; the audit log has who asked. Exit
status 1: a question was not answered.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var out poll.Status
			if err := c.Call(cmd.Context(), http.MethodPost, "/sources/"+url.PathEscape(args[0])+"/test", nil, &out); err != nil {
				return err
			}
			if err := a.print(out, func(w io.Writer) { printSource(w, out, out.Asked) }); err != nil {
				return err
			}
			if out.State == poll.Failing || out.State == poll.Partly {
				return errFailed
			}
			return nil
		},
	}
}

func printSources(w io.Writer, all []poll.Status, now time.Time) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no source is configured: name one in sources of the server's configuration, see docs/guide/sources.md")
		return
	}
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		printSource(w, s, now)
	}
}

// printSource shows a source and its answers as of now.
func printSource(w io.Writer, s poll.Status, now time.Time) {
	project := cmp.Or(s.Project, "all projects")
	fmt.Fprintf(w, "%s  %s  %s  %s, every %s, for %s\n", oneLine(s.Name), s.Kind, s.State, oneLine(s.Address), s.Every, oneLine(project))
	if s.Error != "" {
		fmt.Fprintf(w, "  error: %s\n", oneLine(s.Error))
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range s.Answers {
		answer := r.Value
		if r.Error != "" {
			answer = "error: " + r.Error
		}
		if r.Series != "" {
			answer += fmt.Sprintf(" %s (worst of %d)", r.Series, r.Count)
		}
		age := "never"
		if !r.At.IsZero() {
			age = max(now.Sub(r.At), 0).Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", oneLine(strings.Join(r.Metrics, ", ")), oneLine(r.Query), oneLine(answer), age)
	}
	_ = t.Flush()
}
