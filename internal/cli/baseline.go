package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"serin/internal/baseline"
	"serin/internal/controller"
)

// baselineOptions are what the command line of an import says.
type baselineOptions struct {
	csv, prometheus, events, sessions string // one of them; events with sessions
	counts                            string
	metric, query, countQuery         string
	from, to, step                    string
	source                            string
	scale                             float64
	replace                           bool
}

func (a *app) baseline() *cobra.Command {
	cmd := &cobra.Command{Use: "baseline", Short: "Show and complete what rules with vs baseline compare with"}
	cmd.AddCommand(a.baselineShow(), a.baselineImport())
	return cmd
}

func (a *app) baselineShow() *cobra.Command {
	return &cobra.Command{
		Use: "show PLAN", Short: "Print how much of a plan's baseline was measured, and imported", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var r controller.BaselineReport
			if err := a.get(cmd.Context(), "/baselines/"+url.PathEscape(args[0]), &r); err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { printBaseline(w, r) })
		},
	}
}

func printBaseline(w io.Writer, r controller.BaselineReport) {
	if len(r.Metrics) == 0 {
		fmt.Fprintf(w, "no rule of %s compares with the baseline\n", r.Plan)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "METRIC\tWANTED\tMEASURED\tIMPORTED\tFROM")
	for _, e := range r.Metrics {
		from := "-"
		if len(e.Sources) > 0 {
			from = oneLine(strings.Join(e.Sources, ", "))
		}
		fmt.Fprintf(t, "%s\t%s d\t%s d\t%s d\t%s\n", e.Metric, baseline.Days(e.Want), baseline.Days(e.Measured), baseline.Days(e.Imported), from)
	}
	_ = t.Flush()
}

