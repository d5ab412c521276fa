package cli

import (
	"cmp"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed initfiles
var initFiles embed.FS

// firstPlan is what init writes.
const firstPlan = `# A plan says how a feature reaches its users. What is left out has a safe default:
# "serin show FILE" prints the plan with all of them, "serin lint FILE" says what is wrong.
serin: 1
plan: new-checkout              # rollouts are called new-checkout-1, -2, ...
timezone: UTC
flag: { key: newCheckout }      # what the code asks for; made with the first rollout
stages:
  - { stage: canary, traffic: 10%,  bake: 48h }
  - { stage: half,   traffic: 50%,  bake: 24h }
  - { stage: full,   traffic: 100%, bake: 72h }
`

const firstPlanName = "plan.yaml"

// stack is a kind of app that init knows.
type stack struct {
	name    string
	folder  string // of initFiles; "" = there are no files for it
	install string // what to type; "" = nothing, see note
	note    string
}

// The versions are those the examples are built with, but for Python's, which
// nothing here runs.
var (
	nextStack = stack{"Next.js", "nextjs", "npm install @openfeature/core@1.12.0 @openfeature/server-sdk@1.23.0 @openfeature/ofrep-provider@0.1.3 @openfeature/react-sdk@1.4.1 @openfeature/web-sdk@1.10.0 @openfeature/ofrep-web-provider@0.4.3 @sentry/browser@11.12.0",
		"wrap the tree of app/layout.tsx in <Serin user={user}> of lib/serin-client.ts"}
	pageStack = stack{"a page with a bundler", "browser", "npm install @openfeature/core@1.12.0 @openfeature/web-sdk@1.10.0 @openfeature/ofrep-web-provider@0.4.3 @sentry/browser@11.12.0",
		"call connect of serin.js once the user is known"}
	nodeStack = stack{"Node", "node", "npm install @openfeature/core@1.12.0 @openfeature/server-sdk@1.23.0 @openfeature/ofrep-provider@0.1.3 @sentry/node@11.12.0",
		"import serin.mjs before the rest of the app"}
	pythonStack = stack{"Python", "python", "pip install openfeature-sdk==0.10.0 openfeature-provider-ofrep==0.3.0 sentry-sdk==2.75.0",
		"call serin_flags.connect() at the start of the app"}
	goStack = stack{name: "Go", install: "go get github.com/getsentry/sentry-go@v0.50.0 github.com/open-feature/go-sdk@v1.20.0",
		note: "there is no file for Go yet: serin's provider is the folder openfeature of its repository, and examples/go shows its use"}
	javaStack = stack{name: "Java", note: "there is no file for Java yet: OpenFeature's SDK with an OFREP provider and Sentry's SDK connect an app"}
)

// findStack tells what kind of app is in a directory; false where nothing is known.
func findStack(dir string) (stack, bool, error) {
	source, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err == nil {
		s, err := nodePackage(source)
		return s, err == nil, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return stack{}, false, err
	}
	for _, at := range []struct {
		file  string
		stack stack
	}{
		{"go.mod", goStack}, {"pyproject.toml", pythonStack}, {"requirements.txt", pythonStack},
		{"pom.xml", javaStack}, {"build.gradle", javaStack}, {"build.gradle.kts", javaStack},
	} {
		if _, err := os.Stat(filepath.Join(dir, at.file)); err == nil {
			return at.stack, true, nil
		}
	}
	return stack{}, false, nil
}

// nodePackage tells apps with a package.json apart by what they depend on.
func nodePackage(source []byte) (stack, error) {
	var p struct {
		Dependencies    map[string]string `json:"dependencies"`
		DevDependencies map[string]string `json:"devDependencies"`
	}
	if err := json.Unmarshal(source, &p); err != nil {
		return stack{}, fmt.Errorf("read package.json: %w", err)
	}
	has := func(names ...string) bool {
		for _, name := range names {
			if p.Dependencies[name] != "" || p.DevDependencies[name] != "" {
				return true
			}
		}
		return false
	}
	switch {
	case has("next"):
		return nextStack, nil
	case has("react", "vue", "svelte", "vite", "webpack", "esbuild", "parcel"):
		return pageStack, nil
	}
	return nodeStack, nil
}

// initAnswer is what init did.
type initAnswer struct {
	Stack   string   `json:"stack,omitempty"`
	Written []string `json:"written"`
	Kept    []string `json:"kept"`
	Install string   `json:"install,omitempty"`
	Note    string   `json:"note,omitempty"`
	Next    string   `json:"next"`
}

func (a *app) initPlan() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "init [DIR | FILE.yaml]", Short: "Write a plan to begin with, and the files that connect the app found in DIR", Args: cobra.MaximumNArgs(1),
		Long: `Write plan.yaml into DIR (default: the current one) and the files that connect the app found there with serin: Next.js, a
page with a bundler, Node or Python. A name that ends in .yaml or .yml gets the plan alone. A file that is there already is
kept, unless --force is given. Exit status 1: nothing was written.`,
		RunE: func(_ *cobra.Command, args []string) error {
			target := "."
			if len(args) > 0 {
				target = args[0]
			}
			out := initAnswer{Written: []string{}, Kept: []string{}}
			plan := target
			if ext := filepath.Ext(target); ext != ".yaml" && ext != ".yml" {
				plan = filepath.Join(target, firstPlanName)
				if err := out.connect(target, force); err != nil {
					return err
				}
			}
			if err := out.write(plan, []byte(a.modeline()+firstPlan), force); err != nil {
				return err
			}
			out.Next = "serin lint " + plan
			if len(out.Written) == 0 {
				return fmt.Errorf("%s is there already: name another file, or use --force to write it anew", strings.Join(out.Kept, ", "))
			}
			return a.print(out, out.text)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "write files anew that are there already")
	return cmd
}

