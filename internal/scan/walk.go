package scan

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

// skipped are folders that hold other people's or generated code, at any depth.
var skipped = map[string]bool{
	"node_modules": true, "vendor": true, ".git": true, "dist": true, "build": true,
	".next": true, ".nuxt": true, ".svelte-kit": true, ".venv": true, "__pycache__": true,
}

// pattern is a line of .gitignore (git-scm.com/docs/gitignore): * ? and **,
// a leading "!" that takes back, a slash that ties it to its folder, a final
// slash for folders only. Ranges such as [a-z] are those of path.Match.
type pattern struct {
	base    string // folder of the .gitignore; "." = the root
	parts   []string
	negated bool
	dirOnly bool
}

func parsePattern(base, line string) (pattern, bool) {
	line = strings.TrimRight(line, " \t\r")
	if line == "" || strings.HasPrefix(line, "#") {
		return pattern{}, false
	}
	p := pattern{base: base}
	line, p.negated = strings.CutPrefix(line, "!")
	line = strings.TrimPrefix(line, `\`)
	line, p.dirOnly = strings.CutSuffix(line, "/")
	if !strings.Contains(line, "/") {
		line = "**/" + line
	}
	p.parts = strings.Split(strings.TrimPrefix(line, "/"), "/")
	return p, true
}

func (p pattern) match(name string, dir bool) bool {
	if p.dirOnly && !dir {
		return false
	}
	if p.base != "." {
		rest, ok := strings.CutPrefix(name, p.base+"/")
		if !ok {
			return false
		}
		name = rest
	}
	return matchParts(p.parts, strings.Split(name, "/"))
}

// matchParts matches path elements; "**" stands for any number of them.
func matchParts(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			if len(pattern) == 1 {
				return len(name) > 0
			}
			for i := range len(name) {
				if matchParts(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); err != nil || !ok {
			return false // a malformed pattern matches nothing, as with Git
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}

// ignored: the last pattern that matches decides.
func ignored(patterns []pattern, name string, dir bool) bool {
	out := false
	for _, p := range patterns {
		if p.match(name, dir) {
			out = !p.negated
		}
	}
	return out
}

// walk calls visit for each regular file that is not left out, in lexical order.
func walk(fsys fs.FS, exclude []string, visit func(string, fs.DirEntry) error) error {
	var own, git []pattern
	for _, e := range exclude {
		if p, ok := parsePattern(".", e); ok {
			own = append(own, p)
		}
	}
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if name != "." && (ignored(git, name, d.IsDir()) || ignored(own, name, d.IsDir()) || d.IsDir() && skipped[d.Name()]) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			more, err := gitignore(fsys, name)
			git = append(git, more...)
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return visit(name, d)
	})
}

func gitignore(fsys fs.FS, dir string) ([]pattern, error) {
	name := path.Join(dir, ".gitignore")
	text, err := fs.ReadFile(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var out []pattern
	for line := range strings.Lines(string(text)) {
		if p, ok := parsePattern(dir, strings.TrimRight(line, "\n")); ok {
			out = append(out, p)
		}
	}
	return out, nil
}
