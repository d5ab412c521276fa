package scan

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"serin/internal/plan"
)

// NeedleKind says how a needle is looked for; see the package comment.
type NeedleKind int

// The kinds of needles.
const (
	Key NeedleKind = iota // a flag's key or its build variable
	Symbol
	LegacyPath
)

// Needle is something that is looked for.
type Needle struct {
	Text string
	Kind NeedleKind
}

// Needles are what a plan wants gone at its end: the flag's key, its build
// variable with the key's second name KEY_canary in it, the symbols of "refs
// gone" and the paths of "path gone".
func Needles(p *plan.Plan) []Needle {
	all := []Needle{{p.Flag.Key, Key}}
	if p.Flag.Env != "" {
		all = append(all, Needle{p.Flag.Key + "_canary", Key}, Needle{p.Flag.Env, Key})
	}
	for _, f := range facts(p) {
		switch f.Name {
		case "refs gone":
			all = append(all, Needle{f.Arg, Symbol})
		case "path gone":
			all = append(all, Needle{f.Arg, LegacyPath})
		}
	}
	return all
}

// prepare checks the needles, cleans their paths and drops doubles.
func prepare(needles []Needle) ([]Needle, error) {
	var out []Needle
	for _, n := range needles {
		if n.Kind == LegacyPath {
			clean, err := inside(n.Text)
			if err != nil {
				return nil, err
			}
			n.Text = clean
		}
		if n.Text == "" {
			return nil, fmt.Errorf("an empty word to look for: name a flag, a symbol or a path")
		}
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out, nil
}

// inside cleans a path, which must lie in the tree.
func inside(name string) (string, error) {
	clean := path.Clean(name)
	if !fs.ValidPath(clean) || clean == "." {
		return "", fmt.Errorf("path %q: write one inside the source tree, relative to its root", name)
	}
	return clean, nil
}

// mentions is a quick look: most files hold no needle. Of a path it asks for
// the last name, without its extension.
func mentions(src []byte, needles []Needle) bool {
	return slices.ContainsFunc(needles, func(n Needle) bool {
		text := n.Text
		if n.Kind == LegacyPath {
			text = strings.TrimSuffix(path.Base(text), path.Ext(text))
		}
		return bytes.Contains(src, []byte(text))
	})
}

// wordByte is part of an identifier; all of UTF-8 beyond ASCII counts.
func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// words reports a key or symbol wherever it stands as a whole word.
func words(src []byte, segments []segment, n Needle, add func(int, Kind, string)) {
	needle := []byte(n.Text)
	dashed := bytes.ContainsAny(needle, "-") // then a dash does not end the word
	part := func(i int) bool {
		return i >= 0 && i < len(src) && (wordByte(src[i]) || dashed && src[i] == '-')
	}
	for at := 0; ; {
		i := bytes.Index(src[at:], needle)
		if i < 0 {
			return
		}
		i += at
		at = i + 1
		end := i + len(needle)
		if part(i-1) || part(end) {
			continue
		}
		s := segmentAt(segments, i)
		if n.Kind == Symbol && s.kind == String && string(unquote(src[s.start:s.end])) != n.Text {
			continue
		}
		add(i, s.kind, n.Text)
	}
}

// unquote takes prefix and quotes off a string's source, as far as they are there.
func unquote(text []byte) []byte {
	if rest := bytes.TrimLeft(text, "rRbBuUfFtT"); len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
		text = rest
	}
	return bytes.Trim(text, "\"'`")
}

// leading reports the strings and import statements that lead into a path.
func leading(name string, src []byte, segments []segment, target string, add func(int, Kind, string)) {
	if under(name, target) {
		return
	}
	dir := path.Dir(name)
	for i, s := range segments {
		switch s.kind {
		case String:
			text := string(unquote(src[s.start:s.end]))
			beside := i > 0 && bytes.HasSuffix(bytes.TrimRight(src[segments[i-1].start:s.start], " \t("), []byte("require_relative"))
			if leads(dir, text, target, beside) {
				add(s.start, String, target)
			}
		case Code:
			dotted(dir, path.Ext(name), src, s, target, add)
		}
	}
}

// leads tells whether a path as written in a file of dir lies in target.
func leads(dir, text, target string, beside bool) bool {
	if text == "" || len(text) > 1000 || strings.Contains(text, "://") || strings.ContainsAny(text, " \n\t") {
		return false
	}
	if strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") || text == "." || text == ".." || beside {
		return under(path.Join(dir, text), target)
	}
	aliased := false
	for _, alias := range []string{"@/", "~/", "#/", "~~/", "$lib/", "/"} {
		if rest, ok := strings.CutPrefix(text, alias); ok {
			text, aliased = rest, alias != "/"
			break
		}
	}
	text = path.Clean(text)
	if under(text, target) || strings.HasSuffix(text, "/"+target) || strings.Contains(text, "/"+target+"/") {
		return true
	}
	// An alias or a source root stands for the first folders of the target. One
	// name alone says too little, unless "@/" stands for the first folder.
	_, rest, more := strings.Cut(target, "/")
	for ; more && (aliased || strings.Contains(rest, "/")); _, rest, more = strings.Cut(rest, "/") {
		if under(text, rest) {
			return true
		}
		aliased = false
	}
	return false
}

// under tells whether a path is target or lies in it; a module may be named
// without its extension.
func under(name, target string) bool {
	return name == target || strings.HasPrefix(name, target+"/") || path.Ext(target) != "" && name == strings.TrimSuffix(target, path.Ext(target))
}

// dottedImport are the import statements of Python and Java.
var dottedImport = regexp.MustCompile(`(?m)^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b[ \t]*\(?([\w, \t]*)|import[ \t]+(?:static[ \t]+)?([\w.]+))`)

// dotted reports statements such as "from app.legacy import x".
func dotted(dir, ext string, src []byte, s segment, target string, add func(int, Kind, string)) {
	if ext != ".py" && ext != ".java" {
		return
	}
	for _, m := range dottedImport.FindAllSubmatchIndex(src[s.start:s.end], -1) {
		group := func(n int) string {
			if m[2*n] < 0 {
				return ""
			}
			return string(src[s.start+m[2*n] : s.start+m[2*n+1]])
		}
		at, module := m[2], group(1)
		if module == "" {
			at, module = m[6], group(3)
		}
		modules := []string{module}
		for name := range strings.SplitSeq(group(2), ",") {
			if fields := strings.Fields(name); len(fields) > 0 {
				modules = append(modules, strings.TrimSuffix(module, ".")+"."+fields[0])
			}
		}
		if slices.ContainsFunc(modules, func(module string) bool { return leads(dir, slashes(module), target, false) }) {
			add(s.start+at, Code, target)
		}
	}
}

// slashes is a dotted module as a path: "..a.b" is "../a/b".
func slashes(module string) string {
	rest := strings.TrimLeft(module, ".")
	dots := len(module) - len(rest)
	rest = strings.ReplaceAll(rest, ".", "/")
	if dots > 0 {
		return "./" + strings.Repeat("../", dots-1) + rest
	}
	return rest
}
