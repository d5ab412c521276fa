package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"serin/internal/flag"
	"serin/internal/scan"
)

// scanOptions are what the command line of scan says.
type scanOptions struct {
	plan           string
	keys, symbols  []string
	paths, exclude []string
	comments       bool
}

func (a *app) scan() *cobra.Command {
	var o scanOptions
	cmd := &cobra.Command{
		Use: "scan DIR", Short: "Find what is left of a flag in a source tree", Args: cobra.ExactArgs(1),
		Long: `Find references to a flag in TypeScript, JavaScript, Go, Python, Java, Ruby, Vue and Svelte sources:
FILE:LINE:COLUMN, code, string or comment, what was found, and the line. A path that is still there is listed too.
With --plan it looks for the flag's key and build variable, the symbols of "refs gone" and the paths of "path gone".
Exit status 1 while something is left; comments are listed and do not count unless --comments.

Without anything to look for it asks the server for its flags, and says of each whether the tree refers to it and
whether it is stale: no rollout owns it and it serves one variant to everybody. This report has exit status 0;
"serin flag stale" knows more of each flag's use.

Left out are node_modules, vendor, dist, build and the like, what .gitignore names, minified and binary files.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := sourceDir(args[0]); err != nil {
				return err
			}
			needles, err := a.needles(o)
			if err != nil {
				return err
			}
			if len(needles) == 0 {
				return a.scanAll(cmd, args[0], o)
			}
			return a.scanFor(args[0], needles, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.plan, "plan", "", `plan file that says what to look for; "-" is standard input`)
	f.StringArrayVar(&o.keys, "flag", nil, "flag key, may be repeated")
	f.StringArrayVar(&o.symbols, "symbol", nil, "identifier such as the flag's wrapper, may be repeated")
	f.StringArrayVar(&o.paths, "path", nil, "path that is to go, may be repeated")
	f.StringArrayVar(&o.exclude, "exclude", nil, "leave out, written as in .gitignore, may be repeated")
	f.BoolVar(&o.comments, "comments", false, "comments count too")
	return cmd
}

// sourceDir refuses what is no folder: nothing is left in one that is not there.
func sourceDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder: name the root of the source tree", dir)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

func (a *app) needles(o scanOptions) ([]scan.Needle, error) {
	var all []scan.Needle
	if o.plan != "" {
		p, err := a.parsedPlan(o.plan)
		if err != nil {
			return nil, err
		}
		all = scan.Needles(p)
	}
	for kind, texts := range [][]string{scan.Key: o.keys, scan.Symbol: o.symbols, scan.LegacyPath: o.paths} {
		for _, text := range texts {
			if text == "" {
				return nil, usageError{errors.New("an empty word to look for: name a flag, a symbol or a path")}
			}
			all = append(all, scan.Needle{Text: text, Kind: scan.NeedleKind(kind)})
		}
	}
	return all, nil
}

// scanFor lists references and fails while any is left.
func (a *app) scanFor(dir string, needles []scan.Needle, o scanOptions) error {
	found, err := scan.Tree(os.DirFS(dir), scan.Options{Needles: needles, Exclude: o.exclude})
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	left := 0
	for _, r := range found {
		if o.comments || r.Kind != scan.Comment {
			left++
		}
	}
	if found == nil {
		found = []scan.Reference{}
	}
	err = a.print(map[string]any{"left": left, "references": found}, func(w io.Writer) {
		for _, r := range found {
			fmt.Fprintf(w, "%s:%d:%d %s %s %s\n", oneLine(r.File), r.Line, r.Column, r.Kind, oneLine(r.Needle), oneLine(r.Text))
		}
		fmt.Fprintf(w, "%s left\n", count(left, "reference"))
	})
	if err == nil && left > 0 {
		return errFailed
	}
	return err
}

// flagReport is what the report without a plan says of a flag.
type flagReport struct {
	Flag       string           `json:"flag"`
	Owner      string           `json:"owner,omitempty"`
	Stale      bool             `json:"stale"`
	References []scan.Reference `json:"references"`
}

// scanAll reports on all flags of the server.
func (a *app) scanAll(cmd *cobra.Command, dir string, o scanOptions) error {
	var flags []flagAnswer
	if err := a.get(cmd.Context(), "/flags", &flags); err != nil {
		return err
	}
	reports := make([]flagReport, len(flags))
	needles := make([]scan.Needle, len(flags))
	for i, f := range flags {
		d, err := flag.ParseDefinition(f.Key, f.Definition)
		if err != nil {
			return fmt.Errorf("flag %s: %w", f.Key, err)
		}
		reports[i] = flagReport{Flag: f.Key, Owner: f.Owner, Stale: f.Owner == "" && constant(d), References: []scan.Reference{}}
		needles[i] = scan.Needle{Text: f.Key, Kind: scan.Key}
	}
	found, err := scan.Tree(os.DirFS(dir), scan.Options{Needles: needles, Exclude: o.exclude})
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	for _, r := range found {
		i := slices.IndexFunc(reports, func(f flagReport) bool { return f.Flag == r.Needle })
		if o.comments || r.Kind != scan.Comment {
			reports[i].References = append(reports[i].References, r)
		}
	}
	return a.print(reports, func(w io.Writer) { printFlagReports(w, reports) })
}

func printFlagReports(w io.Writer, reports []flagReport) {
	if len(reports) == 0 {
		fmt.Fprintln(w, "the server has no flags")
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "FLAG\tOWNER\tIN CODE\tSTATE")
	for _, r := range reports {
		owner, where, state := r.Owner, "not referenced", "in use"
		if owner == "" {
			owner = "-"
		}
		if n := len(r.References); n > 0 {
			where = count(n, "reference") + ", first " + fmt.Sprintf("%s:%d", oneLine(r.References[0].File), r.References[0].Line)
		}
		if r.Stale {
			state = "stale"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", oneLine(r.Flag), owner, where, state)
	}
	_ = t.Flush()
}

// constant tells whether everybody gets the same, and is not meant to.
func constant(d flag.Definition) bool {
	variants, known := d.Outcomes()
	permanent, _ := d.Metadata["permanent"].(bool)
	return known && len(variants) == 1 && !permanent
}
