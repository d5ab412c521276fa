package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/api"
	"serin/internal/incident"
	"serin/internal/plan"
	"serin/internal/response"
)

// incidentCommand asks and decides about incidents. Without a verb it lists.
func (a *app) incidentCommand() *cobra.Command {
	list := a.incidentList()
	cmd := &cobra.Command{Use: "incident", Short: "Open, lead, decide, resolve and close incidents", Args: cobra.NoArgs, Long: list.Long, RunE: list.RunE}
	cmd.AddCommand(list, a.incidentOpen(), a.incidentShow(), a.incidentDecide(), a.incidentSeverity(), a.postMortem(),
		a.incidentAct("ack INCIDENT", "Say that you are on it: the respond clock stops", "acknowledge", "%s is acknowledged", 0, nil),
		a.incidentAct("note INCIDENT TEXT", "Write a note into the timeline", "note", "the note is in the timeline of %s", 1, func(b *api.IncidentAct, args []string) { b.Text = args[0] }),
		a.incidentAct("handover INCIDENT WHO", "Hand the lead to a person or a role", "handover", "%s is handed over", 1, func(b *api.IncidentAct, args []string) { b.To = args[0] }),
		a.incidentAct("resolve INCIDENT CAUSE", "Resolve an incident with its cause: the rollout may be raised again", "resolve", "%s is resolved", 1, func(b *api.IncidentAct, args []string) { b.Text = args[0] }),
		a.incidentAct("reopen INCIDENT", "Open a resolved incident again", "reopen", "%s is open again", 0, nil),
		a.incidentAct("item INCIDENT TEXT", "Complete an item that is needed to close", "item", "the item of %s is done", 1, func(b *api.IncidentAct, args []string) { b.Item = args[0] }),
		a.incidentAct("close INCIDENT", "Close an incident whose items are all done", "close", "%s is closed", 0, nil))
	return cmd
}

func incidentPath(id, verb string) string { return "/incidents/" + url.PathEscape(id) + "/" + verb }

