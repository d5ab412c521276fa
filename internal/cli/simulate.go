package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"serin/internal/parallel"
	"serin/internal/simulate"
)

// simulateOptions are what the command line of simulate says.
type simulateOptions struct {
	runs     int
	grid     int
	seed     uint64
	start    string
	file     string
	measured bool
	figures  map[string]*string // by the figure's name
	more     []string
}

// defaultGridRuns is how often every regression is played.
const defaultGridRuns = 400

// figureFlags are the figures with a flag of their own.
var figureFlags = []struct{ flag, figure, usage string }{
	{"views-per-day", "views_per_day", "page views a day of the audience"},
	{"users", "users", "people in the audience"},
	{"errors-per-view", "errors_per_view", "errors per page view, such as 0.05%"},
	{"p1-per-day", "p1_per_day", "errors graded p1 a day"},
	{"p2-per-day", "p2_per_day", "errors graded p2 a day"},
	{"lcp", "lcp", "page load (LCP) p75, such as 2.0s"},
	{"api", "api_p95", "API p95, such as 180ms"},
}

func (a *app) simulate() *cobra.Command {
	o := simulateOptions{figures: map[string]*string{}}
	cmd := &cobra.Command{
		Use: "simulate PLAN", Short: "Play a plan on made-up traffic: false rollbacks, stuck gates, what it catches", Args: cobra.ExactArgs(1),
		Long: `Play a plan many times with the real judge and the real state machine, on made-up traffic of the figures given:
how often a healthy feature is rolled back, by which rule; what keeps it at which gate, and when a person is asked;
when it is finished. Then known regressions, errors ×1.2 to ×20 and latency +5% to +30%: how surely and when each is
caught, how many users were exposed and harmed; and what changes of the plan would bring. The same seed gives the same
answer.

Figures that are left out are those of a site of 20,000 page views a day, events in proportion to the views: see "Simulate a plan" in the guide. With
--measured they are taken from the hours of the plan's baseline, as the server measured them, and options stand over them. A file
given with --traffic holds them as YAML, "traffic: { views_per_day: 2000000, lcp: 2.0s, complaints_per_day: 3 }".`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.simulatePlan(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.IntVar(&o.runs, "runs", simulate.DefaultRuns, "healthy runs to play")
	f.IntVar(&o.grid, "grid-runs", defaultGridRuns, "runs of every regression and every suggestion; 0 leaves them out")
	f.Uint64Var(&o.seed, "seed", 1, "seed of the random numbers")
	f.StringVar(&o.start, "start", "", `when it starts, "2025-02-19 09:00" in the plan's zone (default: the plan's start, else a Monday 09:00 UTC)`)
	f.StringVar(&o.file, "traffic", "", "file with the traffic figures")
	f.BoolVar(&o.measured, "measured", false, "take the figures from what the server measured; the plan must be stored there")
	for _, figure := range figureFlags {
		o.figures[figure.figure] = f.String(figure.flag, "", figure.usage)
	}
	f.StringArrayVar(&o.more, "figure", nil, "any other figure: METRIC_per_day=NUMBER of a count, METRIC=VALUE of anything else; may be repeated")
	return cmd
}

func (a *app) simulatePlan(cmd *cobra.Command, path string, o simulateOptions) error {
	p, err := a.parsedPlan(path)
	if err != nil {
		return err
	}
	traffic := simulate.DefaultTraffic()
	var measured simulate.Figures
	if o.measured {
		if err := a.get(cmd.Context(), "/plans/"+url.PathEscape(p.Name)+"/traffic", &measured); err != nil {
			return err
		}
		traffic = measured.Traffic
	}
	base := traffic
	if traffic, err = o.traffic(base); err == nil && !o.measured { // counts that are not given go with the views
		base = simulate.DefaultFor(traffic.ViewsPerDay)
		traffic, err = o.traffic(base)
	}
	if err != nil {
		return usageError{err}
	}
	if o.runs == 0 {
		return usageError{errors.New("--runs 0: play one healthy run or more")}
	}
	options := simulate.Options{Traffic: traffic, Runs: o.runs, GridRuns: o.grid, Suggest: true, Seed: o.seed}
	if o.start != "" {
		if options.Start, err = time.ParseInLocation("2006-01-02 15:04", o.start, p.Location); err != nil {
			return usageError{fmt.Errorf("--start %q: write it as 2025-02-19 09:00", o.start)}
		}
	}
	// Runs make much garbage and keep little: collected less often it is a fifth
	// faster, in 300 MB.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	bar := newProgress(a.Err, options.Pieces(p))
	options.Each = func(n int, f func(i int)) error { return parallel.Each(cmd.Context(), n, 0, f, bar.of(n)) }
	result, err := simulate.Run(p, options)
	bar.end()
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped: a part of the runs says nothing, so nothing is printed")
	}
	if err != nil {
		return err
	}
	result.Basis = measured.Basis
	result.Assumed = append(result.Assumed, measured.Assumed...)
	if text := traffic.Like(base); text != "" && !o.measured {
		result.Assumed = append(result.Assumed, "as on a small site, in proportion to its views: "+text)
	}
	return a.print(result, func(w io.Writer) { printSimulation(w, result) })
}

// traffic reads the figures: those given, over them the file's, over them the
// flags'.
func (o *simulateOptions) traffic(t simulate.Traffic) (simulate.Traffic, error) {
	if o.file != "" {
		source, err := os.ReadFile(o.file)
		if err != nil {
			return t, err
		}
		var file struct {
			Traffic map[string]string `yaml:"traffic"`
		}
		if err := yaml.Unmarshal(source, &file); err != nil || file.Traffic == nil {
			return t, fmt.Errorf("%s is no file of traffic figures: write traffic: { views_per_day: 20000 }", o.file)
		}
		for name, text := range file.Traffic {
			if err := t.Set(name, text); err != nil {
				return t, fmt.Errorf("%s: %w", o.file, err)
			}
		}
	}
	for _, figure := range figureFlags {
		if text := *o.figures[figure.figure]; text != "" {
			if err := t.Set(figure.figure, text); err != nil {
				return t, err
			}
		}
	}
	for _, one := range o.more {
		name, text, ok := strings.Cut(one, "=")
		if !ok {
			return t, fmt.Errorf("--figure %q: write METRIC=VALUE", one)
		}
		if err := t.Set(name, text); err != nil {
			return t, err
		}
	}
	return t, nil
}

// printSimulation writes what a simulation found.
func printSimulation(w io.Writer, r simulate.Result) {
	t := r.Traffic
	fmt.Fprintf(w, "%s: %s healthy runs, %s page views a day of %s users, seed %d\n\n", r.Plan,
		simulate.Thousands(float64(r.Runs)), simulate.Thousands(t.ViewsPerDay), simulate.Thousands(t.Users), r.Seed)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "False rollback, whole plan\t%s\t(tests may use %s, fixed limits come on top)\n", r.FalseRollback, simulate.Percent(r.Budget))
	if r.FalseReduce.Of > 0 && hasReduce(r) {
		fmt.Fprintf(tw, "False reduction, whole plan\t%s\n", r.FalseReduce)
	}
	fmt.Fprintf(tw, "Stuck at a criterion\t%s\t(somebody has to override or change the plan)\n", r.Stuck)
	fmt.Fprintf(tw, "A person is asked\t%s\t(a criterion is unknown at the end of bake)\n", r.Asked)
	fmt.Fprintf(tw, "Finished without being stuck\t%s\n", r.Finished)
	if r.Finished.Count > 0 {
		fmt.Fprintf(tw, "Finish, of these\t%s\t(90%%: %s; earliest: %s)\n", simulate.Hours(r.Finish.P50), simulate.Hours(r.Finish.P90), simulate.Hours(r.Earliest))
	}
	tw.Flush()
	printGuards(w, r)
	printGates(w, r)
	printCriteria(w, r)
	printChecks(w, r)
	printGrid(w, r)
	if len(r.Basis) > 0 {
		fmt.Fprintln(w, "\nMeasured")
		for _, text := range r.Basis {
			fmt.Fprintf(w, "  %s\n", text)
		}
	}
	if len(r.Assumed) > 0 {
		fmt.Fprintln(w, "\nAssumed, for want of a figure")
		for _, text := range r.Assumed {
			fmt.Fprintf(w, "  %s\n", text)
		}
	}
}

