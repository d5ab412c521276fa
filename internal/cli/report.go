package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"serin/internal/store"
)

// oneLine makes reported text safe for a terminal: without control characters
// (C1 too: U+009B begins an escape sequence) and without turns of direction.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, s)
}

// recordKinds are the words of the command line for kinds of feedback.
var recordKinds = map[string]string{"complaint": "complaint", "failure": "failure", "escalation": "escalation",
	"revert": "revert_request", "critical": "complaint", "praise": "praise"}

func (a *app) record() *cobra.Command {
	var user, note string
	cmd := &cobra.Command{
		Use: "record complaint|failure|escalation|revert|critical|praise", Short: "Record by hand what a user told somebody",
		Args: cobra.ExactArgs(1), ValidArgs: []string{"complaint", "failure", "escalation", "revert", "critical", "praise"},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, ok := recordKinds[args[0]]
			if !ok {
				return usageError{fmt.Errorf("%q is no kind: write %s", args[0], strings.Join(cmd.ValidArgs, ", "))}
			}
			if note == "" {
				return usageError{fmt.Errorf("say what was told: --note TEXT")}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodPost, "/feedback",
				map[string]any{"kind": kind, "user": user, "message": note, "critical": args[0] == "critical"}, nil); err != nil {
				return err
			}
			if user == "" {
				return a.done(map[string]any{"recorded": kind}, "%s recorded; without --user it belongs to no arm", args[0])
			}
			return a.done(map[string]any{"recorded": kind}, "%s of %s recorded", args[0], user)
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "the user's id")
	cmd.Flags().StringVar(&note, "note", "", "what was told")
	return a.madeIn(cmd)
}

func (a *app) deployed() *cobra.Command {
	var release, commit string
	cmd := &cobra.Command{
		Use: "deployed", Short: "Report a deployment", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if release == "" {
				return usageError{fmt.Errorf("name it: --release VERSION")}
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodPost, "/releases", map[string]any{"release": release, "commit": commit}, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"deployed": release}, "release %s reported to every rollout under way", release)
		},
	}
	cmd.Flags().StringVar(&release, "release", "", "release name")
	cmd.Flags().StringVar(&commit, "commit", "", "commit that was deployed")
	return a.listedIn(cmd)
}

func (a *app) push() *cobra.Command {
	return a.madeIn(&cobra.Command{
		Use: "push NAME=VALUE...", Short: "Push values from a pipeline, such as ci=pass", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			values := map[string]string{}
			for _, arg := range args {
				k, v, ok := strings.Cut(arg, "=")
				if !ok || k == "" {
					return usageError{fmt.Errorf("%q: write NAME=VALUE", arg)}
				}
				values[k] = v
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodPost, "/values", values, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"pushed": values}, "%s pushed", count(len(values), "value"))
		},
	})
}

func (a *app) audit() *cobra.Command {
	var who, target string
	var limit int
	cmd := &cobra.Command{
		Use: "audit", Short: "Print who changed what, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var entries []store.AuditEntry
			q := url.Values{"who": {who}, "target": {target}, "limit": {strconv.Itoa(limit)}}
			if err := a.get(cmd.Context(), "/audit?"+q.Encode(), &entries); err != nil {
				return err
			}
			return a.print(entries, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "WHEN (UTC)\tWHO\tVIA\tDID\tTO\tREASON")
				for _, e := range entries {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", e.At.UTC().Format(time.DateTime), oneLine(e.Who), e.Via, e.Verb, oneLine(e.Target), oneLine(e.Reason))
				}
				_ = t.Flush()
			})
		},
	}
	cmd.Flags().StringVar(&who, "who", "", "only this person's entries, of the newest 10,000")
	cmd.Flags().StringVar(&target, "target", "", `such as "rollout demo-1" or "flag x"`)
	cmd.Flags().IntVar(&limit, "limit", 100, "most entries")
	return a.listedIn(cmd)
}

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Manage operator tokens and publishable keys"}
	cmd.AddCommand(a.tokenList(), a.tokenCreate(), a.tokenRevoke())
	return cmd
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List tokens and keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var tokens []store.Token
			if err := a.get(cmd.Context(), "/tokens", &tokens); err != nil {
				return err
			}
			return a.print(tokens, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "ID\tNAME\tKIND\tPROJECT\tSCOPES\tROLE\tLAST USED (UTC)\tEXPIRES (UTC)\tKEY")
				for _, k := range tokens {
					expires, used := "-", "never"
					if !k.LastUsed.IsZero() {
						used = k.LastUsed.UTC().Format(time.DateTime)
					}
					if !k.ExpiresAt.IsZero() {
						expires = k.ExpiresAt.UTC().Format(time.DateTime)
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, oneLine(k.Name), k.Kind, cmp.Or(strings.Join(k.Projects, ","), k.Project, "all"),
						cmp.Or(strings.Join(k.Scopes, ","), "-"), cmp.Or(k.Role, "-"), used, expires, cmp.Or(k.Public, "-"))
				}
				_ = t.Flush()
			})
		},
	}
}

