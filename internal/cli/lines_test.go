package cli

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkLine says what is wrong with a command line, "" if nothing.
func checkLine(line string) string {
	args := strings.Fields(line)[1:]
	root := (&app{Streams: Streams{Out: io.Discard, Err: io.Discard}, getenv: os.Getenv}).root()
	cmd, rest, err := root.Find(args)
	switch {
	case err != nil:
		return err.Error()
	case cmd.HasSubCommands() && len(args) > 0:
		return "it is no whole command"
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err.Error()
	}
	if cmd.Args != nil {
		if err := cmd.Args(cmd, cmd.Flags().Args()); err != nil {
			return err.Error()
		}
	}
	return ""
}

// TestLinesOnPages holds the command lines that the dashboard and the docs
// show against the real commands.
func TestLinesOnPages(t *testing.T) {
	found := 0
	check := func(file, line string) {
		found++
		line, _, _ = strings.Cut(line, "#")
		for part := range strings.SplitSeq(line, " | ") {
			if part = strings.TrimSpace(part); strings.HasPrefix(part, "serin ") {
				if why := checkLine(part); why != "" {
					t.Errorf("%s shows %q: %s", file, part, why)
				}
			}
		}
	}
	literal := regexp.MustCompile(`"(serin [a-z]+ [^"]*?)" \+ v\.[A-Za-z]+( \+ "([^"]*)"( \+ it\.ID)?)?`)
	template := regexp.MustCompile(`(?:"cli" |\(print )"(serin [^"]*)"( \.View\.Plan "([^"]*)"| \.[A-Za-z.]+\))?`)
	prompt := regexp.MustCompile(`(?m)^ *\$ (serin [^"'\n\\]*)$`) // without quotes, on one line
	for _, dir := range []string{"../web", "../../docs", "../../README.md"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			switch filepath.Ext(path) {
			case ".go":
				for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
					item := strings.Repeat("y", min(1, len(m[4]))) // what the code adds
					check(path, m[1]+"x-1"+m[3]+item)
				}
			case ".html":
				for _, m := range template.FindAllStringSubmatch(string(text), -1) {
					line := m[1] + strings.Replace(m[3], ".yaml", "x.yaml", 1)
					if strings.HasSuffix(m[2], ")") {
						line += "x" // what the page adds
					}
					check(path, line)
				}
			case ".md":
				for _, m := range prompt.FindAllStringSubmatch(string(text), -1) {
					check(path, m[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 15 {
		t.Errorf("only %d lines were found: the pages are written in another way now", found)
	}
	for _, wrong := range []string{"serin rollout expound x", "serin rollout get", "serin token create --name you", "serin rollout"} {
		if checkLine(wrong) == "" {
			t.Errorf("%q passes", wrong)
		}
	}
}