func hasReduce(r simulate.Result) bool {
	for _, g := range r.Guards {
		if g.List == "reduce" {
			return true
		}
	}
	return false
}

func printGuards(w io.Writer, r simulate.Result) {
	fmt.Fprintln(w, "\nRules that act, on a healthy feature")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "  RULE\tKIND\tWHOLE PLAN")
	for _, s := range r.Stages {
		fmt.Fprintf(tw, "\t%s", s.Stage)
	}
	fmt.Fprintln(tw)
	for _, g := range r.Guards {
		kind := "test"
		if g.Fixed {
			kind = "fixed"
		}
		if g.List == "reduce" {
			kind += ", reduce"
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s", g.Rule, kind, g.Acts)
		for _, s := range g.ByStage {
			fmt.Fprintf(tw, "\t%s", simulate.Percent(s.P))
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

func printGates(w io.Writer, r simulate.Result) {
	fmt.Fprintln(w, "\nStages")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  STAGE\tTRAFFIC\tUSERS\tREACHED\tASKS\tSTUCK\tWAITS AFTER BAKE\tCAN PROVE ERRORS WITHIN")
	for _, s := range r.Stages {
		fmt.Fprintf(tw, "  %s\t%g%%\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Stage, s.Traffic, simulate.Thousands(float64(s.Users)),
			simulate.Percent(s.Reached.P), s.Asked, s.Stuck, simulate.Hours(s.Waited.P50), simulate.Provable(s.Provable))
	}
	tw.Flush()
}

func printCriteria(w io.Writer, r simulate.Result) {
	fmt.Fprintln(w, "\nCriteria that keep a healthy feature at the end of bake")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  STAGE\tRULE\tNOT MET\tUNKNOWN\tSTUCK")
	rows := 0
	for _, s := range r.Stages {
		for _, c := range s.Proceed {
			if c.NotMet.Count+c.Unknown.Count+c.Stuck.Count > 0 {
				rows++
				fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\n", s.Stage, c.Rule, c.NotMet, c.Unknown, c.Stuck)
			}
		}
	}
	if rows == 0 {
		fmt.Fprintln(w, "  none did")
		return
	}
	tw.Flush()
}

func printChecks(w io.Writer, r simulate.Result) {
	fmt.Fprintln(w, "\nChecks that are red although nothing is wrong")
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  STAGE\tRULE\tRED ONCE OR MORE\tRED CHECKS A RUN")
	rows := 0
	for _, s := range r.Stages {
		for _, c := range s.Checks {
			if c.Red.Count > 0 {
				rows++
				fmt.Fprintf(tw, "  %s\t%s\t%s\t%.1f\n", s.Stage, c.Rule, c.Red, c.Times)
			}
		}
	}
	if rows == 0 {
		fmt.Fprintln(w, "  none was")
		return
	}
	tw.Flush()
}

// printGrid writes what becomes of regressions, and what might be changed.
func printGrid(w io.Writer, r simulate.Result) {
	if len(r.Grid) == 0 {
		return
	}
	fmt.Fprintf(w, "\nRegressions from the start on, %s runs each (kept: not caught, but a criterion held a gate for good)\n", simulate.Thousands(float64(r.Grid[0].Caught.Of)))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(tw, "  REGRESSION\tCAUGHT\tKEPT\tAFTER (95%)\tEXPOSED (95%)\tHARMED (95%)")
	for _, s := range r.Stages {
		fmt.Fprintf(tw, "\t%s", s.Stage)
	}
	fmt.Fprintf(tw, "\n  healthy\t%s\t%s\t\t\t\n", simulate.Percent(r.FalseRollback.P+r.FalseReduce.P), simulate.Percent(r.Stuck.P))
	for _, c := range r.Grid {
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s", c.Name, c.Caught, simulate.Percent(c.Kept.P),
			ifAny(c, simulate.Hours(c.Hours.P50)+" ("+simulate.Hours(c.Hours.P95)+")"), ifAny(c, people(c.Exposed)), ifAny(c, people(c.Harmed)))
		for _, s := range c.ByStage {
			fmt.Fprintf(tw, "\t%s", s.Short())
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
	fmt.Fprintln(w, "\nSmallest regression caught with 80% (between the ones played: interpolated)")
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range r.Smallest {
		if s.Stage == "" {
			s.Stage = "whole plan"
		}
		fmt.Fprintf(tw, "  %s\terrors %s\tlatency %s\n", s.Stage, simulate.Factor(s.Errors), simulate.Change(s.Latency))
	}
	tw.Flush()
	printSuggestions(w, r.Suggestions)
}

func ifAny(c simulate.CellResult, text string) string {
	if c.Caught.Count == 0 {
		return "-"
	}
	return text
}

func people(s simulate.Spread) string {
	return simulate.Thousands(s.P50) + " (" + simulate.Thousands(s.P95) + ")"
}

func printSuggestions(w io.Writer, list []simulate.Suggestion) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(w, "\nWhat changes of the plan bring, played with %s\n", list[0].Effect)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  CHANGE\tCAUGHT\tIN THE FIRST STAGE\tEXPOSED\tFALSE ROLLBACK\tASKED\tFINISH")
	row := func(name string, o simulate.Outlook) {
		finish := "-"
		if o.FinishHours > 0 {
			finish = simulate.Hours(o.FinishHours)
		}
		exposed := "-"
		if o.Caught.Count > 0 {
			exposed = simulate.Thousands(o.Exposed)
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, o.Caught, o.First, exposed, o.FalseRollback, o.Asked, finish)
	}
	row("as it is", list[0].Before)
	for _, s := range list {
		row(s.Change, s.After)
	}
	tw.Flush()
}
