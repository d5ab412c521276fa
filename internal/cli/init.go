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
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/openfeature"
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

const (
	firstPlanName = "plan.yaml"
	firstFlag     = "newCheckout" // of firstPlan
	emergencyName = "emergency.md"
)

// stack is a kind of app that init knows.
type stack struct {
	name    string
	folder  string // of initFiles; "" = there are no files for it
	install string // what to type; "" = nothing, see note
	note    string
}

// The versions are those the examples are built with, but for Python's and
// Java's, which nothing here runs.
var (
	nextStack = stack{"Next.js", "nextjs", "npm install @openfeature/core@1.12.0 @openfeature/server-sdk@1.23.0 @openfeature/ofrep-provider@0.1.3 @openfeature/react-sdk@1.4.1 @openfeature/web-sdk@1.10.0 @openfeature/ofrep-web-provider@0.4.3 @sentry/browser@11.12.0",
		"wrap the tree of app/layout.tsx in <Serin user={user}> of lib/serin-client.ts"}
	pageStack = stack{"a page with a bundler", "browser", "npm install @openfeature/core@1.12.0 @openfeature/web-sdk@1.10.0 @openfeature/ofrep-web-provider@0.4.3 @sentry/browser@11.12.0",
		"call connect of serin.js once the user is known"}
	nodeStack = stack{"Node", "node", "npm install @openfeature/core@1.12.0 @openfeature/server-sdk@1.23.0 @openfeature/ofrep-provider@0.1.3 @sentry/node@11.12.0",
		"import serin.mjs before the rest of the app"}
	pythonStack = stack{"Python", "python", "pip install openfeature-sdk==0.10.0 openfeature-provider-ofrep==0.3.0 sentry-sdk==2.75.0",
		"call serin_flags.connect() at the start of the app"}
	goStack = stack{"Go", "go", "go get github.com/getsentry/sentry-go@v0.50.0 github.com/open-feature/go-sdk@v1.20.0",
		"call serinflags.Connect at the start of the app; serin's provider was copied to serinflags/openfeature"}
	javaStack = stack{"Java", "java", "add dev.openfeature:sdk, dev.openfeature.contrib.providers:ofrep:0.0.2 (with guava) and io.sentry:sentry:8.43.2 to the build",
		"call SerinFlags.connect at the start of the app"}
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
	DryRun  bool     `json:"dry_run,omitempty"` // nothing was written: Written is what would be
	Next    []string `json:"next"`              // commands, in order

	force bool // write files anew that are there already
}

func (a *app) initPlan() *cobra.Command {
	out := initAnswer{Written: []string{}, Kept: []string{}}
	cmd := &cobra.Command{
		Use: "init [DIR | FILE.yaml]", Short: "Write a plan to begin with, and the files that connect the app found in DIR", Args: cobra.MaximumNArgs(1),
		Long: `Write plan.yaml into DIR (default: the current one), the emergency runbook of that plan (emergency.md: what to do when serin
itself is down) and the files that connect the app found there with serin: Next.js, a page with a bundler, Node, Python, Go
or Java. A name that ends in .yaml or .yml gets the plan alone. A file that is there already is kept and named, unless
--force is given. Exit status 1: nothing was written.`,
		RunE: func(_ *cobra.Command, args []string) error {
			target := "."
			if len(args) > 0 {
				target = args[0]
			}
			name := target
			ext := filepath.Ext(target)
			alone := ext == ".yaml" || ext == ".yml"
			if !alone {
				name = filepath.Join(target, firstPlanName)
				if err := out.connect(target); err != nil {
					return err
				}
			}
			if err := out.write(name, []byte(a.modeline()+firstPlan)); err != nil {
				return err
			}
			if !alone {
				if err := a.firstEmergency(&out, filepath.Join(target, emergencyName), name); err != nil {
					return err
				}
			}
			out.Next = []string{"serin lint " + name, "serin rollout create " + name, "serin doctor --flag " + firstFlag + " --user YOUR-USER-ID"}
			if len(out.Written) == 0 {
				is := "is"
				if len(out.Kept) > 1 {
					is = "are"
				}
				return fmt.Errorf("%s %s there already: name another file, or use --force to write anew", strings.Join(out.Kept, ", "), is)
			}
			return a.print(out, out.text)
		},
	}
	cmd.Flags().BoolVar(&out.force, "force", false, "write files anew that are there already")
	cmd.Flags().BoolVar(&out.DryRun, "dry-run", false, "write nothing, only say what would be written")
	return cmd
}

