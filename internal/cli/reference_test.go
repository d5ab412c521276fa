package cli

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"serin/internal/config"
	"serin/internal/server"
)

var update = flag.Bool("update", false, "rewrite the generated pages of docs/reference")

// generated begins every generated page.
const generated = "<!-- Written by: make docs. Changes by hand are lost. -->\n\n"

// compare fails if a page of the reference is not what the code says.
func compare(t *testing.T, name, got string) {
	t.Helper()
	file := "../../docs/reference/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s is not what the code says; rewrite it with: make docs (-file +code)\n%s", file, d)
	}
}

// TestReferenceCLI writes docs/reference/cli.md.
func TestReferenceCLI(t *testing.T) {
	var b strings.Builder
	root := (&app{getenv: os.Getenv}).root()
	b.WriteString(generated + "# The command line\n\n```\n" + root.Long + "\n```\n\n")
	b.WriteString("These go with every command:\n\n")
	options(&b, root.PersistentFlags())
	var list func(c *cobra.Command)
	list = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			switch {
			case sub.Hidden || sub.Name() == "help" || sub.Name() == "completion":
			case sub.HasSubCommands():
				list(sub)
			default:
				command(&b, sub)
			}
		}
	}
	list(root)
	compare(t, "cli.md", b.String())
}

func command(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "## %s\n\n```\n%s\n```\n\n", c.CommandPath(), strings.TrimSuffix(c.UseLine(), " [flags]"))
	if !strings.HasPrefix(c.Long, c.Short) {
		b.WriteString(c.Short + ".\n\n")
	}
	if c.Long != "" {
		b.WriteString(c.Long + "\n\n")
	}
	options(b, c.LocalNonPersistentFlags())
}

// options writes the options, if there are any.
func options(b *strings.Builder, flags interface {
	HasAvailableFlags() bool
	FlagUsages() string
}) {
	if flags.HasAvailableFlags() {
		b.WriteString("```\n" + strings.TrimRight(flags.FlagUsages(), "\n") + "\n```\n\n")
	}
}

// TestReferenceConfiguration writes docs/reference/configuration.md from the
// structs of package config and their comments.
func TestReferenceConfiguration(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../config/config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(generated + `# Configuration

Settings stand in one YAML file, named by ` + "`--config` or `SERIN_CONFIG`" + `; a key that is not known is an error. The
variable beside a key goes before the file, and an option of [serin serve](cli.md#serin-serve) before both. With ` + "`_FILE`" + `
appended, a variable names a file that holds the value: the way to give secrets. Plans name channels; addresses and secrets are
here. ` + "`serin config check`" + ` reads everything as the server would and says what is wrong. On SIGHUP the server reads it again and
takes over what needs no restart: ` + strings.Join(server.Reloaded, ", ") + `.

| key | variable | kind | |
|---|---|---|---|
`)
	keys(t, &b, file, "", reflect.TypeFor[config.Config]())
	b.WriteString(`
## The command line

| variable | |
|---|---|
| ` + "`SERIN_URL`" + ` | address of the server |
| ` + "`SERIN_TOKEN`" + ` | operator token, made by [serin token create](cli.md#serin-token-create) |

## An example

` + "```yaml\n" + example + "```\n")
	if _, err := config.Load(exampleFile(t), func(name string) string {
		return map[string]string{"SERIN_WEBHOOKS_DEPLOYS_SECRET": "whsec_x"}[name]
	}); err != nil {
		t.Errorf("the example of the page: %v", err)
	}
	compare(t, "configuration.md", b.String())
}

// example is the file that the page shows.
const example = `listen: ":443"
public_url: https://serin.example.com
tls: { acme: { hosts: [serin.example.com] } }
slack:
  channels: { "#rollouts": C0123456789 }    # a plan's "slack:#rollouts"
webhooks:
  deploys: { url: "https://hooks.example.com/serin" }    # a plan's "webhook:deploys"
`

func exampleFile(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/serin.yaml"
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// keys writes a row for each key of a struct, with its comment, and goes on
// into structs and maps of them.
func keys(t *testing.T, b *strings.Builder, file *ast.File, prefix string, typ reflect.Type) {
	t.Helper()
	for i := range typ.NumField() {
		f := typ.Field(i)
		key := prefix + f.Tag.Get("yaml")
		doc := comment(file, typ.Name(), f.Name)
		if doc == "" {
			t.Errorf("config.%s.%s has no comment", typ.Name(), f.Name)
		}
		doc = strings.Join(strings.Fields(doc), " ")
		if rest, ok := strings.CutPrefix(doc, f.Name+" "); ok {
			doc = rest
		}
		for _, verb := range []string{"is ", "are ", "maps "} {
			doc = strings.TrimPrefix(doc, verb)
		}
		variable := ""
		if k := f.Type.Kind(); k != reflect.Struct && k != reflect.Map {
			variable = "`" + config.Variable(key) + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, variable, kindOf(f.Type), strings.TrimSuffix(doc, "."))
		switch {
		case f.Type.Kind() == reflect.Struct:
			keys(t, b, file, key+".", f.Type)
		case f.Type.Kind() == reflect.Map && f.Type.Elem().Kind() == reflect.Struct:
			keys(t, b, file, key+".NAME.", f.Type.Elem())
		}
	}
}

func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "list"
	case reflect.Int:
		return "number"
	case reflect.Map:
		return "mapping"
	case reflect.Struct:
		return "block"
	}
	return "text"
}

// comment is the doc comment of a field.
func comment(file *ast.File, typ, field string) (text string) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != typ {
			return true
		}
		if s, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range s.Fields.List {
				for _, name := range f.Names {
					if name.Name == field {
						text = f.Doc.Text()
					}
				}
			}
		}
		return false
	})
	return text
}
