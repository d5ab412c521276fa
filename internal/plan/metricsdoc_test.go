package plan

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
)

const metricsPage = "../../docs/reference/metrics.md"

// factsLine is what the code says of a built-in metric, in one line.
func factsLine(m *Metric) string {
	group := "system"
	if m.User {
		group = "by user"
	}
	good := "less is good"
	if m.UpGood {
		good = "more is good"
	}
	return fmt.Sprintf("*%s; %s; source %s; unit %s; %s*", definition(m), group, m.Source, cmp.Or(m.Unit, "none"), good)
}

// TestMetricsAreDefined compares the page of definitions with the vocabulary:
// every metric has its section, in order, with the facts of the code and
// the three sentences that a person wrote.
func TestMetricsAreDefined(t *testing.T) {
	data, err := os.ReadFile(metricsPage)
	if err != nil {
		t.Fatal(err)
	}
	head, sections, _ := strings.Cut(string(data), "\n## ")
	all := Builtin()
	var out strings.Builder
	out.WriteString(head)
	names := BuiltinNames()
	for i, section := range strings.Split(sections, "\n## ") {
		title, rest, _ := strings.Cut(section, "\n\n")
		line, rest, _ := strings.Cut(rest, "\n\n")
		name := strings.Trim(title, "`")
		if i >= len(names) || names[i] != name {
			t.Fatalf("section %d is of %s: the vocabulary has %v", i+1, title, names)
		}
		want := factsLine(all[name])
		if line != want && !*update {
			t.Errorf("%s: got %s, want %s: go test ./internal/plan -update", name, line, want)
		}
		for _, part := range []string{"- Numerator: ", "- Denominator: ", "- Unknown when: "} {
			if _, after, ok := strings.Cut(rest, part); !ok || strings.HasPrefix(after, ".") {
				t.Errorf("%s has no %q", name, part)
			}
		}
		fmt.Fprintf(&out, "\n## %s\n\n%s\n\n%s", title, want, rest)
	}
	if n := strings.Count(sections, "\n## ") + 1; n != len(names) {
		t.Errorf("%d metrics are defined, the vocabulary has %d", n, len(names))
	}
	if *update {
		if err := os.WriteFile(metricsPage, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
