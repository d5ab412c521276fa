package cli

import (
	"errors"
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

	"serin/internal/store"
)

// notifyNotices lists notices with what became of them.
func (a *app) notifyNotices() *cobra.Command {
	var state, address string
	var limit int
	cmd := &cobra.Command{
		Use: "notices", Short: "List notices with the state of their delivery, newest first; with --state dead those that were given up", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, value := range map[string]string{"state": state, "address": address} {
				if value != "" {
					q.Set(name, value)
				}
			}
			var all []store.Outgoing
			if err := a.get(cmd.Context(), "/notices?"+q.Encode(), &all); err != nil {
				return err
			}
			return a.print(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "there is no such notice")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "AT\tCHANNEL\tSTATE\tTRIES\tID\tTITLE\tLAST ANSWER")
				for _, o := range all {
					fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", o.At.UTC().Format(time.DateTime), oneLine(o.Address), o.State(), o.Tries, oneLine(o.ID), oneLine(o.Title), oneLine(o.Error))
				}
				_ = t.Flush()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "waiting, delivered or dead; left out: all")
	f.StringVar(&address, "channel", "", "only notices to this address, as plans write it")
	f.IntVar(&limit, "limit", 100, "how many, at most 1000")
	return cmd
}

// notifyRetry takes dead notices up again.
func (a *app) notifyRetry() *cobra.Command {
	var all bool
	var address, reason string
	cmd := &cobra.Command{
		Use: "retry [ID...]", Short: "Send notices again that were given up",
		Long: `Send notices again that were given up (serin notify notices --state dead): those named, or with --all every one, of --channel
only if that is given. They are tried for a day again. What an alert said before is not sent once something newer about it waits.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usageError{errors.New("name notices, or give --all: serin notify notices --state dead lists them")}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var out struct {
				Retried int `json:"retried"`
			}
			body := map[string]any{"ids": args, "address": address, "reason": reason}
			if err := c.Call(cmd.Context(), http.MethodPost, "/notices/retry", body, &out); err != nil {
				return err
			}
			return a.done(map[string]any{"retried": out.Retried}, "%d notices are sent again", out.Retried)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "every notice that was given up")
	f.StringVar(&address, "channel", "", "with --all: only notices to this address")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

// maxSecretFile bounds a file with a secret.
const maxSecretFile = 4 << 10

// secretFile reads a secret from a file, "-" for standard input, "" for none.
func secretFile(cmd *cobra.Command, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("read the client secret: %w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSecretFile))
	if err != nil {
		return "", fmt.Errorf("read the client secret: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}
