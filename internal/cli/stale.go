package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// staleAnswer is what the API says of one flag's use.
type staleAnswer struct {
	Key     string   `json:"key"`
	State   string   `json:"state"`
	Stale   bool     `json:"stale"`
	Why     string   `json:"why"`
	Do      string   `json:"do,omitempty"`
	Rollout string   `json:"rollout,omitempty"`
	Serves  []string `json:"serves,omitempty"`
	Usage   struct {
		Evaluations int64     `json:"evaluations"`
		Last        time.Time `json:"last,omitzero"`
		Reported    time.Time `json:"reported,omitzero"`
		Missed      int64     `json:"missed,omitempty"`
	} `json:"usage"`
}

func (a *app) flagStale() *cobra.Command {
	var after string
	var fail bool
	cmd := &cobra.Command{
		Use: "stale", Short: "Report what every flag is still good for", Args: cobra.NoArgs,
		Long: `Report on every flag: what it is still good for, why, and what to do. Stale are a flag whose rollout is done
("delete the code" while "serin facts" still finds something, then "delete the flag"), one that served the same variant to
everybody for long and is nobody's ("constant"), one that nobody asks for ("nobody asks", "never asked"), and a key that
clients ask for though there is no such flag ("unknown key"). A flag whose metadata has permanent: true is not stale.
Exit status 1 with --fail when any is.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var reports []staleAnswer
			if err := a.get(cmd.Context(), "/flags/stale?"+url.Values{"after": {after}}.Encode(), &reports); err != nil {
				return err
			}
			stale := 0
			for _, r := range reports {
				if r.Stale {
					stale++
				}
			}
			if err := a.print(reports, func(w io.Writer) { printStale(w, reports, stale) }); err != nil {
				return err
			}
			if fail && stale > 0 {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&after, "after", "30d", "how long a flag may be constant, or asked for by nobody")
	cmd.Flags().BoolVar(&fail, "fail", false, "exit status 1 when any flag is stale")
	return cmd
}

func printStale(w io.Writer, reports []staleAnswer, stale int) {
	if len(reports) == 0 {
		fmt.Fprintln(w, "the server has no flags")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "FLAG\tSTATE\tROLLOUT\tWHY")
	for _, r := range reports {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", oneLine(r.Key), r.State, cmp.Or(r.Rollout, "-"), oneLine(r.Why))
	}
	_ = t.Flush()
	for _, r := range reports {
		if r.Do != "" {
			fmt.Fprintf(w, "%s: %s\n", oneLine(r.Key), oneLine(r.Do))
		}
	}
	fmt.Fprintf(w, "%d of %s stale\n", stale, count(len(reports), "flag"))
}
