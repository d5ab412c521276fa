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

	"serin/internal/store"
)

// madeIn adds --project to a command that makes something.
func (a *app) madeIn(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.project, "project", "", "id of the project it belongs to (default: the only one the token is for, else where it is already, else 1)")
	return cmd
}

// listedIn adds --project to a command that lists.
func (a *app) listedIn(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.project, "project", "", "only of the project with this id")
	return cmd
}

// within adds the project that --project names, "" = none, to an API path.
func within(path, project string) string {
	if project == "" {
		return path
	}
	mark := "?"
	if strings.Contains(path, "?") {
		mark = "&"
	}
	return path + mark + "project=" + url.QueryEscape(project)
}

// projectAnswer is a project as the API answers it.
type projectAnswer struct {
	store.Project
	Keys []struct {
		Name        string `json:"name"`
		Key         string `json:"key"`
		Environment string `json:"environment,omitempty"`
	} `json:"keys"`
}

func (a *app) projectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "project", Short: "Manage projects: rollouts, flags, keys and errors of their own",
		Long: `Manage projects. Each has its own rollouts, flags, plans, keys, telemetry and errors; people and tokens can be
limited to some. A server begins with project 1. Ids of rollouts, keys of flags and names of plans are unique on the server.`,
	}
	cmd.AddCommand(a.projectList(), a.projectCreate(), a.projectRename())
	return cmd
}

func (a *app) projectList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List projects with the DSNs of their publishable keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var projects []projectAnswer
			if err := c.Call(cmd.Context(), http.MethodGet, "/projects", nil, &projects); err != nil {
				return err
			}
			return a.print(projects, func(w io.Writer) { printProjects(w, c.url, projects) })
		},
	}
}

func printProjects(w io.Writer, base string, projects []projectAnswer) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tNAME\tMADE (UTC)\tDSN")
	for _, p := range projects {
		made := "-"
		if !p.CreatedAt.IsZero() {
			made = p.CreatedAt.UTC().Format(time.DateTime)
		}
		if len(p.Keys) == 0 {
			fmt.Fprintf(t, "%s\t%s\t%s\t-\n", p.ID, oneLine(p.Name), made)
		}
		for _, k := range p.Keys {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", p.ID, oneLine(p.Name), made, dsnOf(base, k.Key, p.ID))
		}
	}
	_ = t.Flush()
}

// dsnOf is a Sentry DSN for the server at base, which is a URL.
func dsnOf(base, key, project string) string {
	u, err := url.Parse(base)
	if err != nil {
		return "-"
	}
	u.User = url.User(key)
	return u.JoinPath(project).String()
}

func (a *app) projectCreate() *cobra.Command {
	return &cobra.Command{
		Use: "create NAME", Short: "Create a project, with a publishable key for its telemetry", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var p projectAnswer
			if err := c.Call(cmd.Context(), http.MethodPost, "/projects", map[string]any{"name": args[0]}, &p); err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				fmt.Fprintf(w, "project %s is made: %s\n", p.ID, oneLine(p.Name))
				for _, k := range p.Keys {
					fmt.Fprintln(w, dsnOf(c.url, k.Key, p.ID))
				}
			})
		},
	}
}

func (a *app) projectRename() *cobra.Command {
	return &cobra.Command{
		Use: "rename ID NAME", Short: "Give a project another name; its id stays", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var p projectAnswer
			if err := c.Call(cmd.Context(), http.MethodPatch, "/projects/"+url.PathEscape(args[0]), map[string]any{"name": args[1]}, &p); err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) { fmt.Fprintf(w, "project %s is called %s\n", p.ID, oneLine(p.Name)) })
		},
	}
}