func (a *app) baselineImport() *cobra.Command {
	var o baselineOptions
	cmd := &cobra.Command{
		Use: "import PLAN", Short: "Import hours of the past that another system measured", Args: cobra.ExactArgs(1),
		Long: `Import hours of the past for a plan's baseline, from one of:

  --csv FILE              time,metric,value,count; times as 2026-02-02T09:00:00Z
  --prometheus URL        a range query of Prometheus, or of what speaks its API; SERIN_PROMETHEUS_TOKEN is sent as bearer token
  --prometheus FILE       the answer of one
  --sentry-events FILE    the answer of /events-stats/ with yAxis=count_unique(user), with --sentry-sessions: errors
  --sentry-sessions FILE  the answer of /sessions/ with crash_free_rate(session) and sum(session): crash_free

Values are in the metric's base unit: ms, bytes, shares as 0 to 1; --scale converts. Metrics of users need a count, the
sample behind the value: of counts the users who were active in the hour, and the value is how many of them had such an
event. Hours that this server measured itself are never replaced. "-" as FILE reads standard input.`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.importBaseline(cmd, args[0], o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.csv, "csv", "", "CSV file")
	f.StringVar(&o.prometheus, "prometheus", "", "address of a Prometheus API, or a file with its answer")
	f.StringVar(&o.events, "sentry-events", "", "file with Sentry's answer of events-stats")
	f.StringVar(&o.sessions, "sentry-sessions", "", "file with Sentry's answer of sessions")
	f.StringVar(&o.metric, "metric", "", "the plan's metric that the figures are of")
	f.StringVar(&o.query, "query", "", "PromQL, one series")
	f.StringVar(&o.countQuery, "count-query", "", "PromQL of the sample sizes, for metrics of users")
	f.StringVar(&o.counts, "counts", "", "file with a second answer of Prometheus: the sample sizes")
	f.StringVar(&o.from, "from", "", "begin of the range query, such as 2026-02-02T09:00:00Z (default: 7 days before its end)")
	f.StringVar(&o.to, "to", "", "end of the range query (default: the last whole hour)")
	f.StringVar(&o.step, "step", "1h", "step of the range query")
	f.StringVar(&o.source, "source", "", "name of the source; an import under the same name replaces its hours (default: from the address or the kind of file)")
	f.Float64Var(&o.scale, "scale", 0, "multiply every value: 1000 makes ms of s, 0.01 shares of percents")
	f.BoolVar(&o.replace, "replace", false, "replace imported hours of other sources too")
	return cmd
}

// importBody is an import in the words of the API.
type importBody struct {
	Format  baseline.Format `json:"format"`
	Source  string          `json:"source"`
	Metric  string          `json:"metric,omitempty"`
	Data    string          `json:"data"`
	Counts  string          `json:"counts,omitempty"`
	Scale   float64         `json:"scale,omitempty"`
	Replace bool            `json:"replace,omitempty"`
}

func (a *app) importBaseline(cmd *cobra.Command, name string, o baselineOptions) error {
	if err := o.check(); err != nil {
		return usageError{err}
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	body := importBody{Metric: o.metric, Scale: o.scale, Replace: o.replace}
	if err := a.readFigures(cmd, o, &body); err != nil {
		return err
	}
	if o.source != "" {
		body.Source = o.source
	}
	var done controller.BaselineImported
	if err := c.Call(cmd.Context(), http.MethodPost, "/baselines/"+url.PathEscape(name), body, &done); err != nil {
		return err
	}
	return a.print(done, func(w io.Writer) {
		for _, m := range done.Metrics {
			fmt.Fprintln(w, m.Text())
		}
		if done.Skipped > 0 {
			fmt.Fprintf(w, "%s left out: no number\n", count(done.Skipped, "value"))
		}
	})
}

// check refuses what does not belong together.
func (o *baselineOptions) check() error {
	kinds := 0
	for _, given := range []bool{o.csv != "", o.prometheus != "", o.events != "" || o.sessions != ""} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("name one source: --csv, --prometheus, or --sentry-events and --sentry-sessions")
	case o.events != "" && o.sessions == "":
		return errors.New("--sentry-events needs --sentry-sessions too: errors are compared for each active user")
	case o.prometheus != "" && o.metric == "":
		return errors.New("--prometheus needs --metric: which metric of the plan it is")
	case o.overHTTP() && o.query == "":
		return errors.New("--prometheus URL needs --query")
	case !o.overHTTP() && (o.query != "" || o.countQuery != "" || o.from != "" || o.to != ""):
		return errors.New("--query, --count-query, --from and --to belong to --prometheus URL")
	case o.counts != "" && (o.prometheus == "" || o.overHTTP()):
		return errors.New("--counts belongs to --prometheus FILE; a URL takes --count-query")
	case o.csv != "" && o.metric != "":
		return errors.New("a CSV names its metrics itself: leave --metric out")
	}
	return nil
}

func (o *baselineOptions) overHTTP() bool {
	return strings.HasPrefix(o.prometheus, "http://") || strings.HasPrefix(o.prometheus, "https://")
}

// readFigures reads or fetches what is to be imported.
func (a *app) readFigures(cmd *cobra.Command, o baselineOptions, body *importBody) (err error) {
	switch {
	case o.csv != "":
		body.Format, body.Source = baseline.CSV, "csv "+filepath.Base(o.csv)
		body.Data, err = a.figures(o.csv)
	case o.overHTTP():
		body.Format = baseline.Prometheus
		return a.queryRange(cmd.Context(), o, body)
	case o.prometheus != "":
		body.Format, body.Source = baseline.Prometheus, "prometheus "+filepath.Base(o.prometheus)
		if body.Data, err = a.figures(o.prometheus); err == nil && o.counts != "" {
			body.Counts, err = a.figures(o.counts)
		}
	case o.events != "":
		body.Format, body.Source = baseline.SentryEvents, "sentry"
		if body.Data, err = a.figures(o.events); err == nil {
			body.Counts, err = a.figures(o.sessions)
		}
	default:
		body.Format, body.Source = baseline.SentrySessions, "sentry"
		body.Data, err = a.figures(o.sessions)
	}
	return err
}

// figures reads a file, "-" = standard input.
func (a *app) figures(path string) (string, error) {
	if path == "-" {
		data, err := io.ReadAll(a.In)
		return string(data), err
	}
	data, err := os.ReadFile(path)
	return string(data), err
}
