package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/sourcemap"
	"serin/internal/store"
	"serin/internal/symbolicate"
)

// uploadBytes is how much one request of an upload carries at most, where one
// file alone is not more.
const uploadBytes = 32 << 20

// uploadLimit is how long one request of an upload may take.
const uploadLimit = 10 * time.Minute

func (a *app) sourcemaps() *cobra.Command {
	cmd := &cobra.Command{Use: "sourcemaps", Short: "Upload source maps, by which minified stacks are read", Args: cobra.NoArgs}
	cmd.AddCommand(a.sourcemapsUpload(), a.sourcemapsList(), a.sourcemapsDelete())
	return cmd
}

func (a *app) sourcemapsUpload() *cobra.Command {
	var release, prefix, project string
	cmd := &cobra.Command{Use: "upload DIR", Short: "Upload every source map below a directory", Args: cobra.ExactArgs(1),
		Long: `Upload every *.map below a directory, as a build made it, under the release that the SDK sends.

A frame of a stack finds its map by the debug id that a bundler plug-in wrote into both, else by release and the file's
path below the site's root: --url-prefix says where the directory is served, such as ~/_next for the directory .next.
Upload after each build, before the first user has it; a map that comes late explains earlier events too. Source maps
hold your source: do not serve them, and delete a release's with "serin sourcemaps delete".`,
		Example: `  serin sourcemaps upload --release web@1.4.2 --url-prefix '~/_next' .next
  serin sourcemaps upload --release web@1.4.2 dist`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if release == "" {
				return usageError{errors.New("say which release they are of, as the SDK names it: --release web@1.4.2")}
			}
			maps, err := findMaps(args[0], prefix)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			c.http.Timeout = uploadLimit
			path := "/sourcemaps?" + url.Values{"release": {release}, "project": {project}}.Encode()
			for part := range parts(maps) {
				var made []store.Artifact
				body, err := form(part)
				if err != nil {
					return err
				}
				if err := c.Call(cmd.Context(), http.MethodPost, path, body, &made); err != nil {
					return err
				}
				for _, f := range made {
					fmt.Fprintf(a.Out, "%s  %d kB%s\n", f.Name, (f.Bytes+999)/1000, withDebug(f.Debug))
				}
			}
			fmt.Fprintf(a.Out, "%d source maps of release %s are there\n", len(maps), release)
			return nil
		}}
	cmd.Flags().StringVar(&release, "release", "", "the release as the SDK names it; required")
	cmd.Flags().StringVar(&prefix, "url-prefix", "~", "address below the site's root at which the directory is served")
	cmd.Flags().StringVar(&project, "project", "", "project; left out: your only one, else 1")
	return cmd
}

func withDebug(id string) string {
	if id == "" {
		return ""
	}
	return "  debug id " + id
}

// foundMap is a source map in a directory.
type foundMap struct{ file, name string }

// findMaps finds the source maps below dir; a map's name is that of the file
// that it explains.
func findMaps(dir, prefix string) (found []foundMap, err error) {
	if prefix = strings.TrimSuffix(prefix, "/"); prefix != "~" && !strings.HasPrefix(prefix, "~/") {
		return nil, usageError{fmt.Errorf("--url-prefix %q: begin it with ~, which stands for the site's root", prefix)}
	}
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case !d.Type().IsRegular() || !strings.HasSuffix(file, ".map") || strings.HasSuffix(file, ".css.map"):
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name := path.Join(prefix, filepath.ToSlash(strings.TrimSuffix(rel, ".map")))
		found = append(found, foundMap{file, name})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for source maps: %w", err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("there is no *.map below %s: let the build write source maps (in Next.js productionBrowserSourceMaps: true)", dir)
	}
	return found, nil
}

// parts splits an upload into requests.
func parts(all []foundMap) func(func([]foundMap) bool) {
	return func(yield func([]foundMap) bool) {
		for len(all) > 0 {
			n, size := 0, int64(0)
			for n < len(all) && n < symbolicate.MaxFiles {
				if info, err := os.Stat(all[n].file); err == nil { // reading it says what is wrong
					size += info.Size()
				}
				if n > 0 && size > uploadBytes {
					break
				}
				n++
			}
			if !yield(all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

// form is the body of one request of an upload.
func form(files []foundMap) (formBody, error) {
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	for _, f := range files {
		data, err := os.ReadFile(f.file)
		if err != nil {
			return formBody{}, fmt.Errorf("read source map: %w", err)
		}
		if data, err = withDebugID(f.file, data); err != nil {
			return formBody{}, fmt.Errorf("%s: %w", f.file, err)
		}
		part, err := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name=%s; filename="map"`, strconv.Quote(f.name))},
			"Content-Type":        {"application/json"},
		})
		if err == nil {
			_, err = part.Write(data)
		}
		if err != nil {
			return formBody{}, err
		}
	}
	err := w.Close()
	return formBody{out.Bytes(), w.FormDataContentType()}, err
}

// withDebugID puts the debug id into a map that has none, where the file that
// it explains ends in "//# debugId=…", as bundlers write it.
func withDebugID(file string, data []byte) ([]byte, error) {
	m, err := sourcemap.Parse(data)
	if err != nil || m.Debug != "" {
		return data, err
	}
	code, err := os.ReadFile(strings.TrimSuffix(file, ".map"))
	if errors.Is(err, os.ErrNotExist) {
		return data, nil
	}
	if err != nil {
		return nil, err
	}
	const mark = "//# debugId="
	i := bytes.LastIndex(code, []byte(mark))
	if i < 0 {
		return data, nil
	}
	id, _, _ := strings.Cut(string(code[i+len(mark):]), "\n")
	if id = sourcemap.DebugID(strings.TrimSpace(id)); id == "" {
		return data, nil
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(data, &doc); err != nil {
		return data, nil // it begins with )]}': it stays as it is
	}
	doc["debugId"] = json.RawMessage(strconv.Quote(id))
	return json.Marshal(doc)
}

func (a *app) sourcemapsList() *cobra.Command {
	var release, project string
	cmd := &cobra.Command{Use: "list", Short: "List the source maps that are there", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var found []store.Artifact
			if err := a.get(cmd.Context(), "/sourcemaps?"+url.Values{"release": {release}, "project": {project}}.Encode(), &found); err != nil {
				return err
			}
			return a.print(found, func(w io.Writer) {
				if len(found) == 0 {
					fmt.Fprintln(w, "no source maps are there: serin sourcemaps upload --release RELEASE DIR")
					return
				}
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				fmt.Fprintln(t, "RELEASE\tFILE\tKB\tDEBUG ID\tUPLOADED (UTC)")
				for _, f := range found {
					fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", oneLine(f.Release), oneLine(f.Name), (f.Bytes+999)/1000, cmp.Or(f.Debug, "-"), f.At.UTC().Format(time.DateTime))
				}
				_ = t.Flush()
			})
		}}
	cmd.Flags().StringVar(&release, "release", "", "only of this release")
	cmd.Flags().StringVar(&project, "project", "", "project; left out: your only one, else 1")
	return cmd
}

func (a *app) sourcemapsDelete() *cobra.Command {
	var project string
	cmd := &cobra.Command{Use: "delete RELEASE", Short: "Delete the source maps of a release", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			if err := c.Call(cmd.Context(), http.MethodDelete, "/sourcemaps?"+url.Values{"release": {args[0]}, "project": {project}}.Encode(), nil, nil); err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "the source maps of release %s are deleted\n", args[0])
			return nil
		}}
	cmd.Flags().StringVar(&project, "project", "", "project; left out: your only one, else 1")
	return cmd
}