// connect writes the files for the app in dir.
func (out *initAnswer) connect(dir string, force bool) error {
	s, known, err := findStack(dir)
	if err != nil || !known {
		return err
	}
	out.Stack, out.Install, out.Note = s.name, s.install, s.note
	if s.folder == "" {
		return nil
	}
	root := "initfiles/" + s.folder
	return fs.WalkDir(initFiles, root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := initFiles.ReadFile(name)
		if err != nil {
			return err
		}
		return out.write(filepath.Join(dir, filepath.FromSlash(strings.TrimPrefix(name, root+"/"))), content, force)
	})
}

// write writes a file that is not there, or with force any.
func (out *initAnswer) write(file string, content []byte, force bool) error {
	if dir := filepath.Dir(file); dir != "." {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, how, 0o644)
	if errors.Is(err, fs.ErrExist) {
		out.Kept = append(out.Kept, file)
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	out.Written = append(out.Written, file)
	return f.Close()
}

func (out *initAnswer) text(w io.Writer) {
	if out.Stack == "" && len(out.Written)+len(out.Kept) == 1 {
		fmt.Fprintf(w, "%s written; next: %s\n", out.Written[0], out.Next)
		return
	}
	fmt.Fprintln(w, "found:", out.Stack)
	for _, file := range out.Written {
		fmt.Fprintln(w, "written:", file)
	}
	for _, file := range out.Kept {
		fmt.Fprintln(w, "kept, it is there already:", file)
	}
	if out.Install != "" {
		fmt.Fprintln(w, "install:", out.Install)
	}
	fmt.Fprintln(w, "then:", out.Note)
	fmt.Fprintln(w, "next:", out.Next)
}

// modeline tells editors with the YAML language server where the schema of
// plans is, if a server is named.
func (a *app) modeline() string {
	address := cmp.Or(a.url, a.getenv("SERIN_URL"))
	if address == "" {
		return ""
	}
	return "# yaml-language-server: $schema=" + strings.TrimSuffix(oneLine(address), "/") + "/api/v1/plans/schema\n"
}
