package cli

import (
	"encoding/json"
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

	"serin/internal/alert"
	"serin/internal/alerting"
)

// alertCommand asks and decides about alert rules. Without a verb it lists.
func (a *app) alertCommand() *cobra.Command {
	list := a.alertList()
	cmd := &cobra.Command{Use: "alert", Short: "List alert rules, acknowledge, silence, explain and back-test them", Args: cobra.NoArgs, Long: list.Long, RunE: list.RunE}
	cmd.AddCommand(list, a.alertPut(), a.alertDelete(), a.alertAck(), a.alertSilence(), a.alertUnsilence(), a.alertWhy(), a.alertBacktest(), a.alertSlackManifest())
	return cmd
}

func (a *app) alertList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List alert rules, what fires first", Args: cobra.NoArgs,
		Long: `List the alert rules of plans, which are watched from the start of a rollout until after.alerts after its end, and the
stand-alone ones. "serin alert" alone does the same.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []alerting.View
			if err := a.get(cmd.Context(), "/alerts", &all); err != nil {
				return err
			}
			return a.print(all, func(w io.Writer) { printAlerts(w, all) })
		}}
}

func printAlerts(w io.Writer, all []alerting.View) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no alert rule is watched")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ALERT\tSTATE\tSEVERITY\tSINCE (UTC)\tRULE")
	for _, v := range all {
		since := "-"
		if !v.Since.IsZero() {
			since = v.Since.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Phase, v.Severity, since, oneLine(v.Text))
	}
	_ = t.Flush()
}

func (a *app) alertPut() *cobra.Command {
	return &cobra.Command{Use: "put ALERT FILE", Short: "Create or replace a stand-alone rule from a JSON file; - is standard input", Args: cobra.ExactArgs(2),
		Long: `Create or replace a stand-alone alert rule. The file is the body of put-alert in the OpenAPI document, such as
{"query": "level:[error, fatal]", "value": "count()", "limit": 5, "by": ["environment"], "notify": ["slack:#team"]}.
Durations are nanoseconds; what is left out has its default.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			read := func() ([]byte, error) { return os.ReadFile(args[1]) }
			if args[1] == "-" {
				read = func() ([]byte, error) { return io.ReadAll(a.In) }
			}
			data, err := read()
			if err != nil {
				return fmt.Errorf("read the rule: %w", err)
			}
			if !json.Valid(data) {
				return usageError{fmt.Errorf("%s is not JSON", args[1])}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var v alerting.View
			if err := c.Call(cmd.Context(), http.MethodPut, "/alerts/"+url.PathEscape(args[0]), json.RawMessage(data), &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { fmt.Fprintf(w, "%s is watched: %s\n", v.ID, oneLine(v.Text)) })
		}}
}

func (a *app) alertDelete() *cobra.Command {
	return &cobra.Command{Use: "delete ALERT", Short: "Delete a stand-alone rule with its history and its counts", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/alerts/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"deleted": args[0]}, "%s is deleted", args[0])
		}}
}

// alertAct is a command that decides about what fires.
func (a *app) alertAct(use, short, path, done string, more func(map[string]any) error) *cobra.Command {
	var labels []string
	var reason string
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := map[string]any{"reason": reason}
			if len(labels) > 0 {
				body["labels"] = labels
			}
			if more != nil {
				if err := more(body); err != nil {
					return usageError{err}
				}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var v alerting.View
			if err := c.Call(cmd.Context(), http.MethodPost, "/alerts/"+url.PathEscape(args[0])+"/"+path, body, &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { fmt.Fprintf(w, done+"\n", args[0]) })
		}}
	cmd.Flags().StringArrayVar(&labels, "label", nil, "only groups with this label, name=value; may be given again")
	cmd.Flags().StringVar(&reason, "reason", "", "kept in the alert's history and the audit log")
	return cmd
}

func (a *app) alertAck() *cobra.Command {
	return a.alertAct("ack ALERT", "Acknowledge what fires: it is not told again until it resolves or grows worse", "ack", "%s is acknowledged", nil)
}

