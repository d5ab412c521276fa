// Package sourcemap reads source maps of version 3 (ECMA-426): it finds the
// original place of a place in minified code.
//
// Maps are read whole and checked: a damaged one is an error, never a panic,
// and a Map that was parsed answers every question. Both forms are read, the
// plain one and the sectioned one ("index map") that bundlers such as
// Turbopack write, also with sections that map nothing.
//
// The libraries that were looked at (go-sourcemap 2.1.4) refuse empty sections,
// read a segment without source as one of the source before it, and panic on
// indices out of range.
package sourcemap

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrMap is wrapped by every error of Parse.
var ErrMap = errors.New("source map")

// maxSegments bounds the memory of one map: 24 bytes each.
const maxSegments = 8 << 20

// Map answers Lookup. It is read-only after Parse.
type Map struct {
	// Debug is the map's debug id, lower case with dashes; "" = none.
	Debug string

	segments []segment // by line, column
	sources  []source
	names    []string
}

// Place is an original place. Line counts from 1, Column from 1.
type Place struct {
	File         string
	Name         string // of the variable or function at the place, "" = not told
	Line, Column int
}

type source struct {
	file string
	text *string // nil = not in the map
}

// segment says that from line, column (both from 0) on, code comes from
// source at fromLine, fromColumn; source -1 = from nowhere.
type segment struct {
	line, column, source, fromLine, fromColumn, name int32
}

// document is the JSON of both forms.
type document struct {
	Version    int       `json:"version"`
	SourceRoot string    `json:"sourceRoot"`
	Sources    []*string `json:"sources"`
	Contents   []*string `json:"sourcesContent"`
	Names      []string  `json:"names"`
	Mappings   string    `json:"mappings"`
	DebugID    string    `json:"debugId"`
	OldDebugID string    `json:"debug_id"`
	Sections   []struct {
		Offset struct {
			Line   int32 `json:"line"`
			Column int32 `json:"column"`
		} `json:"offset"`
		Map *document `json:"map"`
	} `json:"sections"`
}

// Parse reads a source map. A first line ")]}'" is skipped, as the
// specification asks.
func Parse(data []byte) (*Map, error) {
	text := string(data)
	if strings.HasPrefix(text, ")]}") {
		_, text, _ = strings.Cut(text, "\n")
	}
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMap, err)
	}
	m := &Map{Debug: DebugID(d.DebugID)}
	if m.Debug == "" {
		m.Debug = DebugID(d.OldDebugID)
	}
	if err := m.add(&d, 0, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMap, err)
	}
	for i, s := range d.Sections {
		if s.Map == nil || len(s.Map.Sections) > 0 {
			return nil, fmt.Errorf("%w: section %d has no map of its own", ErrMap, i)
		}
		if s.Offset.Line < 0 || s.Offset.Column < 0 {
			return nil, fmt.Errorf("%w: section %d begins before the file", ErrMap, i)
		}
		if err := m.add(s.Map, s.Offset.Line, s.Offset.Column); err != nil {
			return nil, fmt.Errorf("%w: section %d: %w", ErrMap, i, err)
		}
	}
	slices.SortStableFunc(m.segments, order)
	return m, nil
}

// DebugID is a debug id in lower case with dashes, "" when s is none.
func DebugID(s string) string {
	s = strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "" {
		return ""
	}
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

func order(a, b segment) int {
	if a.line != b.line {
		return int(a.line) - int(b.line)
	}
	return int(a.column) - int(b.column)
}

// add takes in one map whose code begins at line and column.
func (m *Map) add(d *document, line, column int32) error {
	if d.Version != 3 && (d.Version != 0 || d.Mappings != "") {
		return fmt.Errorf("version %d: only 3 is known", d.Version)
	}
	base := int32(len(m.sources))
	names := int32(len(m.names))
	for i, s := range d.Sources {
		out := source{}
		if s != nil {
			out.file = under(d.SourceRoot, *s)
		}
		if i < len(d.Contents) {
			out.text = d.Contents[i]
		}
		m.sources = append(m.sources, out)
	}
	m.names = append(m.names, d.Names...)
	return m.decode(d.Mappings, start{line: line, column: column, sources: base, names: names})
}

func under(root, file string) string {
	if root == "" || strings.HasPrefix(file, "/") || strings.Contains(file, "://") {
		return file
	}
	return strings.TrimSuffix(root, "/") + "/" + file
}

// Lookup finds the original of a place in the minified file; line and column
// count from 1, as stack traces do. ok is false where the map says nothing.
func (m *Map) Lookup(line, column int) (p Place, ok bool) {
	if line < 1 || line > maxLine {
		return p, false
	}
	at := segment{line: int32(line - 1), column: int32(min(max(column-1, 0), maxLine))}
	i, exact := slices.BinarySearchFunc(m.segments, at, order)
	if !exact {
		i--
	}
	if i < 0 || m.segments[i].line != at.line || m.segments[i].source < 0 {
		return p, false
	}
	s := m.segments[i]
	p = Place{File: m.sources[s.source].file, Line: int(s.fromLine) + 1, Column: int(s.fromColumn) + 1}
	if s.name >= 0 {
		p.Name = m.names[s.name]
	}
	return p, true
}

// Lines returns the text of an original file from line from to line to, both
// included and from 1; nothing where the map has no text of it.
func (m *Map) Lines(file string, from, to int) []string {
	for _, s := range m.sources {
		if s.file != file || s.text == nil {
			continue
		}
		var out []string
		n := 0
		for line := range strings.Lines(*s.text) {
			if n++; n > to {
				break
			}
			if n >= from {
				out = append(out, strings.TrimRight(line, "\r\n"))
			}
		}
		return out
	}
	return nil
}