func (a *app) incidentList() *cobra.Command {
	all := false
	cmd := &cobra.Command{Use: "list", Short: "List incidents, open ones first", Args: cobra.NoArgs,
		Long: `List incidents: open ones first, then the newest. "serin incident" alone does the same.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var found []response.View
			if err := a.get(cmd.Context(), "/incidents?all="+strconv.FormatBool(all), &found); err != nil {
				return err
			}
			return a.print(found, func(w io.Writer) { printIncidents(w, found) })
		}}
	cmd.Flags().BoolVar(&all, "all", false, "closed ones too")
	return cmd
}

func printIncidents(w io.Writer, all []response.View) {
	if len(all) == 0 {
		fmt.Fprintln(w, "there is no incident")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "INCIDENT\tSTATUS\tSEVERITY\tROLLOUT\tOPENED (UTC)\tTITLE")
	for _, v := range all {
		rollout := v.Rollout
		if rollout == "" {
			rollout = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Status, v.Severity, rollout, v.OpenedAt.UTC().Format(time.DateTime), oneLine(v.Title))
	}
	_ = t.Flush()
}

func (a *app) incidentOpen() *cobra.Command {
	var b api.IncidentOpening
	project := ""
	cmd := &cobra.Command{Use: "open TITLE", Short: "Open an incident: its rollout is not raised until it is resolved", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			b.Title = args[0]
			c, err := a.client()
			if err != nil {
				return err
			}
			path := "/incidents"
			if project != "" {
				path += "?project=" + url.QueryEscape(project)
			}
			var v response.View
			if err := c.Call(cmd.Context(), http.MethodPost, path, b, &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { fmt.Fprintf(w, "%s is open\n", v.ID) })
		}}
	cmd.Flags().StringVar(&b.Rollout, "rollout", "", "the rollout that it is about: its id, or its plan's name")
	cmd.Flags().StringVar(&b.Severity, "severity", "", "p1 (the default) to p4")
	cmd.Flags().StringVar(&b.Text, "text", "", "what was seen")
	cmd.Flags().StringVar(&project, "project", "", "of an incident about no rollout")
	return cmd
}

func (a *app) incidentShow() *cobra.Command {
	return &cobra.Command{Use: "show INCIDENT", Short: "Show an incident: clocks, decision tree and timeline", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v response.View
			if err := a.get(cmd.Context(), "/incidents/"+url.PathEscape(args[0]), &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { printIncident(w, v) })
		}}
}

func printIncident(w io.Writer, v response.View) {
	fmt.Fprintf(w, "%s %s %s: %s\n", v.ID, strings.ToUpper(v.Severity), v.Status, oneLine(v.Title))
	if v.Rollout != "" {
		fmt.Fprintf(w, "rollout %s at %g%%\n", v.Rollout, float64(v.Exposure)/1000)
	}
	if v.Live.Known {
		fmt.Fprintf(w, "%d users affected, %d P1 events, %d errors (old variant: %d)\n", v.Live.Affected, v.Live.P1, v.Live.New, v.Live.Old)
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, c := range v.Clocks {
		fmt.Fprintf(t, "%s\twithin %s\t%s\t%s\n", c.Clock, plan.FormatDuration(c.Limit), c.State, clockLeft(c))
	}
	_ = t.Flush()
	for _, n := range v.Tree {
		mark, question := " ", n.If
		if n.Proposed {
			mark = "*"
		}
		if question == "" {
			question = "otherwise"
		}
		fmt.Fprintf(w, "%s %s: %s (%s), %s leaves %d of %d users\n", mark, question, n.Status, oneLine(n.Why), branchWords(n), n.Users, v.Live.Users)
	}
	for _, item := range v.Needs {
		fmt.Fprintf(w, "needed to close: %s\n", oneLine(item))
	}
	for _, e := range v.Timeline {
		fmt.Fprintf(w, "%s  %s\n", e.At.UTC().Format(time.DateTime), oneLine(e.Title))
	}
}

func clockLeft(c response.ClockView) string {
	switch {
	case !c.Done.IsZero():
		return "took " + plan.FormatDuration(c.Took.Truncate(time.Second))
	case c.State == response.ClockRuns:
		return plan.FormatDuration(c.Left.Truncate(time.Second)) + " left"
	}
	return ""
}

func branchWords(n incident.Answer) string {
	if n.Do == incident.Reduce {
		return fmt.Sprintf("reduce %g%%", float64(n.Percent)/1000)
	}
	return n.Do
}

// incidentAct is a command with its arguments after the incident's id.
func (a *app) incidentAct(use, short, path, done string, args int, fill func(b *api.IncidentAct, args []string)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1 + args),
		RunE: func(cmd *cobra.Command, args []string) error {
			var b api.IncidentAct
			if fill != nil {
				fill(&b, args[1:])
			}
			return a.incidentDo(cmd, http.MethodPost, args[0], path, b, done)
		}}
}

func (a *app) incidentDo(cmd *cobra.Command, method, id, path string, b api.IncidentAct, done string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var v response.View
	if err := c.Call(cmd.Context(), method, incidentPath(id, path), b, &v); err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) { fmt.Fprintf(w, done+"\n", id) })
}

func (a *app) incidentDecide() *cobra.Command {
	var b api.IncidentAct
	to := ""
	cmd := &cobra.Command{Use: "decide INCIDENT [OUTCOME]", Short: "Decide what the plan proposes, or rollback, reduce, hotfix, pause or hold", Args: cobra.RangeArgs(1, 2),
		Long: `Decide what is done about an incident; it is carried out at once. Without OUTCOME it is what the plan's decision tree
proposes. Another outcome needs --reason.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				b.Do = args[1]
			}
			if to != "" {
				v, err := strconv.ParseFloat(strings.TrimSuffix(to, "%"), 64)
				if err != nil {
					return usageError{fmt.Errorf("--to %q: write a percentage such as 5%%", to)}
				}
				b.Percent = &v
			}
			return a.incidentDo(cmd, http.MethodPost, args[0], "decide", b, "%s is decided")
		}}
	cmd.Flags().StringVar(&b.Text, "reason", "", "why; needed for what the plan does not propose")
	cmd.Flags().StringVar(&to, "to", "", "reduce: to this percentage; left out, the plan's own")
	cmd.Flags().StringVar(&b.As, "as", "", "the plan's role to act in")
	return cmd
}

func (a *app) incidentSeverity() *cobra.Command {
	var b api.IncidentAct
	cmd := &cobra.Command{Use: "severity INCIDENT [p1|p2|p3|p4]", Short: "Change the severity, or make it a severe one", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				b.Severity = args[1]
			}
			return a.incidentDo(cmd, http.MethodPost, args[0], "severity", b, "the severity of %s is changed")
		}}
	cmd.Flags().BoolVar(&b.Severe, "severe", false, "it is severe: it gets a channel of its own")
	cmd.Flags().StringVar(&b.Text, "reason", "", "why")
	return cmd
}

func (a *app) postMortem() *cobra.Command {
	file := ""
	cmd := &cobra.Command{Use: "postmortem INCIDENT", Short: "Print the post-mortem in Markdown, or write people's part of it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file != "" {
				read := func() ([]byte, error) { return os.ReadFile(file) }
				if file == "-" {
					read = func() ([]byte, error) { return io.ReadAll(a.In) }
				}
				text, err := read()
				if err != nil {
					return fmt.Errorf("read the post-mortem: %w", err)
				}
				return a.incidentDo(cmd, http.MethodPut, args[0], "postmortem", api.IncidentAct{Text: string(text)}, "the post-mortem of %s is written")
			}
			var p api.PostMortem
			if err := a.get(cmd.Context(), incidentPath(args[0], "postmortem"), &p); err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) { fmt.Fprint(w, p.Markdown) })
		}}
	cmd.Flags().StringVar(&file, "write", "", "write people's part from this Markdown file; - is standard input")
	return cmd
}
