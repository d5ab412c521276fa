package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// flagAnswer is a flag as the API shows it.
type flagAnswer struct {
	Key        string          `json:"key"`
	Definition json.RawMessage `json:"definition"`
	Revision   int64           `json:"revision"`
	Owner      string          `json:"owner,omitempty"`
	UpdatedAt  time.Time       `json:"updated_at"`
	UpdatedBy  string          `json:"updated_by"`
}

func (a *app) flag() *cobra.Command {
	cmd := &cobra.Command{Use: "flag", Short: "Read and write flags"}
	cmd.AddCommand(a.flagList(), a.flagGet(), a.flagSet(), a.flagDelete(), a.flagEvaluate(), a.flagOff(), a.flagStale(), a.flagEnv())
	return cmd
}

func flagPath(key string) string { return "/flags/" + url.PathEscape(key) }

func (a *app) flagList() *cobra.Command {
	return a.listedIn(&cobra.Command{
		Use: "list", Short: "List flags", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var flags []flagAnswer
			if err := a.get(cmd.Context(), "/flags", &flags); err != nil {
				return err
			}
			return a.print(flags, func(w io.Writer) {
				if len(flags) == 0 {
					fmt.Fprintln(w, "no flags yet: serin flag set KEY --file FLAG.json, or create a rollout")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "FLAG\tREVISION\tOWNER\tCHANGED (UTC)\tBY")
				for _, f := range flags {
					fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\n", f.Key, f.Revision, cmp.Or(f.Owner, "-"), f.UpdatedAt.UTC().Format(time.DateTime), f.UpdatedBy)
				}
				_ = t.Flush()
			})
		},
	})
}

func (a *app) flagGet() *cobra.Command {
	return &cobra.Command{
		Use: "get KEY", Short: "Print a flag in flagd's JSON format", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var f flagAnswer
			if err := a.get(cmd.Context(), flagPath(args[0]), &f); err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) {
				var pretty bytes.Buffer
				if json.Indent(&pretty, f.Definition, "", "  ") != nil {
					pretty.Reset()
					pretty.Write(f.Definition)
				}
				fmt.Fprintln(w, pretty.String())
			})
		},
	}
}

func (a *app) flagSet() *cobra.Command {
	var file, reason string
	var client, server bool
	var revision int64
	cmd := &cobra.Command{
		Use: "set KEY", Short: "Write a flag from a file, or say who may read it", Args: cobra.ExactArgs(1),
		Long: `Write a flag in flagd's JSON format from --file ("-" is standard input), or change who may read it:
--client lets pages read it with a publishable key, --server-only takes that back.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if client && server {
				return usageError{fmt.Errorf("--client and --server-only exclude each other")}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var definition json.RawMessage
			switch {
			case file == "-":
				definition, err = io.ReadAll(a.In)
			case file != "":
				definition, err = os.ReadFile(file)
			case client || server:
				var f flagAnswer
				if err = c.Call(cmd.Context(), http.MethodGet, flagPath(args[0]), nil, &f); err == nil {
					definition = f.Definition
					if revision < 0 {
						revision = f.Revision // what is changed is what was read
					}
				}
			default:
				return usageError{fmt.Errorf("say what to change: --file, --client or --server-only")}
			}
			if err != nil {
				return err
			}
			if client || server {
				if definition, err = setClient(definition, client); err != nil {
					return err
				}
			}
			q := url.Values{"revision": {fmt.Sprint(revision)}, "reason": {reason}}
			var out map[string]int64
			if err := c.Call(cmd.Context(), http.MethodPut, flagPath(args[0])+"?"+q.Encode(), definition, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) { fmt.Fprintf(w, "flag %s written, revision %d\n", args[0], out["revision"]) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "file", "", "file with the flag")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&client, "client", false, "pages may read it")
	f.BoolVar(&server, "server-only", false, "only server keys may read it")
	f.Int64Var(&revision, "revision", -1, "revision last seen; 0 = must be new, -1 = any")
	return a.madeIn(cmd)
}

// setClient sets metadata.client of a definition.
func setClient(definition json.RawMessage, client bool) (json.RawMessage, error) {
	var d map[string]any
	if err := json.Unmarshal(definition, &d); err != nil {
		return nil, fmt.Errorf("read flag: %w", err)
	}
	meta, _ := d["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
	}
	meta["client"] = client
	d["metadata"] = meta
	return json.Marshal(d)
}

func (a *app) flagDelete() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "delete KEY", Short: "Delete a flag that no rollout owns", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, flagPath(args[0])+withReason(reason), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"deleted": args[0]}, "flag %s deleted", args[0])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

// withReason is the query of a deletion.
func withReason(reason string) string {
	if reason == "" {
		return ""
	}
	return "?" + url.Values{"reason": {reason}}.Encode()
}

func (a *app) flagEvaluate() *cobra.Command {
	var pairs []string
	cmd := &cobra.Command{
		Use: "evaluate KEY USER", Short: "Show what a user gets and why", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			context := map[string]any{"targetingKey": args[1]}
			for _, p := range pairs {
				k, v, ok := strings.Cut(p, "=")
				if !ok {
					return usageError{fmt.Errorf("--with %q: write attribute=value", p)}
				}
				context[k] = v
			}
			var out struct {
				Variant string          `json:"variant,omitempty"`
				Value   json.RawMessage `json:"value,omitempty"`
				Reason  string          `json:"reason"`
				Detail  string          `json:"errorDetails,omitempty"`
			}
			if err := c.Call(cmd.Context(), http.MethodPost, flagPath(args[0])+"/evaluate", map[string]any{"context": context}, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) {
				why := out.Reason
				if out.Detail != "" {
					why += ": " + oneLine(out.Detail)
				}
				fmt.Fprintf(w, "%s  %s  (%s)\n", cmp.Or(out.Variant, "-"), cmp.Or(string(out.Value), "-"), why)
			})
		},
	}
	cmd.Flags().StringArrayVar(&pairs, "with", nil, "context attribute=value, may be repeated")
	return cmd
}
