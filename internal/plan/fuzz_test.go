package plan

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// FuzzPlan: no text makes Parse panic, every problem lies inside the file, and
// what parses is shown as a plan that parses to the same.
func FuzzPlan(f *testing.F) {
	for _, name := range exampleNames {
		f.Add(readExample(f, name))
	}
	for _, c := range errorCases {
		f.Add([]byte(strings.Replace(base, c.old, c.new, 1)))
	}
	for _, s := range []string{"", "a", "[", "{a: b, a: c}", "- - -", "serin: 1\n---\nserin: 1", "? [a]\n: b", "a: &b *b", "\xff", "stages:\n- like: a", "\r\r\r{"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		p, err := Parse(source)
		if err == nil {
			checkShown(t, p)
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("no problems: %v", err)
		}
		lines := splitLines(source)
		for _, problem := range problems {
			if problem.Line < 1 || problem.Line > len(lines) || problem.Column < 1 || problem.Column > len(lines[problem.Line-1])+1 {
				t.Fatalf("outside the file: %+v", problem)
			}
		}
	})
}

type fataler interface {
	Fatalf(format string, args ...any)
}

func checkShown(t fataler, p *Plan) {
	Lint(p, &ServerFacts{})
	shown := Show(p)
	again, err := Parse(shown)
	if err != nil {
		t.Fatalf("shown plan does not parse: %v\n%s", err, shown)
	}
	if second := Show(again); string(second) != string(shown) {
		t.Fatalf("not stable:\n%s\n%s", shown, second)
	}
}

// TestShowIsStable draws plans and shows them twice.
func TestShowIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkShown(t, drawPlan(t)) })
}

func drawPlan(t *rapid.T) *Plan {
	text := rapid.StringMatching(`[ -~äß→]{1,20}`)
	quoted := func(label string) string { return scalar(strings.TrimSpace(text.Draw(t, label)) + "x") }
	rule := rapid.SampledFrom([]string{"p1 = 0", "errors <= +5% vs reference", "lcp < 2.5s", "api_p95 < 500ms over 1h", "adoption > 0.5%", "memory < 12MiB for 5m"})
	var b strings.Builder
	fmt.Fprintf(&b, "serin: 1\nplan: drawn\ntitle: %s\ntimezone: %s\n", quoted("title"), rapid.SampledFrom([]string{"UTC", "Europe/Berlin"}).Draw(t, "zone"))
	fmt.Fprintf(&b, "flag: { key: %s, holdback: %d%% }\n", quoted("key"), rapid.IntRange(0, 60).Draw(t, "holdback"))
	fmt.Fprintf(&b, "roles: { lead: { who: %s, does: [%s] } }\n", quoted("who"), quoted("does"))
	fmt.Fprintf(&b, "calendar: { freeze: [{ from: \"2025-0%d-01\", to: \"2025-12-31\", why: %s }] }\n", rapid.IntRange(1, 9).Draw(t, "from"), quoted("why"))
	b.WriteString("stages:\n")
	n := rapid.IntRange(1, 5).Draw(t, "stages")
	for i := range n {
		fmt.Fprintf(&b, "  - { stage: s%d, traffic: %d.%d%%, bake: %dh, before: [%s], proceed: [%s, [%s]]", i, 10*(i+1), rapid.IntRange(0, 999).Draw(t, "mill"),
			rapid.IntRange(1, 900).Draw(t, "bake"), quoted("before"), rule.Draw(t, "rule"), rule.Draw(t, "rule"))
		if rapid.Bool().Draw(t, "at") {
			fmt.Fprintf(&b, ", at: \"%02d:30\"", rapid.IntRange(0, 23).Draw(t, "hour"))
		}
		b.WriteString(" }\n")
	}
	p, err := Parse([]byte(b.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	return p
}
