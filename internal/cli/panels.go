package cli

import (
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"serin/internal/dashboard"
	"serin/internal/judge"
	"serin/internal/panel"
	"serin/internal/plan"
)

func (a *app) rolloutPanels() *cobra.Command {
	var span, compare string
	cmd := &cobra.Command{
		Use: "panels ROLLOUT", Short: "Print what the plan's dashboard says: its targets, and its panels now and earlier", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"range": {span}, "compare": {compare}}
			var v dashboard.View
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/panels?"+q.Encode(), &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { printPanels(w, v) })
		},
	}
	cmd.Flags().StringVar(&span, "range", "48h", "how far back, such as 24h or 7d, at most 15d; rollout = since it began")
	cmd.Flags().StringVar(&compare, "compare", "7d", "how much earlier the compared time is; none = only what a panel says itself")
	return cmd
}

func printPanels(w io.Writer, v dashboard.View) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, target := range v.Targets {
		word, value := "not read yet", "—"
		if verdict := target.Verdict; verdict != nil {
			word = verdict.Status.String()
			if verdict.Value != nil {
				value = judge.Format(*verdict.Value, verdict.Unit)
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%s\tevery %s\n", target.Rule, word, value, plan.FormatDuration(target.Every))
	}
	_ = t.Flush()
	for _, p := range v.Panels {
		fmt.Fprintf(w, "\n%s: %s%s\n", oneLine(p.Title), panelValue(p, p.Now), wasText(p, p.Was))
		if p.Read != "" {
			fmt.Fprintf(w, "  read as %s\n", oneLine(p.Read))
		}
		for _, n := range p.Notes {
			fmt.Fprintf(w, "  %s read as %s\n", oneLine(n.From), oneLine(n.To))
		}
		if p.Problem != "" {
			fmt.Fprintf(w, "  %s\n", oneLine(p.Problem))
		}
		for _, g := range p.Groups {
			text := oneLine(g.Name) + "\t" + judge.Format(float64(g.N), "")
			if p.Shape == dashboard.Shares && g.All > 0 {
				text += " of " + judge.Format(float64(g.All), "")
			}
			if g.Was != nil {
				text += ", was " + judge.Format(float64(g.Was.N), "")
			}
			fmt.Fprintf(t, "  %s\n", text)
		}
		for _, i := range p.Issues {
			fmt.Fprintf(t, "  %s\t%s\t%d events\t%d users\n", i.ID, oneLine(i.Title), i.Events, i.Users)
		}
		_ = t.Flush()
	}
}

// panelValue is what a panel tells in a word.
func panelValue(p dashboard.PanelView, v panel.Value) string {
	switch {
	case p.Shape != dashboard.Line:
		return judge.Format(float64(v.N), "")
	case v.Value != nil:
		return judge.Format(*v.Value, p.Unit)
	}
	return "—"
}

func wasText(p dashboard.PanelView, was *panel.Value) string {
	if was == nil {
		return ""
	}
	return ", was " + panelValue(p, *was) + " " + plan.FormatDuration(p.Earlier) + " before"
}
