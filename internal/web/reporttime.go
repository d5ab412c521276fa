package web

import (
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
)

// seconds reports whether a share of the time is too short to be shown: the
// parts sum to the whole to a minute.
func seconds(d time.Duration) bool { return d.Round(time.Minute) == 0 }

// unit is a share within 0 and 1; what is no number is 0.
func unit(share float64) float64 {
	if !finite(share) {
		return 0
	}
	return min(max(share, 0), 1)
}

// partLooks are the colour of a share of time on the bar and in its key.
func partLooks(key string) (bar, swatch string) {
	switch {
	case key == "bake":
		return "f-ink", "a"
	case key == "cleanup":
		return "f-mute", "b"
	case key == "paused", key == "waiting:criteria", key == "waiting:evidence":
		return "f-hold", "h"
	case key == "rolled_back", key == "reduced", key == "waiting:incident":
		return "f-fail", "r"
	case key == "down", strings.HasPrefix(key, "waiting:no data"), strings.HasPrefix(key, "waiting:blind"):
		return "f-warn", "d"
	case key == "waiting:window":
		return "f-line", "c"
	}
	return "f-info", "e"
}

// timeOf shows where the time went: the parts sum to the whole.
func (out *reportView) timeOf(rep controller.Report, now time.Time) {
	out.WallText, out.From, out.To = duration(rep.Time.Wall), onDay(rep.Started, now), onDay(rep.Ended, now)
	x := 0.0
	for _, p := range rep.Time.Parts {
		share := 100 * unit(p.Share)
		if seconds(p.Time) {
			continue
		}
		bar, swatch := partLooks(p.Key)
		out.Bars = append(out.Bars, barPart{Class: bar, Swatch: swatch, Words: upper(p.Words), Share: strconv.FormatFloat(share, 'f', 1, 64) + "%", Time: duration(p.Time), X: coord(x), W: coord(share)})
		x += share
	}
	var wall, bake time.Duration
	for _, a := range rep.Attempts {
		if len(rep.Attempts) > 1 {
			head := "Attempt " + strconv.Itoa(a.Number)
			if a.End != "" {
				head += ": " + a.End
			}
			out.Stays = append(out.Stays, stayRow{Head: head})
		}
		for _, st := range a.Stages {
			out.Stays = append(out.Stays, stayOf(st, now))
			wall, bake = wall+st.Wall, bake+st.Bake
		}
	}
	if len(out.Stays) > 0 {
		out.Stays = append(out.Stays, stayRow{Name: "Sum of the stages", Wall: duration(wall), Bake: duration(bake), Rest: duration(wall - bake), Sum: true})
	}
}

func stayOf(st controller.ReportStage, now time.Time) stayRow {
	row := stayRow{Name: st.Name, Traffic: percent(st.Traffic), From: onDay(st.Began, now), Wall: duration(st.Wall), Bake: duration(st.Bake), End: st.Words,
		Checks: count(int64(st.Checks))}
	if st.Planned > 0 && st.Bake < st.Planned {
		row.Bake += " of " + duration(st.Planned)
	}
	if st.RedChecks > 0 {
		row.Checks += ", " + count(int64(st.RedChecks)) + " red"
	}
	var rest []string
	for _, p := range st.Rest {
		if seconds(p.Time) {
			continue
		}
		rest = append(rest, strings.TrimPrefix(p.Words, "waiting for ")+" "+duration(p.Time))
	}
	row.Rest = orElse(strings.Join(rest, ", "), dash)
	if st.End == "rolled_back" || st.End == "overridden" {
		row.Class = "c-fail"
		if st.End == "overridden" {
			row.Class = "c-warn"
		}
	}
	return row
}
