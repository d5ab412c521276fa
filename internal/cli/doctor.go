package cli

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// doctorAnswer is what the server found out about a user of a flag.
type doctorAnswer struct {
	OK    bool `json:"ok"`
	Steps []struct {
		Step  string `json:"step"`
		State string `json:"state"`
		What  string `json:"what"`
		Fix   string `json:"fix,omitempty"`
	} `json:"steps"`
}

func (a *app) doctor() *cobra.Command {
	var flag, user, key, origin string
	var pairs []string
	cmd := &cobra.Command{
		Use: "doctor --flag KEY --user ID", Short: "Follow one user from the flag to the rules, and say what is missing", Args: cobra.NoArgs,
		Long: `Follow one user from the flag to the rules: does the flag exist and what does the user get, may the app's key read it, did
an app ask for it, did telemetry of the user arrive, in which arm it counts and for which metrics. Nothing is recorded.

Fetches and events are remembered since the start of the server, for a limited number of users. Exit status 1: a step is
missing or wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flag == "" || user == "" {
				return usageError{fmt.Errorf("name the flag and the user: serin doctor --flag KEY --user ID")}
			}
			with, err := attributes(pairs)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var out doctorAnswer
			ask := map[string]any{"flag": flag, "user": user, "with": with, "key": key, "origin": origin}
			if err := c.Call(cmd.Context(), http.MethodPost, "/doctor", ask, &out); err != nil {
				return err
			}
			if err := a.print(out, func(w io.Writer) { printDoctor(w, out) }); err != nil {
				return err
			}
			if !out.OK {
				return errFailed
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&flag, "flag", "", "key of the flag")
	f.StringVar(&user, "user", "", "the user's id: targeting key and user id of the telemetry")
	f.StringArrayVar(&pairs, "with", nil, "context attribute=value, may be repeated")
	f.StringVar(&key, "key", "", "the app's flag key, to check it too")
	f.StringVar(&origin, "origin", "", "the page's origin, to check the key's list")
	return cmd
}

// attributes reads attribute=value pairs.
func attributes(pairs []string) (map[string]any, error) {
	out := map[string]any{}
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--with %q: write attribute=value", p)}
		}
		out[k] = v
	}
	return out, nil
}

func printDoctor(w io.Writer, d doctorAnswer) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range d.Steps {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.State, s.Step, oneLine(s.What))
		if s.Fix != "" {
			fmt.Fprintf(t, "\t\t-> %s\n", oneLine(s.Fix))
		}
	}
	_ = t.Flush()
}
