package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/cli"
)

// runInit runs "serin init DIR --json".
func runInit(t *testing.T, dir string, more ...string) (code int, written, kept []string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = cli.Run(t.Context(), append([]string{"init", dir, "--json"}, more...), cli.Streams{Out: &out, Err: &errs}, func(string) string { return "" })
	var answer struct{ Written, Kept []string }
	if code == 0 {
		if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
	}
	within := func(files []string) []string {
		for i, f := range files {
			files[i] = strings.TrimPrefix(f, dir+string(filepath.Separator))
		}
		return files
	}
	return code, within(answer.Written), within(answer.Kept)
}

func TestInitFindsTheStack(t *testing.T) {
	next := []string{"instrumentation-client.ts", "lib/serin-client.ts", "lib/serin-server.ts", "plan.yaml"}
	for _, tt := range []struct {
		name, file, content string
		want                []string
	}{
		{"Next.js", "package.json", `{"dependencies":{"next":"16.4.5","react":"19.3.1"}}`, next},
		{"React", "package.json", `{"dependencies":{"react":"19.3.1"}}`, []string{"serin.js", "plan.yaml"}},
		{"bundler", "package.json", `{"devDependencies":{"vite":"7.0.0"}}`, []string{"serin.js", "plan.yaml"}},
		{"Node", "package.json", `{}`, []string{"serin.mjs", "plan.yaml"}},
		{"Python", "requirements.txt", "flask\n", []string{"serin_flags.py", "plan.yaml"}},
		{"Python project", "pyproject.toml", "", []string{"serin_flags.py", "plan.yaml"}},
		{"Go", "go.mod", "module shop\n", []string{"plan.yaml"}},
		{"Java", "pom.xml", "<project/>", []string{"plan.yaml"}},
		{"nothing known", "README", "", []string{"plan.yaml"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, tt.file), []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			code, written, kept := runInit(t, dir)
			if code != 0 || len(kept) != 0 {
				t.Fatalf("status %d, kept %v", code, kept)
			}
			if d := cmp.Diff(tt.want, written); d != "" {
				t.Error(d)
			}
			for _, f := range written {
				parses(t, filepath.Join(dir, f))
			}
			if code, _, _ := runInit(t, dir); code != 1 {
				t.Errorf("a second init ended with status %d, want 1", code)
			}
		})
	}
}

// parses checks a file with its language's own parser, where that is there.
// TypeScript is compiled by hand, with the packages that init names.
func parses(t *testing.T, file string) {
	t.Helper()
	var check []string
	switch filepath.Ext(file) {
	case ".mjs":
		check = []string{"node", "--check", file}
	case ".js":
		module := strings.TrimSuffix(file, ".js") + ".check.mjs"
		content, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(module, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		check = []string{"node", "--check", module}
	case ".py":
		check = []string{"python3", "-m", "py_compile", file}
	default:
		return
	}
	if _, err := exec.LookPath(check[0]); err != nil {
		t.Logf("%s is not parsed: %v", filepath.Base(file), err)
		return
	}
	if out, err := exec.CommandContext(t.Context(), check[0], check[1:]...).CombinedOutput(); err != nil {
		t.Errorf("%v: %v\n%s", check, err, out)
	}
}

func TestInitKeepsFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"package.json": `{}`, "serin.mjs": "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() string {
		b, err := os.ReadFile(filepath.Join(dir, "serin.mjs"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	code, written, kept := runInit(t, dir)
	if d := cmp.Diff([][]string{{"plan.yaml"}, {"serin.mjs"}}, [][]string{written, kept}); code != 0 || d != "" || read() != "mine" {
		t.Errorf("status %d, file %q\n%s", code, read(), d)
	}
	if code, _, kept := runInit(t, dir, "--force"); code != 0 || len(kept) != 0 || read() == "mine" {
		t.Errorf("--force: status %d, kept %v, file %q", code, kept, read())
	}
}

func TestInitSaysWhatItCannotRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := runInit(t, dir); code != 1 {
		t.Errorf("status %d of a broken package.json, want 1", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "plan.yaml")); err == nil {
		t.Error("a plan was written all the same")
	}
}
