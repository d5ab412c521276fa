package cli

import (
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

	"serin/internal/oncall"
	"serin/internal/paging"
)

// onCall asks and decides about rotas and pages. Without a verb it lists.
func (a *app) onCall() *cobra.Command {
	list := a.rotaList()
	cmd := &cobra.Command{Use: "oncall", Short: "See who is on call, keep rotas and contacts, acknowledge pages", Args: cobra.NoArgs, Long: list.Long, RunE: list.RunE}
	cmd.AddCommand(list, a.rotaShow(), a.rotaSet(), a.rotaDelete(), a.rotaOverride(), a.rotaImport(), a.rotaExport(), a.contact(), a.pageList(), a.pageAck())
	return cmd
}

func (a *app) rotaList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List rotas and who is on call now", Args: cobra.NoArgs,
		Long: `List the rotas, who is on call now and until when. A plan reaches a rota as "oncall:NAME". "serin oncall" alone does the same.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []paging.View
			if err := a.get(cmd.Context(), "/oncall/rotas", &all); err != nil {
				return err
			}
			return a.print(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "there is no rota: make one with serin oncall set NAME FILE")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "ROTA\tON CALL\tUNTIL (UTC)\tGAPS IN 14 DAYS")
				for _, v := range all {
					fmt.Fprintf(t, "%s\t%s\t%s\t%d\n", v.Name, onDuty(v.On), untilText(v.Until), len(v.Gaps))
				}
				_ = t.Flush()
			})
		}}
}

func onDuty(people []string) string {
	if len(people) == 0 {
		return "NOBODY"
	}
	return strings.Join(people, ", ")
}

func untilText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

func printRota(w io.Writer, v paging.View) {
	fmt.Fprintf(w, "%s: %s until %s (times in UTC)\n", v.Name, onDuty(v.On), untilText(v.Until))
	for _, s := range v.Shifts {
		fmt.Fprintf(w, "  %s  to %s  %s\n", s.From.UTC().Format(time.DateTime), s.To.UTC().Format(time.DateTime), onDuty(s.People))
	}
	if len(v.Unreached) > 0 {
		fmt.Fprintf(w, "cannot be reached: %s: set an address with serin oncall contact\n", strings.Join(v.Unreached, ", "))
	}
}

// changeRota calls the API and prints the rota it answers.
func (a *app) changeRota(cmd *cobra.Command, method, path string, body any) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var v paging.View
	if err := c.Call(cmd.Context(), method, "/oncall/rotas/"+path, body, &v); err != nil {
		return err
	}
	return a.print(v, func(w io.Writer) { printRota(w, v) })
}

func (a *app) rotaShow() *cobra.Command {
	return &cobra.Command{Use: "show ROTA", Short: "Show who is on call now and in the next two weeks", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeRota(cmd, http.MethodGet, url.PathEscape(args[0]), nil)
		}}
}

// fileOf reads a file; - is standard input.
func (a *app) fileOf(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.In)
	}
	return os.ReadFile(name)
}

func (a *app) rotaSet() *cobra.Command {
	return &cobra.Command{Use: "set ROTA FILE", Short: "Create or replace a rota from a JSON file; - is standard input", Args: cobra.ExactArgs(2),
		Long: `Create or replace a rota. The file is the body of put-rota in the OpenAPI document, such as
{"timezone": "Europe/Berlin", "layers": [{"people": ["anna", "ben"], "starts": "2026-03-02", "weekday": "mon", "clock": "09:00"}]}.
A turn is a week where days is left out; a later layer takes over from the earlier ones within its hours.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.fileOf(args[1])
			if err != nil {
				return fmt.Errorf("read the rota: %w", err)
			}
			if !json.Valid(data) {
				return usageError{fmt.Errorf("%s is not JSON", args[1])}
			}
			return a.changeRota(cmd, http.MethodPut, url.PathEscape(args[0]), json.RawMessage(data))
		}}
}

func (a *app) rotaDelete() *cobra.Command {
	return &cobra.Command{Use: "delete ROTA", Short: "Delete a rota", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/oncall/rotas/"+url.PathEscape(args[0]), nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"deleted": args[0]}, "%s is deleted", args[0])
		}}
}