// firstEmergency writes the emergency runbook of the plan that is at name, be
// it a new one or the app's own.
func (a *app) firstEmergency(out *initAnswer, file, name string) error {
	source, err := os.ReadFile(name)
	if err != nil { // a dry run wrote none
		source = []byte(firstPlan)
	}
	p, err := plan.Parse(source)
	if err != nil {
		return nil // the app's own plan is broken: lint, which comes next, says where
	}
	e := controller.EmergencyOf(p, controller.Site{Data: a.data, URL: cmp.Or(a.url, a.getenv("SERIN_URL"))})
	return out.write(file, []byte(e.Text))
}

// connect writes the files for the app in dir.
func (out *initAnswer) connect(dir string) error {
	s, known, err := findStack(dir)
	if err != nil || !known {
		return err
	}
	out.Stack, out.Install, out.Note = s.name, s.install, s.note
	files, err := fs.Sub(initFiles, "initfiles/"+s.folder)
	if err != nil {
		return err
	}
	if s.name == goStack.name {
		return out.connectGo(dir, files)
	}
	return out.copy(dir, files, nil)
}

// copy writes files into dir; rewrite, if not nil, changes each before.
func (out *initAnswer) copy(dir string, files fs.FS, rewrite func([]byte) []byte) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if rewrite != nil {
			content = rewrite(content)
		}
		return out.write(filepath.Join(dir, filepath.FromSlash(name)), content)
	})
}

// goModule finds the module's path in go.mod (go.dev/ref/mod#go-mod-file-module).
var goModule = regexp.MustCompile(`(?m)^module[ \t]+"?([^\s"]+)"?`)

// connectGo copies serin's provider with the file that uses it, which imports
// it by the app's own module path.
func (out *initAnswer) connectGo(dir string, files fs.FS) error {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	found := goModule.FindSubmatch(mod)
	if found == nil {
		return fmt.Errorf("%s names no module: write it with go mod init", filepath.Join(dir, "go.mod"))
	}
	provider := string(found[1]) + "/serinflags/openfeature"
	if err := out.copy(dir, files, func(content []byte) []byte {
		return []byte(strings.Replace(string(content), `"serin/openfeature"`, `"`+provider+`"`, 1))
	}); err != nil {
		return err
	}
	return out.copy(filepath.Join(dir, "serinflags", "openfeature"), openfeature.Source(), nil)
}

// write writes a file that is not there, or with force any.
func (out *initAnswer) write(file string, content []byte) error {
	if out.DryRun {
		_, err := os.Stat(file)
		switch {
		case err == nil && !out.force:
			out.Kept = append(out.Kept, file)
		case err == nil || errors.Is(err, fs.ErrNotExist):
			out.Written = append(out.Written, file)
		default:
			return err
		}
		return nil
	}
	if dir := filepath.Dir(file); dir != "." {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if out.force {
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
	did := "written:"
	if out.DryRun {
		did = "would be written:"
	}
	if out.Stack != "" {
		fmt.Fprintln(w, "found:", out.Stack)
	}
	for _, file := range out.Written {
		fmt.Fprintln(w, did, file)
	}
	for _, file := range out.Kept {
		fmt.Fprintln(w, "kept, it is there already:", file)
	}
	if out.Install != "" {
		fmt.Fprintln(w, "install:", out.Install)
	}
	if out.Note != "" {
		fmt.Fprintln(w, "then:", out.Note)
	}
	fmt.Fprintln(w, "next:")
	for _, command := range out.Next {
		fmt.Fprintln(w, " ", command)
	}
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
