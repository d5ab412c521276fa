package cli

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/store"
	"serin/internal/telemetry"
)

// issuesCommand lists issues and decides about them.
func (a *app) issuesCommand() *cobra.Command {
	var rollout string
	list := func(cmd *cobra.Command, args []string) error {
		q := url.Values{"rollout": {rollout}, "query": {strings.Join(args, " ")}}
		var issues []store.Issue
		if err := a.get(cmd.Context(), "/issues?"+q.Encode(), &issues); err != nil {
			return err
		}
		return a.print(issues, func(w io.Writer) { printIssues(w, issues) })
	}
	cmd := &cobra.Command{Use: "issues", Short: "List groups of errors, last seen first", Args: cobra.NoArgs, RunE: list}
	found := &cobra.Command{Use: "list [SEARCH ...]", Short: "List the issues that match a search", RunE: list,
		Long: "List the issues that match a search in Sentry's syntax, last seen first.",
		Example: `  serin issues list 'is:for_review level:[error, fatal]'
  serin issues list 'arm:canary tags.feature:checkout firstSeen:-24h'`}
	for _, c := range []*cobra.Command{cmd, found} {
		c.Flags().StringVar(&rollout, "rollout", "", "only issues with events of this rollout")
	}
	cmd.AddCommand(found, a.issueShow(), a.issueResolve(), a.issueAccept(),
		a.issueChange("reopen ISSUE", "Open an issue again", map[string]any{"status": "unresolved"}, "%s is open again"),
		a.issueChange("review ISSUE", "Acknowledge an issue: somebody has seen it", map[string]any{"reviewed": true}, "%s is acknowledged"),
		a.issueAssign())
	return cmd
}

func printIssues(w io.Writer, issues []store.Issue) {
	if len(issues) == 0 {
		fmt.Fprintln(w, "no errors were reported, or none that match")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ISSUE\tLEVEL\tSTATUS\tEVENTS\tUSERS\tLAST SEEN (UTC)\tTITLE")
	for _, i := range issues {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", i.ID, oneLine(i.Level), i.Status, i.Events, i.Users, i.LastSeen.UTC().Format(time.DateTime), oneLine(i.Title))
	}
	_ = t.Flush()
}

// issueAnswer is what the API says of one issue.
type issueAnswer struct {
	store.Issue
	Latest []struct {
		ID       string                 `json:"id"`
		Received time.Time              `json:"received"`
		User     string                 `json:"user"`
		Release  string                 `json:"release"`
		Stack    []string               `json:"stack"`
		Minified string                 `json:"minified"`
		Before   []telemetry.Breadcrumb `json:"before"`
	} `json:"latest"`
}

func (a *app) issueShow() *cobra.Command {
	return &cobra.Command{Use: "show ISSUE", Short: "Show an issue with its latest event", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var i issueAnswer
			if err := a.get(cmd.Context(), "/issues/"+url.PathEscape(args[0]), &i); err != nil {
				return err
			}
			return a.print(i, func(w io.Writer) { printIssue(w, i) })
		}}
}

func printIssue(w io.Writer, i issueAnswer) {
	fmt.Fprintf(w, "%s  %s\n%s, %s, %s\n", i.ID, oneLine(i.Title), oneLine(i.Culprit), oneLine(i.Level), i.Status)
	fmt.Fprintf(w, "%d events of %d users, from %s to %s UTC\n", i.Events, i.Users, i.FirstSeen.UTC().Format(time.DateTime), i.LastSeen.UTC().Format(time.DateTime))
	for _, arm := range slices.Sorted(maps.Keys(i.Arms)) {
		fmt.Fprintf(w, "  %s: %d events of %d users\n", arm, i.Arms[arm].Events, i.Arms[arm].Users)
	}
	if i.Owner != "" {
		fmt.Fprintf(w, "owner: %s\n", oneLine(i.Owner))
	}
	if len(i.Latest) == 0 {
		return
	}
	e := i.Latest[0]
	fmt.Fprintf(w, "\nlatest event %s, release %s, user %s\n", e.Received.UTC().Format(time.DateTime), oneLine(e.Release), oneLine(e.User))
	for _, f := range e.Stack {
		fmt.Fprintf(w, "  at %s\n", oneLine(f))
	}
	if e.Minified != "" {
		fmt.Fprintf(w, "%s: serin sourcemaps upload --release RELEASE DIR\n", oneLine(e.Minified))
	}
	for n, c := range e.Before {
		if n == 0 {
			fmt.Fprintln(w, "before:")
		}
		fmt.Fprintf(w, "  %s  %s  %s\n", c.Time.UTC().Format(time.TimeOnly), oneLine(c.Category), oneLine(c.Message))
	}
}

// issueChange is a command that changes one issue in one way.
func (a *app) issueChange(use, short string, change map[string]any, done string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.triage(cmd, args[0], change, done) }}
}

func (a *app) triage(cmd *cobra.Command, id string, change map[string]any, done string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	if err := c.Call(cmd.Context(), http.MethodPatch, "/issues/"+url.PathEscape(id), change, nil); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, done+"\n", id)
	return nil
}

func (a *app) issueResolve() *cobra.Command {
	var now bool
	cmd := &cobra.Command{Use: "resolve ISSUE", Short: "Resolve an issue; it comes back with the next release that has it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if now {
				return a.triage(cmd, args[0], map[string]any{"status": "resolved"}, "%s is resolved: the next event brings it back")
			}
			return a.triage(cmd, args[0], map[string]any{"status": "resolved", "next_release": true}, "%s is resolved: an event of a release not seen before brings it back")
		}}
	cmd.Flags().BoolVar(&now, "now", false, "the next event of any release brings it back")
	return cmd
}

func (a *app) issueAccept() *cobra.Command {
	var until string
	cmd := &cobra.Command{Use: "accept ISSUE", Short: "Accept an issue as known: it holds no rollout", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change := map[string]any{"status": "ignored"}
			if until != "" {
				t, err := untilOf(until, time.Now())
				if err != nil {
					return usageError{err}
				}
				change["until"] = t
			}
			return a.triage(cmd, args[0], change, "%s is accepted")
		}}
	cmd.Flags().StringVar(&until, "until", "", "when it counts again: 2025-02-28, a time in RFC 3339, or 7d; left out: never")
	return cmd
}

// untilOf reads a date, a time or a number of days from now.
func untilOf(text string, now time.Time) (time.Time, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 3660 {
			return now.Add(time.Duration(n) * 24 * time.Hour), nil
		}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--until %q: write a date such as 2025-02-28, a time in RFC 3339, or 7d", text)
}

func (a *app) issueAssign() *cobra.Command {
	return &cobra.Command{Use: "assign ISSUE [PERSON]", Short: "Say who looks after an issue; without a person: nobody", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			owner := strings.Join(args[1:], "")
			return a.triage(cmd, args[0], map[string]any{"owner": owner}, "%s is assigned to "+strings.ReplaceAll(orNobody(owner), "%", "%%"))
		}}
}

func orNobody(owner string) string {
	if owner == "" {
		return "nobody"
	}
	return owner
}
