package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/slackapp"
	"serin/internal/store"
)

// me is oneself where a command names no person.
func (a *app) me(cmd *cobra.Command, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	var who struct {
		Name   string `json:"name"`
		Person string `json:"person"`
	}
	if err := a.get(cmd.Context(), "/me", &who); err != nil {
		return "", err
	}
	if who.Person == "" {
		return "", usageError{fmt.Errorf("the token %s is nobody's: name the person", who.Name)}
	}
	return who.Person, nil
}

func (a *app) userSlackCode() *cobra.Command {
	return &cobra.Command{
		Use: "slack-code [NAME]", Short: "Make a code that links a user of Slack to a person, once", Args: cobra.MaximumNArgs(1),
		Long: `Make a code for oneself, or as an admin for anybody. The person sends "/serin link CODE" in Slack within
15 minutes; from then on their clicks there are theirs here. An account whose e-mail address is the one that Slack has
verified for a user needs no code.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := a.me(cmd, args)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			var out struct {
				Person    string    `json:"person"`
				Code      string    `json:"code"`
				ExpiresAt time.Time `json:"expires_at"`
			}
			if err := c.Call(cmd.Context(), http.MethodPost, "/people/"+url.PathEscape(name)+"/slack-code", nil, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) { fmt.Fprintf(w, "/serin link %s\n", out.Code) })
		},
	}
}

func (a *app) userSlackLinks() *cobra.Command {
	return &cobra.Command{
		Use: "slack-links [NAME]", Short: "List which users of Slack are which people", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var links []store.SlackLink
			if err := a.get(cmd.Context(), "/slack-links?"+url.Values{"person": args}.Encode(), &links); err != nil {
				return err
			}
			return a.print(links, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "SLACK USER\tPERSON\tBY\tSINCE (UTC)")
				for _, l := range links {
					fmt.Fprintf(t, "%s/%s\t%s\t%s\t%s\n", oneLine(l.Team), oneLine(l.User), l.Person, l.How, l.At.UTC().Format(time.DateTime))
				}
				_ = t.Flush()
			})
		},
	}
}

func (a *app) userSlackUnlink() *cobra.Command {
	return &cobra.Command{
		Use: "slack-unlink TEAM/USER", Short: "Take the link of a user of Slack away", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			team, user, ok := strings.Cut(args[0], "/")
			if !ok || team == "" || user == "" {
				return usageError{fmt.Errorf("%q: write it as serin user slack-links shows it, such as T0123ABCD/U0123ABCD", args[0])}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/slack-links/"+url.PathEscape(team)+"/"+url.PathEscape(user), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"unlinked": args[0]}, "%s is nobody here any more", args[0])
		},
	}
}

func (a *app) alertSlackManifest() *cobra.Command {
	var public string
	cmd := &cobra.Command{
		Use: "slack-manifest", Short: "Print the manifest from which Slack makes the app", Args: cobra.NoArgs,
		Long: `Print the manifest to paste at api.slack.com/apps, "From a manifest". Without --url the app uses Socket Mode,
which needs no way in from the internet; with it Slack posts buttons and /serin to URL/hooks/slack. No server is asked.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			m, err := slackapp.Manifest(public)
			if err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintf(a.Out, "%s\n", m)
			return err
		},
	}
	cmd.Flags().StringVar(&public, "url", "", "how Slack reaches this server, https://...; left out: Socket Mode")
	return cmd
}
