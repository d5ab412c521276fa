package web

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"serin/internal/forward"
)

// Forwarding is what passes telemetry on to other services.
type Forwarding interface{ Status() []forward.Status }

// forwardRow is one project's upstream and how it does.
type forwardRow struct {
	Project, Note, Lost, Error string
	Pill                       pill
	Oldest                     stamp // of what waits
}

// forwardRows are all upstreams, for people of the whole server.
func (s *server) forwardRows(r *http.Request) (rows []forwardRow) {
	if s.Options.Forwarding == nil || !by(r).WholeServer() {
		return nil
	}
	now := s.Now()
	for _, of := range s.Options.Forwarding.Status() {
		row := forwardRow{Project: "Project " + of.Project, Pill: forwardPill(of.State), Oldest: at(of.Oldest, now), Error: clip(of.LastError, 300),
			Note: fmt.Sprintf("to %s: %d delivered, %d waiting, %s of %s", clip(of.Upstream, 120), of.Sent, of.Queued, mebibytes(of.Bytes), mebibytes(of.MaxBytes))}
		var lost []string
		for _, reason := range slices.Sorted(maps.Keys(of.Lost)) {
			lost = append(lost, fmt.Sprintf("%d %s", of.Lost[reason], reason))
		}
		for _, category := range slices.Sorted(maps.Keys(of.Held)) {
			lost = append(lost, fmt.Sprintf("%d items of %s limited by the upstream", of.Held[category], category))
		}
		row.Lost = strings.Join(lost, ", ")
		rows = append(rows, row)
	}
	return rows
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func forwardPill(state string) pill {
	switch state {
	case forward.Failing:
		return pill{Class: "fail", Icon: "fail", Word: "Failing"}
	case forward.Limited:
		return pill{Class: "warn", Icon: "warn", Word: "Limited by the upstream"}
	case forward.Sending:
		return pill{Class: "ok", Icon: "pass", Word: "Sending"}
	}
	return pill{Class: "ok", Icon: "pass", Word: "Nothing waits"}
}
