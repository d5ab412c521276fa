// Package symbolicate turns the stacks of minified code into stacks of the code
// as it was written, by source maps that a build uploads.
//
// A frame finds its map by debug id, which bundler plug-ins put into the file
// and its map and SDKs send with the event; else by release and file name. It
// happens when somebody looks, never when an event comes in: grouping, counts
// and decisions do not depend on it, and a map that is uploaded late explains
// the events before it.
package symbolicate

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"

	"serin/internal/sourcemap"
	"serin/internal/store"
	"serin/internal/telemetry"
)

// around is how many lines of source are shown before and after a frame's.
const around = 5

// Frame is a frame as it was written. Raw is what the client sent; the two are
// equal where no map was found.
type Frame struct {
	telemetry.Frame
	Raw    telemetry.Frame
	Mapped bool
}

// Symbolicator reads stacks. Its methods may be called at the same time.
type Symbolicator struct {
	store store.Artifacts
	log   *slog.Logger
	maps  *cache
}

// New returns a Symbolicator over the source maps in s.
func New(s store.Artifacts, log *slog.Logger) *Symbolicator {
	return &Symbolicator{store: s, log: log, maps: newCache()}
}

// Stack returns the frames of an event's exception, the one that crashed
// first, and a sentence that says what keeps a minified stack from being read;
// "" = nothing does. Errors of the store make frames stay as they are.
func (s *Symbolicator) Stack(ctx context.Context, e *telemetry.Event) (frames []Frame, missing string) {
	if e.Exception == nil {
		return nil, ""
	}
	wanted := 0
	for _, f := range e.Exception.Frames {
		frames = append(frames, Frame{Frame: f, Raw: f})
		if minified(f) {
			wanted++
		}
	}
	if wanted > 0 {
		missing = s.read(ctx, e, frames)
	}
	slices.Reverse(frames)
	return frames, missing
}

// minified reports whether a frame is of JavaScript without its source.
func minified(f telemetry.Frame) bool {
	if f.Source != nil || f.Line <= 0 || f.Column <= 0 {
		return false
	}
	switch path.Ext(pathOf(f.File)) {
	case ".js", ".mjs", ".cjs":
		return true
	}
	return f.Debug != ""
}

// read maps what it can of frames, caller first.
func (s *Symbolicator) read(ctx context.Context, e *telemetry.Event, frames []Frame) (missing string) {
	files, err := s.store.Artifacts(ctx, e.Project, "")
	if err != nil {
		s.log.Warn("read the list of source maps", "err", err)
		return "the source maps cannot be read: " + err.Error()
	}
	name := "" // what the frame before calls this one
	var unread string
	for i := range frames {
		f := &frames[i]
		called := name
		name = ""
		if !minified(f.Raw) {
			continue
		}
		a, ok := find(files, e.Release, f.Raw)
		if !ok {
			unread = f.Raw.File
			continue
		}
		m, err := s.load(ctx, a)
		if err != nil {
			s.log.Warn("read a source map", "release", a.Release, "name", a.Name, "err", err)
			unread = f.Raw.File
			continue
		}
		name = rewrite(f, m, called)
	}
	if unread == "" {
		return ""
	}
	if e.Release == "" {
		return fmt.Sprintf("no source map has the debug id of %s, and the event names no release", unread)
	}
	return fmt.Sprintf("no source map of release %s explains %s", e.Release, unread)
}

// rewrite puts the original place into a frame and returns the name of what is
// called there. A map names the tokens at a place; so the function of a frame
// is called as its caller's place says.
func rewrite(f *Frame, m *sourcemap.Map, called string) (calls string) {
	p, ok := m.Lookup(f.Raw.Line, f.Raw.Column)
	if !ok {
		return ""
	}
	f.Mapped = true
	f.File, f.Line, f.Column = clean(p.File), p.Line, p.Column
	if called != "" {
		f.Function = called
	}
	f.InApp = !strings.Contains(p.File, "node_modules/")
	from := max(p.Line-around, 1)
	if lines := m.Lines(p.File, from, p.Line+around); p.Line-from < len(lines) {
		at := p.Line - from
		f.Source = &telemetry.Source{Before: lines[:at], Line: lines[at], After: lines[at+1:]}
	}
	return p.Name
}

// clean takes the bundler's scheme off: webpack://shop/./src/a.ts is src/a.ts.
func clean(file string) string {
	for _, scheme := range []string{"webpack://", "turbopack:///", "turbopack://", "rollup://", "file://"} {
		if rest, ok := strings.CutPrefix(file, scheme); ok {
			if scheme == "webpack://" {
				if _, after, ok := strings.Cut(rest, "/"); ok {
					rest = after
				}
			}
			file = strings.TrimPrefix(rest, "[project]/")
			break
		}
	}
	for strings.HasPrefix(file, "./") || strings.HasPrefix(file, "../") {
		_, file, _ = strings.Cut(file, "/")
	}
	return file
}

// find chooses the file that explains a frame: by debug id in any release;
// else, of the event's release, the one with the longest name that the frame's
// path ends in.
func find(files []store.Artifact, release string, f telemetry.Frame) (best store.Artifact, ok bool) {
	at := "/" + strings.TrimPrefix(pathOf(f.File), "/")
	for _, a := range files {
		if f.Debug != "" && a.Debug == f.Debug {
			return a, true
		}
		name := strings.TrimPrefix(a.Name, "~")
		if release != "" && a.Release == release && strings.HasSuffix(at, name) && len(a.Name) > len(best.Name) {
			best, ok = a, true
		}
	}
	return best, ok
}

// pathOf is the path of a file that may be given as an address.
func pathOf(file string) string {
	if u, err := url.Parse(file); err == nil {
		return u.Path
	}
	file, _, _ = strings.Cut(file, "?")
	return file
}