func (a *app) alertSilence() *cobra.Command {
	span := "1h"
	cmd := a.alertAct("silence ALERT", "Keep notices back for a time; the rule goes on being looked at", "silence", "%s is silenced", func(body map[string]any) error {
		text, factor := span, 1
		if days, ok := strings.CutSuffix(span, "d"); ok {
			text, factor = days+"h", 24
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return fmt.Errorf("--for %q: write a duration such as 30m, 8h or 7d", span)
		}
		body["until"] = time.Now().Add(time.Duration(factor) * d)
		return nil
	})
	cmd.Flags().StringVar(&span, "for", span, "for how long: 30m, 8h, 7d; at most 30d")
	return cmd
}

func (a *app) alertUnsilence() *cobra.Command {
	return a.alertAct("unsilence ALERT", "End a silence before its time", "unsilence", "%s tells again", nil)
}

func (a *app) alertWhy() *cobra.Command {
	var at string
	cmd := &cobra.Command{Use: "why ALERT", Short: "Say why a rule does or does not fire, now or at a time in the past", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "/alerts/" + url.PathEscape(args[0]) + "/why"
			if at != "" {
				path += "?at=" + url.QueryEscape(at)
			}
			var out alerting.Why
			if err := a.get(cmd.Context(), path, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) { printWhy(w, out) })
		}}
	cmd.Flags().StringVar(&at, "at", "", "a time of the last 30 days in RFC 3339; left out: now")
	return cmd
}

// whyHistory is how many entries of a history are printed.
const whyHistory = 10

func printWhy(w io.Writer, y alerting.Why) {
	fmt.Fprintf(w, "%s  %s  (%s)\n", y.Alert.ID, oneLine(y.Alert.Name), y.Alert.Phase)
	for _, line := range y.Lines {
		fmt.Fprintln(w, oneLine(line))
	}
	for n, c := range y.History[:min(len(y.History), whyHistory)] {
		if n == 0 {
			fmt.Fprintln(w, "\nlatest:")
		}
		fmt.Fprintf(w, "  %s  %s  %s\n", c.At.UTC().Format(time.DateTime), c.Kind, oneLine(c.Why))
	}
}

func (a *app) alertBacktest() *cobra.Command {
	var days int
	var limit, over, held, calm string
	cmd := &cobra.Command{Use: "backtest ALERT", Short: "Say what a rule, as it is or changed, would have done with what was counted", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			q := url.Values{"days": {strconv.Itoa(days)}}
			for key, value := range map[string]string{"limit": limit, "over": over, "for": held, "resolve_after": calm} {
				if value != "" {
					q.Set(key, value)
				}
			}
			var out alert.Backtest
			if err := a.get(cmd.Context(), "/alerts/"+url.PathEscape(args[0])+"/backtest?"+q.Encode(), &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) { printBacktest(w, out) })
		}}
	f := cmd.Flags()
	f.IntVar(&days, "days", 7, "how far back, 1 to 30")
	f.StringVar(&limit, "limit", "", "another limit to try")
	f.StringVar(&over, "over", "", "another window to try, such as 30m")
	f.StringVar(&held, "for", "", "another time to hold, such as 5m")
	f.StringVar(&calm, "resolve-after", "", "another time of calm, such as 1h")
	return cmd
}

func printBacktest(w io.Writer, b alert.Backtest) {
	fmt.Fprintf(w, "would have fired %d times from %s to %s UTC\n", len(b.Episodes), b.From.UTC().Format(time.DateTime), b.To.UTC().Format(time.DateTime))
	if b.Highest != nil {
		fmt.Fprintf(w, "furthest out: %g at %s UTC\n", *b.Highest, b.HighestAt.UTC().Format(time.DateTime))
	}
	for _, e := range b.Episodes {
		to := "still"
		if !e.To.IsZero() {
			to = e.To.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(w, "  %s  to %s  %s  %s\n", e.From.UTC().Format(time.DateTime), to, e.Severity, oneLine(e.Labels.String()))
	}
}
