package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/judge"
	"serin/internal/rollout"
)

func (a *app) rollout() *cobra.Command {
	cmd := &cobra.Command{Use: "rollout", Short: "Create, watch and steer rollouts"}
	cmd.AddCommand(a.rolloutCreate(), a.rolloutList(), a.rolloutGet(), a.rolloutJournal(), a.rolloutPlan(), a.rolloutRunbook(), a.rolloutPanels(), a.rolloutEmergency(), a.rolloutCalendar(), a.rolloutExplain())
	for _, v := range steering {
		cmd.AddCommand(a.rolloutVerb(v))
	}
	return cmd
}

// steer is one verb of the command line.
type steer struct {
	verb  rollout.Verb
	short string
	item  string // name of a second argument, "" = none
	flags []string
}

// steering lists the verbs, the same words as on buttons, in the API and in the journal.
var steering = []steer{
	{rollout.Start, "Start it: the checklist must be complete", "", nil},
	{rollout.Approve, "Approve the next raise, a restart or a looser plan", "", []string{"item"}},
	{rollout.Accept, "Accept an unknown criterion at the end of bake", "", nil},
	{rollout.Confirm, "Confirm what no metric says", "TEXT", nil},
	{rollout.Complete, "Complete a checklist item or task", "ITEM", []string{"evidence", "choice"}},
	{rollout.Reopen, "Reopen a checklist item or task", "ITEM", nil},
	{rollout.Promote, "Promote past bake, criteria and window, with a reason", "", []string{"to"}},
	{rollout.Pause, "Pause: traffic stays, nothing rises", "", nil},
	{rollout.Resume, "Resume from paused or reduced", "", nil},
	{rollout.Reduce, "Reduce to a lower percentage", "", []string{"percent", "hotfix"}},
	{rollout.Rollback, "Roll back: flag off for everybody, at once", "", nil},
	{rollout.Restart, "Restart after a rollback: a new attempt", "", []string{"to", "cause"}},
	{rollout.Revise, "Revise the plan in flight", "", []string{"plan"}},
	{rollout.Cancel, "Cancel before the start or after a rollback", "", nil},
	{rollout.Finish, "Finish the clean-up", "", nil},
	{rollout.Revert, "Say that you revert by hand, and with --done that it is live", "", []string{"done"}},
}

func (a *app) rolloutVerb(s steer) *cobra.Command {
	var reason, as, to, percent, evidence, choice, cause, file, key string
	var approved string
	var hotfix, done bool
	var version int64
	use, n := string(s.verb)+" ROLLOUT", 1
	if s.item != "" {
		use, n = use+" "+s.item, 2
	}
	cmd := &cobra.Command{Use: use, Short: s.short, Args: cobra.ExactArgs(n)}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, for the journal")
	f.StringVar(&as, "as", "", "plan role to act in (default: the token's)")
	f.StringVar(&key, "key", "", "idempotency key: the same key twice is one command")
	if !s.verb.Urgent() {
		f.Int64Var(&version, "version", 0, "version last seen; the command is refused when it is stale")
	}
	for _, name := range s.flags {
		switch name {
		case "to":
			f.StringVar(&to, "to", "", "stage")
		case "percent":
			f.StringVar(&percent, "to", "", "percentage, such as 1% (default: the plan's actions.reduce)")
		case "hotfix":
			f.BoolVar(&hotfix, "hotfix", false, "flag off for all, stage kept: resume wants a new release")
		case "evidence":
			f.StringVar(&evidence, "evidence", "", "link to the evidence")
		case "choice":
			f.StringVar(&choice, "choose", "", "option chosen")
		case "item":
			f.StringVar(&approved, "item", "", "what is approved: restart for a new attempt after a rollback, revise for a looser plan (default: the next raise)")
		case "done":
			f.BoolVar(&done, "done", false, "the revert is live; without it, it begins now")
		case "cause":
			f.StringVar(&cause, "cause", "", "what was wrong and is mended")
		case "plan":
			f.StringVar(&file, "plan", "", "the new plan file")
		}
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := map[string]any{"reason": reason, "as": as, "version": version, "to": to, "hotfix": hotfix, "evidence": evidence, "cause": cause}
		if choice != "" {
			body["to"] = choice
		}
		if n == 2 {
			body["item"] = args[1]
		}
		if approved != "" {
			body["item"] = approved
		}
		if done {
			body["done"] = true
		}
		if percent != "" && hotfix {
			return usageError{errors.New("--to and --hotfix exclude each other: a hotfix takes the flag off everybody")}
		}
		if percent != "" {
			p, err := flag.ParsePercent(percent)
			if err != nil {
				return usageError{err}
			}
			body["percent"] = float64(p) / 1000
		}
		if s.verb == rollout.Revise {
			if file == "" {
				return usageError{errors.New("name the new plan file: --plan FILE")}
			}
			source, err := a.readPlan(file)
			if err != nil {
				return err
			}
			body["plan"] = string(source)
		}
		var res controller.Result
		if err := a.command(cmd.Context(), args[0], s.verb, key, body, &res); err != nil {
			return err
		}
		return a.print(res, func(w io.Writer) { printResult(w, res) })
	}
	return cmd
}