func (a *app) tokenCreate() *cobra.Command {
	var kind, role, environment, person string
	var scopes, origins, projects, notify []string
	var clientSecret string // file
	var ttl time.Duration
	var hidden bool // the key is one that no page carries
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a token or key; a secret is shown once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			body := map[string]any{"name": args[0], "kind": kind, "role": role, "scopes": scopes, "environment": environment, "origins": origins,
				"person": person, "ttl_seconds": int64(ttl.Seconds())}
			if kind != "operator" && kind != "sign-in" {
				delete(body, "scopes")
			}
			if hidden {
				body["secret"] = true
			}
			if kind == "hook" {
				secret, err := secretFile(cmd, clientSecret)
				if err != nil {
					return err
				}
				body["notify"], body["client_secret"] = notify, secret
			}
			switch {
			case kind == "operator":
				body["projects"] = projects
			case len(projects) > 1:
				return usageError{fmt.Errorf("a key is for one project: name one with --project")}
			case len(projects) == 1:
				body["project"] = projects[0]
			}
			var out struct {
				store.Token
				Secret string `json:"secret,omitempty"`
			}
			if err := c.Call(cmd.Context(), http.MethodPost, "/tokens", body, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) {
				secret := out.Secret
				if secret == "" {
					secret = out.Public
				}
				if kind == "sign-in" { // after the #, so that no server and no log sees it
					secret = c.url + "/login#token=" + url.QueryEscape(secret)
				}
				fmt.Fprintln(w, secret)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&kind, "kind", "operator", "operator, ingest (telemetry of pages), flags (flags of pages), flags-server, hook (tells of another system's alerts), sign-in (a link, once)")
	f.StringVar(&person, "person", "", "who the token or link is for")
	f.StringVar(&role, "role", "", "plan role the bearer acts in")
	f.StringSliceVar(&scopes, "scope", []string{"read"}, "read, operate, approve, admin; each includes those before it")
	f.StringSliceVar(&projects, "project", nil, "id of the project that a key is for, or that an operator token is limited to; left out: the only one of your token, else 1 and all")
	f.StringVar(&environment, "environment", "", "environment of a key: of what it sends, and the only one whose rollouts' flags it reads")
	f.StringSliceVar(&origins, "origin", nil, "allowed origins of a publishable key")
	f.BoolVar(&hidden, "secret", false, "of an ingest key: no page carries it, so that it may send gauges over OTLP and values")
	f.StringSliceVar(&notify, "notify", nil, "of a hook: addresses of who is told of its alerts, as plans write them")
	f.StringVar(&clientSecret, "client-secret-file", "", "of a hook: file with the client secret of Sentry's integration, - for standard input")
	f.DurationVar(&ttl, "ttl", 0, "how long it lives, such as 720h (0: until revoked; a sign-in link 7 days)")
	return cmd
}

func (a *app) tokenRevoke() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "revoke ID", Short: "Revoke a token or key: it stops working at once", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/tokens/"+url.PathEscape(args[0])+withReason(reason), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"revoked": args[0]}, "token %s revoked", args[0])
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}
