package internal

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The rings of the house. Imports go downwards only; within the core from
// left to right. A package without a line here fails the test.
var (
	core   = []string{"flag", "telemetry", "stats", "plan", "panel", "baseline", "judge", "rollout", "simulate", "backtest", "alert", "oncall", "incident", "standup"}
	ports  = []string{"store", "notify", "intake", "source"}
	engine = []string{"hub", "evidence", "symbolicate", "controller", "alerting", "paging", "response", "dashboard", "reporting", "auth", "upkeep", "health", "poll", "forward"}
	doors  = []string{"ofrep", "api", "web", "hooks", "slackapp"}

	// adapters know the core and their own port, never each other.
	adapters = map[string]string{
		"store/sqlite": "store", "store/memory": "store", "store/storetest": "store",
		"notify/slack": "notify", "notify/webhook": "notify", "notify/deployhook": "notify", "notify/notifytest": "notify",
		"notify/pagerduty": "notify", "notify/alertmanager": "notify", "notify/jira": "notify", "notify/email": "notify",
		"notify/slack/slacktest": "notify",
		"intake/sentry":          "intake", "intake/beacon": "intake", "intake/otlp": "intake", "intake/intaketest": "intake", "intake/loosejson": "intake",
		"auth/oidc":         "auth",
		"source/prometheus": "source", "source/probe": "source", "source/report": "source", "source/sourcetest": "source",
	}

	// Free packages import nothing of ours and may be used wherever goroutines may run.
	free = []string{"clock", "parallel", "sourcemap", "outbound"}

	// program is what puts everything together.
	program = map[string][]string{
		"config":                      {},
		"server":                      {"*"},
		"cli":                         {"*"},
		"cli/initfiles/go/serinflags": {}, // what "serin init" writes into a Go app
		"demo":                        {},
		"scan":                        {"flag", "telemetry", "stats", "plan"},
		"statbench":                   {}, // only tests
	}

	// noIO is what the core must not import.
	noIO = []string{"net", "net/http", "os", "os/exec", "database/sql", "log", "log/slog", "io/ioutil", "sync/atomic", "context"}
)

// allowed returns what a package may import of ours; "*" is everything.
func allowed(pkg string) ([]string, bool) {
	if i := slices.Index(core, pkg); i >= 0 {
		return core[:i], true
	}
	if p, ok := program[pkg]; ok {
		return p, true
	}
	own := slices.Clone(core)
	switch {
	case slices.Contains(free, pkg):
		return nil, true
	case slices.Contains(ports, pkg):
		own = append(own, free...)
		if pkg == "store" {
			own = append(own, "notify") // an outbox row is a notice
		}
		if pkg == "intake" {
			own = append(own, "intake/loosejson")
		}
		return own, true
	case slices.Contains(engine, pkg):
		return append(append(own, "store", "notify", "source"), free...), true
	case slices.Contains(doors, pkg):
		return append(append(append(own, engine...), ports...), free...), true
	}
	if port, ok := adapters[pkg]; ok {
		own = append(append(own, port), free...)
		switch port {
		case "store":
			own = append(own, "notify")
		case "intake":
			own = append(own, "intake/loosejson")
		}
		return own, true
	}
	return nil, false
}

func TestImports(t *testing.T) {
	fset := token.NewFileSet()
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.Contains(file, "testdata") {
			return err
		}
		pkg := path.Dir(filepath.ToSlash(file))
		if pkg == "." || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		may, known := allowed(pkg)
		if !known {
			t.Errorf("package internal/%s has no line in the import table: give it a ring", pkg)
			return nil
		}
		parsed, err := parser.ParseFile(fset, file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if slices.Contains(core, pkg) && slices.Contains(noIO, name) {
				t.Errorf("%s: the core must not import %s", file, name)
			}
			ours, ok := strings.CutPrefix(name, "serin/internal/")
			if ok && !slices.Contains(may, "*") && !slices.Contains(may, ours) {
				t.Errorf("%s: internal/%s must not import internal/%s", file, pkg, ours)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTableCatchesABreach(t *testing.T) {
	for _, tt := range []struct{ from, to string }{
		{"flag", "store"}, {"flag", "telemetry"}, {"store", "controller"}, {"store/sqlite", "notify/slack"},
		{"controller", "evidence"}, {"ofrep", "server"}, {"notify/slack", "store"},
	} {
		may, known := allowed(tt.from)
		if !known || slices.Contains(may, tt.to) {
			t.Errorf("internal/%s may import internal/%s, which the house forbids", tt.from, tt.to)
		}
	}
}