// command sends one verb.
func (a *app) command(ctx context.Context, id string, verb rollout.Verb, key string, body map[string]any, out *controller.Result) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	c.key = key
	return c.Call(ctx, http.MethodPost, "/rollouts/"+url.PathEscape(id)+"/"+string(verb), body, out)
}

func printResult(w io.Writer, r controller.Result) {
	for _, e := range r.Events {
		fmt.Fprintln(w, strings.TrimSpace(fmt.Sprintf("%d  %s  %s  %s", e.Pos, e.At.UTC().Format(time.DateTime), e.Type, oneLine(e.Item))))
	}
	for _, e := range r.Events { // what a person is to do by hand
		for _, line := range e.Show {
			fmt.Fprintf(w, "    %s\n", oneLine(line))
		}
	}
	fmt.Fprintf(w, "%s is %s at %s, version %d\n", r.State.ID, words(r.State.Status), r.State.Exposure, r.State.Version)
}

// words writes a status as people do: "rolled back".
func words(s rollout.Status) string { return strings.ReplaceAll(string(s), "_", " ") }

func (a *app) rolloutCreate() *cobra.Command {
	return a.madeIn(&cobra.Command{
		Use: "create PLAN", Short: "Create the next rollout of a plan file, in preflight", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			source, err := a.readPlan(args[0])
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var res controller.Result
			if err := c.Call(cmd.Context(), http.MethodPost, "/rollouts", source, &res); err != nil {
				return err
			}
			return a.print(res, func(w io.Writer) { printResult(w, res) })
		},
	})
}

func (a *app) rolloutList() *cobra.Command {
	return a.listedIn(&cobra.Command{
		Use: "list", Short: "List rollouts, those that need somebody first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var views []controller.View
			if err := a.get(cmd.Context(), "/rollouts", &views); err != nil {
				return err
			}
			return a.print(views, func(w io.Writer) {
				if len(views) == 0 {
					fmt.Fprintln(w, "no rollouts yet: serin rollout create PLAN")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "ROLLOUT\tSTATE\tSTAGE\tTRAFFIC\tWAITS FOR")
				for _, v := range views {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s%%\t%s\n", v.ID, words(v.State.Status), stageName(v), strconv.FormatFloat(v.Exposure, 'f', -1, 64), waits(v))
				}
				_ = t.Flush()
			})
		},
	})
}

func stageName(v controller.View) string {
	if v.State.Stage < len(v.Stages) && v.State.Attempt > 0 {
		return v.Stages[v.State.Stage].Name
	}
	return "-"
}

func waits(v controller.View) string {
	if len(v.Waiting) == 0 {
		return "-"
	}
	return v.Waiting[0].Text
}

// get reads one path of the API.
func (a *app) get(ctx context.Context, path string, out any) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	return c.Call(ctx, http.MethodGet, path, nil, out)
}

func (a *app) rolloutGet() *cobra.Command {
	return &cobra.Command{
		Use: "get ROLLOUT", Short: "Show where a rollout is, what it waits for and its rules", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var v controller.View
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0]), &v); err != nil {
				return err
			}
			return a.print(v, func(w io.Writer) { printView(w, v) })
		},
	}
}

