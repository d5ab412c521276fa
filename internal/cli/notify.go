package cli

import (
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
)

// notify lists and tests where people are told.
func (a *app) notify() *cobra.Command {
	cmd := &cobra.Command{Use: "notify", Short: "List the channels that people are told by, test them, and send again what was given up"}
	cmd.AddCommand(a.notifyList(), a.notifyTest(), a.notifyNotices(), a.notifyRetry())
	return cmd
}

func (a *app) notifyList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the channels of plans and configuration, and whether the server can deliver to them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []controller.ChannelState
			if err := a.get(cmd.Context(), "/channels", &all); err != nil {
				return err
			}
			return a.print(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "no plan under way and no configuration names a channel: people are told on the dashboard only")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "CHANNEL\tSTATE\tNEWEST NOTICE\tWAITING\tDEAD\tNAMED BY")
				for _, c := range all {
					state, newest, by := "connected", c.Notice, strings.Join(c.Plans, ", ")
					if !c.Connected {
						state = c.Why
					}
					if newest == "" {
						newest = "none yet"
					}
					if by == "" {
						by = "the configuration"
					}
					waiting, dead := "-", "-"
					if h := c.Health; h != nil {
						waiting, dead = strconv.FormatInt(h.Waiting, 10), strconv.FormatInt(h.Dead, 10)
						if !h.Since.IsZero() {
							state = "failing since " + h.Since.UTC().Format(time.DateTime) + ": " + h.Error
						}
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(c.Address), oneLine(state), newest, waiting, dead, oneLine(by))
				}
				_ = t.Flush()
			})
		},
	}
}

func (a *app) notifyTest() *cobra.Command {
	return &cobra.Command{
		Use: "test CHANNEL", Short: "Send one test message and show the service's answer", Args: cobra.ExactArgs(1),
		Long: `Send one test message to an address as plans write it (slack:#team, webhook:name) by the notifier that real notices take,
and show what the service answered. At most one in five seconds; the audit log has who asked. Exit status 1: it was not
delivered.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var out controller.ChannelTest
			if err := c.Call(cmd.Context(), http.MethodPost, "/channels/"+url.PathEscape(args[0])+"/test", nil, &out); err != nil {
				return err
			}
			if err := a.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s", oneLine(out.Address), out.Outcome)
				if out.Took >= time.Millisecond {
					fmt.Fprintf(w, " after %s", out.Took.Round(time.Millisecond))
				}
				fmt.Fprintf(w, "\n%s\n", oneLine(out.Detail))
			}); err != nil {
				return err
			}
			if out.Outcome != controller.TestDelivered {
				return errFailed
			}
			return nil
		},
	}
}
