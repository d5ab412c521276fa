package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"serin/internal/forward"
)

// forwarding shows what passes telemetry on to other services.
func (a *app) forwarding() *cobra.Command {
	return &cobra.Command{
		Use: "forwarding", Short: "Show what of the telemetry waits to be passed on, and what was lost", Args: cobra.NoArgs,
		Long: `Show the projects whose telemetry is passed on to another service, such as your Sentry: what waits and since when, what was
delivered or lost since the server's start, the upstream's rate limits and the last error. Exit status 1: the last try of one failed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all []forward.Status
			if err := a.get(cmd.Context(), "/forwarding", &all); err != nil {
				return err
			}
			if err := a.print(all, func(w io.Writer) { printForwarding(w, all, time.Now()) }); err != nil {
				return err
			}
			for _, s := range all {
				if s.State == forward.Failing {
					return errFailed
				}
			}
			return nil
		},
	}
}

// printForwarding shows each line as of now.
func printForwarding(w io.Writer, all []forward.Status, now time.Time) {
	if len(all) == 0 {
		fmt.Fprintln(w, "nothing is forwarded: name an upstream in forward of the server's configuration, see docs/guide/keep-sentry.md")
	}
	ago := func(t time.Time) string { return max(now.Sub(t), 0).Round(time.Second).String() + " ago" }
	for i, s := range all {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "project %s  %s  to %s\n", oneLine(s.Project), s.State, oneLine(s.Upstream))
		fmt.Fprintf(w, "  waiting: %d requests, %d of %d bytes", s.Queued, s.Bytes, s.MaxBytes)
		if !s.Oldest.IsZero() {
			fmt.Fprintf(w, ", the oldest from %s", ago(s.Oldest))
		}
		fmt.Fprintf(w, "\n  delivered: %d", s.Sent)
		if !s.LastSent.IsZero() {
			fmt.Fprintf(w, ", the last %s", ago(s.LastSent))
		}
		fmt.Fprintf(w, "\n  lost: %s\n", tally(s.Lost))
		if len(s.Held) > 0 {
			fmt.Fprintf(w, "  items left out at the upstream's wish: %s\n", tally(s.Held))
		}
		for _, category := range slices.Sorted(maps.Keys(s.Limits)) {
			fmt.Fprintf(w, "  limited: %s for another %s\n", oneLine(category), s.Limits[category].Sub(now).Round(time.Second))
		}
		if s.LastError != "" {
			fmt.Fprintf(w, "  last error, %s: %s\n", ago(s.ErrorAt), oneLine(s.LastError))
		}
	}
}

// tally lists counts by name; "none" if there are none.
func tally(counts map[string]int64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", oneLine(name), counts[name]))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}