func (a *app) rotaOverride() *cobra.Command {
	var from, to, why string
	cmd := &cobra.Command{Use: "override ROTA PERSON", Short: "Put somebody on call for a time, whatever the rota says", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := oncall.Override{Person: oncall.Person(args[1]), Why: why}
			var err, late error
			o.From, err = time.Parse(time.RFC3339, from)
			o.To, late = time.Parse(time.RFC3339, to)
			if err != nil || late != nil {
				return usageError{fmt.Errorf("--from %q, --to %q: write times such as 2026-03-02T09:00:00+01:00", from, to)}
			}
			return a.changeRota(cmd, http.MethodPost, url.PathEscape(args[0])+"/overrides", o)
		}}
	cmd.Flags().StringVar(&from, "from", "", "begin, RFC 3339")
	cmd.Flags().StringVar(&to, "to", "", "end, RFC 3339")
	cmd.Flags().StringVar(&why, "why", "", "kept with the override and in the audit log")
	return cmd
}

func (a *app) rotaImport() *cobra.Command {
	return &cobra.Command{Use: "import ROTA FILE", Short: "Replace a rota's layers by an iCalendar file; - is standard input", Args: cobra.ExactArgs(2),
		Long: `Replace the layers of a rota by the events of an iCalendar file (RFC 5545). An event's attendee is found by the
e-mail address of an account, else its summary is a person's name or handle. Daily and weekly recurrences are read.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.fileOf(args[1])
			if err != nil {
				return fmt.Errorf("read the calendar: %w", err)
			}
			return a.changeRota(cmd, http.MethodPost, url.PathEscape(args[0])+"/import", map[string]string{"calendar": string(data)})
		}}
}

func (a *app) rotaExport() *cobra.Command {
	return &cobra.Command{Use: "export ROTA", Short: "Print the next 90 days of a rota as an iCalendar file", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var out struct {
				Calendar string `json:"calendar"`
			}
			if err := a.get(cmd.Context(), "/oncall/rotas/"+url.PathEscape(args[0])+"/calendar", &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) { fmt.Fprint(w, out.Calendar) })
		}}
}

func (a *app) contact() *cobra.Command {
	return &cobra.Command{Use: "contact PERSON [ADDRESS...]", Short: "Show or set how a person is paged", Args: cobra.MinimumNArgs(1),
		Long: `Show how a person is paged, or set it: email:ben@example.org, slack:@ben or webhook:NAME. One's own needs the scope read,
others' an admin. What this server cannot deliver to is said at once.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			method, body := http.MethodGet, any(nil)
			if len(args) > 1 {
				method, body = http.MethodPut, map[string]any{"addresses": args[1:]}
			}
			var out struct {
				paging.Contact
				Unreached []string `json:"unreached,omitempty"`
			}
			if err := c.Call(cmd.Context(), method, "/oncall/contacts/"+url.PathEscape(oncall.Person(args[0])), body, &out); err != nil {
				return err
			}
			return a.print(out, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s\n", out.Person, strings.Join(out.Addresses, ", "))
				if len(out.Unreached) > 0 {
					fmt.Fprintf(w, "this server cannot deliver to %s now: see serin notify\n", strings.Join(out.Unreached, ", "))
				}
			})
		}}
}

func (a *app) pageList() *cobra.Command {
	return &cobra.Command{Use: "pages", Short: "List pages with whom they told, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []paging.Page
			if err := a.get(cmd.Context(), "/oncall/pages", &all); err != nil {
				return err
			}
			return a.print(all, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "nobody was paged")
				}
				for _, p := range all {
					fmt.Fprintf(w, "%s  %s  %s\n", p.ID, p.State.Began.UTC().Format(time.DateTime), oneLine(p.Notice.Title))
					for _, l := range p.Log {
						fmt.Fprintf(w, "  %s  %s\n", l.At.UTC().Format(time.DateTime), oneLine(strings.Join(append([]string{l.Text}, l.Told...), "; ")))
					}
				}
			})
		}}
}

func (a *app) pageAck() *cobra.Command {
	return &cobra.Command{Use: "ack PAGE", Short: "Acknowledge a page: nobody is told of it any more", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodPost, "/oncall/pages/"+url.PathEscape(args[0])+"/ack", nil, nil); err != nil {
				return err
			}
			return a.done(map[string]any{"acknowledged": args[0]}, "%s is acknowledged", args[0])
		}}
}
