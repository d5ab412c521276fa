package internal

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRequirementsNameRealTests keeps docs/requirements.md true: every test
// that it names must exist, in the package that it names.
func TestRequirementsNameRealTests(t *testing.T) {
	text, err := os.ReadFile("../docs/requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := map[string]bool{} // "package TestName"
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		source, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(source, -1) {
			exists[filepath.ToSlash(filepath.Dir(file))+" "+string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| R(\d+) \|.*\| ([^|]*) \|$`)
	name := regexp.MustCompile("`([a-z/]+)`|(Test\\w+)")
	rows := row.FindAllStringSubmatch(string(text), -1)
	if len(rows) != 76 {
		t.Errorf("the table has %d rows, want R1 to R76", len(rows))
	}
	for _, r := range rows {
		pkg := ""
		for _, m := range name.FindAllStringSubmatch(r[2], -1) {
			if m[1] != "" {
				pkg = m[1]
			} else if !exists[pkg+" "+m[2]] {
				t.Errorf("R%s: no %s in internal/%s", r[1], m[2], pkg)
			}
		}
		if strings.Contains(r[0], "| works |") && !strings.Contains(r[2], "Test") {
			t.Errorf("R%s is said to work, and no test shows it", r[1])
		}
	}
}

// TestLinksResolve finds relative links in the project's pages that lead
// nowhere: to a file that does not exist, or to a heading that its page lacks.
func TestLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pages := 0
	for _, page := range markdown(t, "..") {
		pages++
		for _, m := range link.FindAllStringSubmatch(prose(t, page), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file := page
			if target != "" {
				file = filepath.Join(filepath.Dir(page), filepath.FromSlash(target))
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
			} else if anchor != "" && !headings(t, file)[anchor] {
				t.Errorf("%s: link to %s: no such heading", page, m[1])
			}
		}
	}
	if pages < 10 {
		t.Errorf("found %d pages: is this the project's root?", pages)
	}
}

// markdown lists the Markdown files below root that are the project's own.
func markdown(t *testing.T, root string) []string {
	t.Helper()
	var pages []string
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case filepath.Ext(file) == ".md":
			pages = append(pages, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// prose is a page without its code, in which "](" is no link.
func prose(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("(?ms)^ *```.*?^ *```$|`[^`\n]+`\\]?")
	return code.ReplaceAllStringFunc(string(text), func(c string) string {
		if strings.HasSuffix(c, "]") { // a link's text may be code: [`stats/`](stats)
			return "]"
		}
		return ""
	})
}

// headings are the anchors of a page: its headings in lower case, with hyphens
// for spaces and without punctuation.
func headings(t *testing.T, page string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	punctuation := regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.+)$`).FindAllStringSubmatch(string(text), -1) {
		plain := punctuation.ReplaceAllString(strings.ToLower(m[1]), "")
		anchors[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return anchors
}