func printView(w io.Writer, v controller.View) {
	fmt.Fprintf(w, "%s  %s\n", v.ID, v.Title)
	fmt.Fprintf(w, "%s at %s%%, stage %s, attempt %d, version %d\n", words(v.State.Status), strconv.FormatFloat(v.Exposure, 'f', -1, 64), stageName(v), v.State.Attempt, v.Version)
	for _, x := range v.Waiting {
		fmt.Fprintf(w, "waits for %s\n", waitText(x))
	}
	if v.State.Reason != "" {
		fmt.Fprintf(w, "reason: %s\n", oneLine(v.State.Reason))
	}
	open := openItems(v)
	for _, it := range open {
		fmt.Fprintf(w, "open: %s\n", it)
	}
	if v.State.Status == rollout.Preflight && len(open) == 0 {
		fmt.Fprintf(w, "waits for a person: serin rollout start %s\n", v.ID)
	}
	if d := v.Deploy; d != nil {
		fmt.Fprintf(w, "build variable %s: %s\n", d.Variable, d.Text)
		for _, command := range d.Commands {
			fmt.Fprintf(w, "    %s\n", command)
		}
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	rules := func(name string, list []judge.Verdict) {
		for _, d := range list {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", name, d.Status, d.Rule, d.Why)
		}
	}
	rules("proceed", v.Proceed)
	rules("rollback", v.Rollback)
	rules("reduce", v.Reduce)
	_ = t.Flush()
}

// waitText says after "waits for" what a rollout waits for. Kinds that are not
// here read well as they are.
func waitText(x rollout.Waiting) string {
	switch x.Kind {
	case "no data":
		return "data: none for " + x.Detail
	case "blind":
		return "a source that fails: " + x.Detail + " cannot be judged"
	case "criteria":
		return "criteria that are not met: " + x.Detail
	case "evidence":
		return "evidence: " + x.Detail + " still unknown"
	case "decision":
		return "a decision: " + x.Detail + " still unknown; accept, wait or roll back"
	case "window":
		return "its time: " + x.Detail
	case "approval":
		return "approval by " + x.Detail
	case "confirm", "checklist":
		return "a person: the open items below"
	case "incident":
		return "incident " + x.Detail + " to be resolved"
	}
	return x.Text
}

// openItems are the items that the state waits for, with id and role.
func openItems(v controller.View) []string {
	lists := [][]controller.ItemView{v.Before, v.Confirm}
	switch v.State.Status {
	case rollout.Preflight:
		lists = [][]controller.ItemView{v.Checklist}
	case rollout.Cleanup:
		lists = [][]controller.ItemView{v.Tasks}
	}
	var out []string
	for _, list := range lists {
		for _, it := range list {
			if it.Done {
				continue
			}
			text := it.Do
			if it.ID != it.Do {
				text = it.ID + ": " + text
			}
			if it.By != "" {
				text += " (" + it.By + ")"
			}
			out = append(out, oneLine(text))
		}
	}
	return out
}

func (a *app) rolloutPlan() *cobra.Command {
	return &cobra.Command{
		Use: "plan ROLLOUT", Short: "Print the plan file in force", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var source []byte
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/plan", &source); err != nil {
				return err
			}
			return a.print(map[string]string{"source": string(source)}, func(w io.Writer) { _, _ = w.Write(source) })
		},
	}
}

func (a *app) rolloutJournal() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "journal ROLLOUT", Short: "Print what happened, newest first", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var entries []controller.Entry
			if err := a.get(cmd.Context(), "/rollouts/"+url.PathEscape(args[0])+"/timeline?limit="+strconv.Itoa(limit), &entries); err != nil {
				return err
			}
			return a.print(entries, func(w io.Writer) {
				for _, e := range entries {
					fmt.Fprintf(w, "%s  %s\n", e.At.UTC().Format(time.DateTime), oneLine(e.Title))
					for _, line := range strings.FieldsFunc(e.Text, func(r rune) bool { return r == '\n' }) {
						fmt.Fprintf(w, "    %s\n", oneLine(line))
					}
				}
			})
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "most entries")
	return cmd
}
