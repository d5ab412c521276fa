// Package scan looks at a source tree: what still refers to a flag, and what a
// plan's facts about code say.
//
// Tree reads TypeScript, JavaScript, Go, Python, Java, Ruby, Vue and Svelte
// and reports each Reference to a Needle: a flag's key or build variable, a
// symbol such as the wrapper around the flag, a path that is to go. Facts
// evaluates the facts "path exists", "path gone" and "refs gone".
//
// Files are divided into code, strings and comments by one scanner a language
// (lex.go and its neighbours), which knows just enough of the grammar for
// that: template literals, JSX, regular expressions, triple quotes, heredocs,
// interpolation. It is no parser: what it cannot tell, it takes for code, so
// that a reference is rather reported than missed.
//
//   - A key is found as a whole word in code, strings and comments.
//   - A symbol is found as a whole identifier in code and comments, and as a
//     string that holds nothing else, as in window["useNewThing"].
//   - A path is found in strings and import statements that lead into it, from
//     outside of it: relative to the file, from the root, or by an alias such
//     as "@/". The path itself is reported while it exists.
//
// Not read: folders of other people's or generated code (skipped), what
// .gitignore or Options.Exclude name, symbolic links, binaries, minified files
// and files above Options.MaxFileBytes. The package reads through fs.FS only
// and keeps nothing; its functions may be called at the same time.
package scan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Kind says where a reference stands.
type Kind string

// The kinds of references.
const (
	Code    Kind = "code"
	String  Kind = "string"
	Comment Kind = "comment"
	Path    Kind = "path" // the path of a needle, which is still there; it has no line
)

// Reference is one place that a needle was found at.
type Reference struct {
	File   string `json:"file"`   // relative to the root, with slashes
	Line   int    `json:"line"`   // from 1; 0 for Path
	Column int    `json:"column"` // in bytes from 1; 0 for Path
	Kind   Kind   `json:"kind"`
	Needle string `json:"needle"`
	Text   string `json:"text"` // the line, trimmed, at most maxText bytes
}

// Options say what to look for and where not to.
type Options struct {
	Needles []Needle
	// Exclude are patterns in the form of .gitignore lines, relative to the root.
	Exclude []string
	// MaxFileBytes is the size above which a file is left out; 0 = 4 MiB.
	MaxFileBytes int64
}

const (
	defaultMaxFile = 4 << 20
	// maxLine is a line's length in bytes above which a file counts as minified.
	maxLine = 20_000
	// maxText bounds the excerpt of a reference.
	maxText = 160
	// binaryPrefix is how far a zero byte is looked for, as Git does (xdiff-interface.c).
	binaryPrefix = 8000
)

// ErrNoSources means that there was nothing to read: most likely a wrong folder.
var ErrNoSources = errors.New("no source files")

// Tree returns the references to the needles, ordered by file, line, column
// and needle. A folder or file that cannot be read is an error: its references
// would be missed. Without one source file it returns ErrNoSources.
func Tree(fsys fs.FS, o Options) ([]Reference, error) {
	o.MaxFileBytes = cmp.Or(o.MaxFileBytes, defaultMaxFile)
	needles, err := prepare(o.Needles)
	if err != nil {
		return nil, err
	}
	found, err := standing(fsys, needles)
	if err != nil {
		return nil, err
	}
	files := 0
	err = walk(fsys, o.Exclude, func(name string, d fs.DirEntry) error {
		lang, ok := languages[strings.ToLower(path.Ext(name))]
		if !ok || strings.Contains(path.Base(name), ".min.") {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		files++
		if info.Size() > o.MaxFileBytes {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if readable(src) {
			found = append(found, file(name, lang, src, needles)...)
		}
		return nil
	})
	if err == nil && files == 0 {
		err = ErrNoSources
	}
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b Reference) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Needle, b.Needle))
	})
	return slices.Compact(found), nil
}

// standing reports the paths that still exist.
func standing(fsys fs.FS, needles []Needle) ([]Reference, error) {
	var found []Reference
	for _, n := range needles {
		if n.Kind != LegacyPath {
			continue
		}
		there, err := exists(fsys, n.Text)
		if err != nil {
			return nil, err
		}
		if there {
			found = append(found, Reference{File: n.Text, Kind: Path, Needle: n.Text, Text: "is still there"})
		}
	}
	return found, nil
}

// exists tells whether a clean path is there; only a certain answer is one.
func exists(fsys fs.FS, name string) (bool, error) {
	_, err := fs.Stat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", name, err)
	}
	return true, nil
}

// readable is false for binaries and minified files.
func readable(src []byte) bool {
	if bytes.IndexByte(src[:min(len(src), binaryPrefix)], 0) >= 0 {
		return false
	}
	for len(src) > maxLine {
		n := bytes.LastIndexByte(src[:maxLine], '\n')
		if n < 0 {
			return false
		}
		src = src[n+1:]
	}
	return true
}

// file returns the references in one file.
func file(name string, lang language, src []byte, needles []Needle) []Reference {
	if !mentions(src, needles) {
		return nil
	}
	segments := lang(src)
	var found []Reference
	add := func(at int, kind Kind, needle string) {
		line := 1 + bytes.Count(src[:at], []byte{'\n'})
		begin := bytes.LastIndexByte(src[:at], '\n') + 1
		text, _, _ := bytes.Cut(src[begin:], []byte{'\n'})
		found = append(found, Reference{File: name, Line: line, Column: at - begin + 1, Kind: kind, Needle: needle, Text: excerpt(text)})
	}
	for _, n := range needles {
		if n.Kind == LegacyPath {
			leading(name, src, segments, n.Text, add)
		} else {
			words(src, segments, n, add)
		}
	}
	return found
}

func excerpt(line []byte) string {
	line = bytes.TrimSpace(line)
	return strings.ToValidUTF8(string(line[:min(len(line), maxText)]), "") // a cut may halve a letter
}
