package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

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
	next := []string{"instrumentation-client.ts", "lib/serin-client.ts", "lib/serin-server.ts", "plan.yaml", "emergency.md"}
	golang := []string{"serinflags/serinflags.go", "serinflags/openfeature/cache.go", "serinflags/openfeature/evaluate.go",
		"serinflags/openfeature/provider.go", "serinflags/openfeature/stream.go", "plan.yaml", "emergency.md"}
	java := []string{"src/main/java/serin/SerinFlags.java", "plan.yaml", "emergency.md"}
	for _, tt := range []struct {
		name, file, content string
		want                []string
	}{
		{"Next.js", "package.json", `{"dependencies":{"next":"16.4.5","react":"19.3.1"}}`, next},
		{"React", "package.json", `{"dependencies":{"react":"19.3.1"}}`, []string{"serin.js", "plan.yaml", "emergency.md"}},
		{"bundler", "package.json", `{"devDependencies":{"vite":"7.0.0"}}`, []string{"serin.js", "plan.yaml", "emergency.md"}},
		{"Node", "package.json", `{}`, []string{"serin.mjs", "plan.yaml", "emergency.md"}},
		{"Python", "requirements.txt", "flask\n", []string{"serin_flags.py", "plan.yaml", "emergency.md"}},
		{"Python project", "pyproject.toml", "", []string{"serin_flags.py", "plan.yaml", "emergency.md"}},
		{"Go", "go.mod", "module shop\n", golang},
		{"Java", "pom.xml", "<project/>", java},
		{"Java by Gradle", "build.gradle.kts", "", java},
		{"nothing known", "README", "", []string{"plan.yaml", "emergency.md"}},
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
	if d := cmp.Diff([][]string{{"plan.yaml", "emergency.md"}, {"serin.mjs"}}, [][]string{written, kept}); code != 0 || d != "" || read() != "mine" {
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

// TestInitDryRun: nothing is written, and what would be is said.
func TestInitDryRun(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"package.json": `{}`, "serin.mjs": "mine"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, written, kept := runInit(t, dir, "--dry-run")
	if d := cmp.Diff([][]string{{"plan.yaml", "emergency.md"}, {"serin.mjs"}}, [][]string{written, kept}); code != 0 || d != "" {
		t.Errorf("status %d\n%s", code, d)
	}
	if _, written, _ := runInit(t, dir, "--dry-run", "--force"); len(written) != 3 {
		t.Errorf("with --force it would write %v", written)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("there are %d files, want the 2 of before: %v", len(left), err)
	}
	if code, _, _ := runInit(t, filepath.Join(dir, "nowhere"), "--dry-run"); code != 0 {
		t.Errorf("status %d of a folder that is not there yet", code)
	}
}

// TestInitMakesTheRunbookOfThePlan: the emergency runbook is of the plan that
// is there, and a broken one has none.
func TestInitMakesTheRunbookOfThePlan(t *testing.T) {
	for _, tt := range []struct {
		name, plan, want string
		files            []string
	}{
		{"own", "serin: 1\nplan: mine\ntimezone: UTC\nflag: { key: myFlag }\nstages: [{ stage: full, traffic: 100%, bake: 1h }]\n", "serin flag off myFlag", []string{"emergency.md"}},
		{"broken", "serin: 1\n", "", []string{"serin.mjs"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "plan.yaml"), []byte(tt.plan), 0o600); err != nil {
				t.Fatal(err)
			}
			if tt.name == "broken" {
				if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{}`), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			code, written, _ := runInit(t, dir)
			if d := cmp.Diff(tt.files, written); code != 0 || d != "" {
				t.Fatalf("status %d\n%s", code, d)
			}
			text, err := os.ReadFile(filepath.Join(dir, "emergency.md"))
			if err != nil && tt.want != "" || !strings.Contains(string(text), tt.want) {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
}

// TestInitJavaCompiles compiles what init writes against the methods that the
// libraries have.
func TestInitJavaCompiles(t *testing.T) {
	javac, err := exec.LookPath("javac")
	if err != nil {
		t.Skipf("the Java file is not compiled: %v", err)
	}
	api, err := txtar.ParseFile("testdata/java/api.txtar")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"-Xlint:all,-options", "-Werror", "--release", "11", "-d", filepath.Join(dir, "out")}
	for _, f := range append(api.Files, txtar.File{Name: "pom.xml", Data: []byte("<project/>")}) {
		file := filepath.Join(dir, f.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, f.Data, 0o600)); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".java") {
			args = append(args, file)
		}
	}
	if code, _, _ := runInit(t, dir); code != 0 {
		t.Fatalf("init ended with status %d", code)
	}
	args = append(args, filepath.Join(dir, "src/main/java/serin/SerinFlags.java"))
	if out, err := exec.CommandContext(t.Context(), javac, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestInitGoCompiles compiles what init writes into an app's own module, with
// the modules that this one has anyway and without a network.
func TestInitGoCompiles(t *testing.T) {
	dir := t.TempDir()
	ours, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	theirs := strings.Replace(string(ours), "module serin\n", "module shop.example/app // the shop\n", 1)
	main := "package main\n\nimport (\n\t\"context\"\n\n\t\"shop.example/app/serinflags\"\n)\n\nfunc main() {\n\tend, err := serinflags.Connect()\n\tif err != nil {\n\t\tpanic(err)\n\t}\n\tdefer end()\n\t_, _ = serinflags.Enabled(context.Background(), \"newCheckout\", \"u-1\", nil)\n}\n"
	for name, content := range map[string]string{"go.mod": theirs, "go.sum": string(sums), "main.go": main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, _ := runInit(t, dir); code != 0 {
		t.Fatalf("init ended with status %d", code)
	}
	build := exec.CommandContext(t.Context(), "go", "vet", "./...")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
