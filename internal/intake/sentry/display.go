package sentry

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"serin/internal/intake/loosejson"
	"serin/internal/telemetry"
)

// Limits of what an event carries for people to read only.
const (
	maxBreadcrumbs     = 50 // the last ones
	maxBreadcrumbChars = 300
	maxSourceLines     = 5 // before and after each
	maxSourceChars     = 200
)

// breadcrumbs keeps the last ones of an event; of their data only what a
// request was. at is the event's time on the server's clock: times of
// breadcrumbs are moved there with it.
func (d *decoding) breadcrumbs(event loosejson.Value, at time.Time) []telemetry.Breadcrumb {
	all := slices.Collect(list(event.Get("breadcrumbs")).Items())
	if len(all) == 0 {
		return nil
	}
	stamped, known := d.time(event.Get("timestamp"))
	if at.IsZero() {
		known = false
	}
	all = all[max(len(all)-maxBreadcrumbs, 0):]
	var out []telemetry.Breadcrumb
	for _, b := range all {
		if b.Kind() != loosejson.Object {
			if !b.Absent() {
				d.invalid(invalidField)
			}
			continue
		}
		c := telemetry.Breadcrumb{
			Category: d.text(firstPresent(b.Get("category"), b.Get("type")), maxTypeChars),
			Level:    d.text(b.Get("level"), maxTypeChars),
			Message:  d.text(b.Get("message"), maxBreadcrumbChars),
		}
		if t, ok := d.time(b.Get("timestamp")); ok {
			if known {
				t = at.Add(t.Sub(stamped))
			}
			c.Time = t.Round(time.Millisecond)
		}
		c.Message = cmp.Or(c.Message, d.told(b.Get("data")))
		if c.Category != "" || c.Message != "" {
			out = append(out, c)
		}
	}
	return out
}

// told is the text of a breadcrumb without one: "GET /api/users 500" of a
// request, "/a to /b" of a navigation.
func (d *decoding) told(data loosejson.Value) string {
	if from, to := d.text(data.Get("from"), maxBreadcrumbChars), d.text(data.Get("to"), maxBreadcrumbChars); to != "" {
		return strings.TrimPrefix(from+" to "+to, " to ")
	}
	var parts []string
	for _, key := range []string{"method", "url", "status_code"} {
		if s := d.text(data.Get(key), maxBreadcrumbChars); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, " ")
}

// source is the line of code that a server's SDK sends with a frame. Local
// variables are never kept.
func (d *decoding) source(f loosejson.Value) *telemetry.Source {
	line := f.Get("context_line")
	if line.Absent() {
		return nil
	}
	before, after := d.lines(f.Get("pre_context")), d.lines(f.Get("post_context"))
	return &telemetry.Source{
		Before: before[max(len(before)-maxSourceLines, 0):],
		Line:   d.text(line, maxSourceChars),
		After:  after[:min(len(after), maxSourceLines)],
	}
}

func (d *decoding) lines(v loosejson.Value) []string {
	var out []string
	for line := range v.Items() {
		out = append(out, d.text(line, maxSourceChars))
	}
	return out
}

// debugIDs maps the files of a page to the debug ids of their source maps, as
// debug_meta.images tells them: {"type": "sourcemap", "code_file": URL,
// "debug_id": UUID}.
func (d *decoding) debugIDs(images loosejson.Value) map[string]string {
	ids := map[string]string{}
	for image := range images.Items() {
		if kind, _ := image.Get("type").Str(); kind != "sourcemap" || len(ids) >= maxFrames {
			continue
		}
		file, id := d.text(image.Get("code_file"), maxFrameChars), d.hexID(image.Get("debug_id"), 32)
		if file != "" && id != "" {
			ids[file] = fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:])
		}
	}
	return ids
}
