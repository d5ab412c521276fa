package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"serin/internal/server"
	"serin/internal/store/sqlite"
)

// The stamps of a released binary, set at link time by scripts/build.
var (
	release = "dev"
	commit  = "" // full hash
	date    = "" // of the commit, RFC 3339
)

// version is the release, or for a build of one's own the commit, if known.
func version() string {
	if release != "dev" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "dev+" + s.Value[:12]
			}
		}
	}
	return release
}

// build is what version prints.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Data     *data  `json:"data,omitempty"`
}

// data is what version --check-data found.
type data struct {
	Directory string `json:"directory"`
	Schema    int64  `json:"schema"` // of the database
	Known     int64  `json:"known"`  // to this program
	Fits      bool   `json:"fits"`
	Says      string `json:"says"`
}

func (a *app) version() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version",
		Long: `Print the version, and with --check-data whether this program can serve a data directory: the
same format, an older one that the next start would migrate, or a newer one that it refuses.
Nothing is changed, and a server may be running on the directory.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build{Version: version(), Commit: commit, Date: date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if check {
				dir := a.dataDirectory()
				f, err := sqlite.Inspect(cmd.Context(), filepath.Join(dir, server.DatabaseFile))
				if errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("%s has no %s: name the data directory with --data", dir, server.DatabaseFile)
				}
				if err != nil {
					return err
				}
				b.Data = fit(dir, f)
			}
			if err := a.print(b, b.write); err != nil || b.Data == nil || b.Data.Fits {
				return err
			}
			return errFailed
		},
	}
	cmd.Flags().BoolVar(&check, "check-data", false, "also say whether this program can serve the data directory")
	return cmd
}

func fit(dir string, f sqlite.Format) *data {
	d := &data{Directory: dir, Schema: f.Schema, Known: f.Known, Fits: f.Schema <= f.Known}
	switch {
	case !d.Fits:
		d.Says = fmt.Sprintf("written by a newer serin (schema %d, this program knows %d): run that version, or restore a backup from before the upgrade", f.Schema, f.Known)
	case f.Schema < f.Known:
		d.Says = fmt.Sprintf("schema %d: the next start migrates it to %d", f.Schema, f.Known)
	default:
		d.Says = fmt.Sprintf("schema %d: fits", f.Schema)
	}
	return d
}

func (b build) write(w io.Writer) {
	fmt.Fprintf(w, "serin %s (%s, %s)\n", b.Version, b.Go, b.Platform)
	if b.Commit != "" {
		fmt.Fprintf(w, "commit %s of %s\n", b.Commit, b.Date)
	}
	if b.Data != nil {
		fmt.Fprintf(w, "%s: %s\n", b.Data.Directory, b.Data.Says)
	}
}
