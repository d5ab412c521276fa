package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/auth"
	"serin/internal/server"
	"serin/internal/store"
	"serin/internal/store/sqlite"
)

func (a *app) user() *cobra.Command {
	cmd := &cobra.Command{
		Use: "user", Short: "Manage the people who may sign in",
		Long: `Manage the people who may sign in. Their role on the server is viewer (reads), operator (acts;
lowering traffic is always open to them), approver (raises what a plan lets them) or admin. What
somebody may do in a rollout is the plan's to say: its roles name people as "@name", and a person
answers to their own name and to every --handle.`,
	}
	cmd.AddCommand(a.userList(), a.userPut(), a.userPassword(), a.userLink(), a.userRemove(), a.userSessions(), a.userEndSession(), a.userRescue(), a.userSlackCode(), a.userSlackLinks(), a.userSlackUnlink())
	return cmd
}

type person struct {
	store.Person
	SignIn []string `json:"sign_in"`
}

func (a *app) userList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List people", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var people []person
			if err := a.get(cmd.Context(), "/people", &people); err != nil {
				return err
			}
			return a.print(people, func(w io.Writer) {
				if len(people) == 0 {
					fmt.Fprintln(w, "nobody has an account yet: serin user put NAME --role admin, then serin user link NAME")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "NAME\tROLE\tHANDLES\tEMAIL\tSIGNS IN BY")
				for _, p := range people {
					role := p.Role
					if p.Disabled {
						role += " (disabled)"
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", p.Name, role, cmp.Or(strings.Join(p.Handles, ","), "-"), cmp.Or(oneLine(p.Email), "-"),
						cmp.Or(strings.Join(p.SignIn, ", "), "link"))
				}
				_ = t.Flush()
			})
		},
	}
}

func (a *app) userPut() *cobra.Command {
	var role, email string
	var handles, projects []string
	var disabled bool
	cmd := &cobra.Command{
		Use: "put NAME", Short: "Create or change a person", Args: cobra.ExactArgs(1),
		Long: `Create a person, or change one to exactly what the options say. It works at once, also for sessions
that are open.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			body := map[string]any{"role": role, "email": email, "handles": handles, "projects": projects, "disabled": disabled}
			var out person
			if err := c.Call(cmd.Context(), http.MethodPut, "/people/"+url.PathEscape(args[0]), body, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) { fmt.Fprintf(w, "%s is %s\n", out.Name, out.Role) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", auth.Viewer, "viewer, operator, approver or admin")
	f.StringVar(&email, "email", "", "address, to sign in with and to be known by at an identity provider")
	f.StringSliceVar(&handles, "handle", nil, `name that plans use: team-lead for who: "@team-lead"`)
	f.StringSliceVar(&projects, "project", nil, "limit to a project; left out: all")
	f.BoolVar(&disabled, "disabled", false, "may not sign in; open sessions end")
	return cmd
}

func (a *app) userPassword() *cobra.Command {
	return &cobra.Command{
		Use: "password NAME", Short: "Set a person's password, read from standard input; ends their sessions", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			line, err := bufio.NewReader(a.In).ReadString('\n')
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			body := map[string]any{"password": strings.TrimRight(line, "\r\n")}
			if err := c.Call(cmd.Context(), http.MethodPost, "/people/"+url.PathEscape(args[0])+"/password", body, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"person": args[0]}, "%s has a new password and is signed out everywhere", args[0])
		},
	}
}

func (a *app) userLink() *cobra.Command {
	var ttl time.Duration
	cmd := &cobra.Command{
		Use: "link NAME", Short: "Make a link that signs a person in, once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var people []person
			if err := c.Call(cmd.Context(), http.MethodGet, "/people", nil, &people); err != nil {
				return err
			}
			for _, p := range people {
				if p.Name != args[0] {
					continue
				}
				var out struct {
					Secret string `json:"secret"`
				}
				body := map[string]any{"name": "sign-in of " + p.Name, "kind": auth.KindSignIn, "person": p.Name, "scopes": []string{"read"}, "ttl_seconds": int64(ttl.Seconds())}
				if err := c.Call(cmd.Context(), http.MethodPost, "/tokens", body, &out); err != nil {
					return err
				}
				link := c.url + "/login#token=" + url.QueryEscape(out.Secret) // after the #, so that no server and no log sees it
				return a.done(map[string]any{"person": p.Name, "link": link}, "%s", link)
			}
			return fmt.Errorf("nobody is called %q: serin user list, or make the person with serin user put", args[0])
		},
	}
	cmd.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long the link lives")
	return cmd
}

func (a *app) userRemove() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove a person, their sessions and their tokens", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/people/"+url.PathEscape(args[0])+withReason(reason), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"removed": args[0]}, "%s may no longer sign in", args[0])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func (a *app) userSessions() *cobra.Command {
	return &cobra.Command{
		Use: "sessions [NAME]", Short: "List open sessions", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var sessions []auth.OpenSession
			if err := a.get(cmd.Context(), "/sessions?"+url.Values{"person": args}.Encode(), &sessions); err != nil {
				return err
			}
			return a.print(sessions, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "ID\tPERSON\tSINCE (UTC)\tADDRESS\tBROWSER")
				for _, s := range sessions {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.ID, s.Person, s.CreatedAt.UTC().Format(time.DateTime), cmp.Or(s.Address, "-"), cmp.Or(oneLine(s.Agent), "-"))
				}
				_ = t.Flush()
			})
		},
	}
}

func (a *app) userEndSession() *cobra.Command {
	return &cobra.Command{
		Use: "end-session ID", Short: "End an open session", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/sessions/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"ended": args[0]}, "session %s is over", args[0])
		},
	}
}

// userRescue works on the data directory itself: whoever may read that is the
// server's owner anyway.
func (a *app) userRescue() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "rescue", Short: "Make a sign-in link for an admin with nothing but the data directory",
		Long: `Make a link that signs somebody in as admin, once, within the hour. It needs no token and no
other admin, only the data directory (--data), and is the way in when nobody else has one: the
identity provider is down, or the last admin has left. The server may be running. The audit log
says that it was done.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path := filepath.Join(a.dataDirectory(), server.DatabaseFile)
			f, err := sqlite.Inspect(cmd.Context(), path)
			if err != nil {
				return fmt.Errorf("%w: name the data directory with --data", err)
			}
			if f.Schema != f.Known {
				return fmt.Errorf("%s has schema %d and this program knows %d: use the program that serves it", path, f.Schema, f.Known)
			}
			db, err := sqlite.Open(cmd.Context(), path, sqlite.Options{})
			if err != nil {
				return err
			}
			defer db.Close()
			secret, err := auth.New(auth.Options{Store: db}).Rescue(cmd.Context(), name)
			if err != nil {
				return err
			}
			link := "/login#token=" + url.QueryEscape(secret)
			return a.done(map[string]any{"path": link}, "open this path on the server's dashboard, within the hour:\n%s", link)
		},
	}
	cmd.Flags().StringVar(&name, "name", "rescue", "name that journals and audit log will show; must not be an account's")
	return cmd
}
