package cli_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDependencies holds docs/dependencies.md against go.mod: a line for each
// direct requirement, and none for what is gone.
func TestDependencies(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	indirect := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require)?\s+(\S+) v\S+( // indirect)?$`).FindAllStringSubmatch(string(mod), -1) {
		indirect[m[1]] = m[2] != ""
		if m[2] == "" && !strings.Contains(string(page), "| `"+m[1]+"` | ") {
			t.Errorf("docs/dependencies.md has no line for %s: say in one why it is needed", m[1])
		}
	}
	if len(indirect) < 10 {
		t.Fatalf("go.mod has only %d requirements: it was not read", len(indirect))
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\S+)` \\| .+ \\|$").FindAllStringSubmatch(string(page), -1) {
		if _, ok := indirect[m[1]]; !ok {
			t.Errorf("docs/dependencies.md has a line for %s, which go.mod does not require", m[1])
		}
	}
}
