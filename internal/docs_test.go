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
