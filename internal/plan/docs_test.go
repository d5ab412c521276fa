package plan

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	reference  = "../../docs/reference/plan.md"
	tableBegin = "<!-- vocabulary: written by go test ./internal/plan -update -->\n"
	tableEnd   = "<!-- end of vocabulary -->\n"
)

// vocabularyTable is the table of built-in metrics as the reference shows it.
func vocabularyTable() string {
	var b strings.Builder
	b.WriteString("| metric | | definition | source | unit | good |\n|---|---|---|---|---|---|\n")
	all := Builtin()
	for _, name := range BuiltinNames() {
		m := all[name]
		group, good := "system", "down"
		if m.User {
			group = "users"
		}
		if m.UpGood {
			good = "up"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", name, group, definition(m), m.Source, m.Unit, good)
	}
	return b.String()
}

func definition(m *Metric) string {
	text := m.Title + ": "
	switch m.Kind {
	case Ratio:
		text += m.Of + " / " + m.Per
	case Quantile:
		text += fmt.Sprintf("p%g of %s of %s", m.Q*100, m.Field, m.Of)
	case Average:
		text += "mean " + m.Field
	case Slope:
		text += fmt.Sprintf("slope of %s over %s", m.Of, FormatDuration(m.Over))
	case Age:
		text += strings.TrimSpace("age of the newest of " + m.Of + " " + m.Field)
	case Computed:
		text += "computed"
	default:
		text += string(m.Kind) + " " + m.Of
	}
	if m.Where != "" {
		text += ", `" + m.Where + "`"
	}
	return text
}

// TestVocabularyIsDocumented compares the reference with the code.
func TestVocabularyIsDocumented(t *testing.T) {
	source, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(source), tableBegin)
	table, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatal("the reference has no place for the vocabulary")
	}
	if *update {
		if err := os.WriteFile(reference, []byte(before+tableBegin+vocabularyTable()+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if table != vocabularyTable() {
		t.Error("the table is not up to date: go test ./internal/plan -update")
	}
	for code := 1; code <= 21; code++ {
		for _, letter := range []string{"E", "W"} {
			if name := fmt.Sprintf("%s%02d", letter, code); !strings.Contains(after, name) {
				t.Errorf("%s is not documented", name)
			}
		}
	}
}

// TestVocabularyIsSound: every built-in filter can be read and every link leads somewhere.
func TestVocabularyIsSound(t *testing.T) {
	all := Builtin()
	for name, m := range all {
		if bad := checkFilter(m.Where); m.Where != "" && bad != nil {
			t.Errorf("%s: %v", name, bad)
		}
		if m.Kind == Ratio && (all[m.Of] == nil || all[m.Per] == nil) || m.Kind == Slope && all[m.Of] == nil {
			t.Errorf("%s is of %q and %q", name, m.Of, m.Per)
		}
		if m.User != m.byUser() && m.Kind != Ratio {
			t.Errorf("%s: by user %t", name, m.User)
		}
	}
}

// TestDefaults holds section "Defaults" of the reference.
func TestDefaults(t *testing.T) {
	p := parsed(t, readExample(t, "minimal"))
	if got := ruleTexts(p.Rollback); got != strings.Join(defaultRollback, ", ") || !p.Rollback[0].Default {
		t.Errorf("rollback: %s", got)
	}
	for _, s := range p.Stages {
		if ruleTexts(s.Proceed) != strings.Join(defaultCriteria, ", ") || !s.Proceed[0].Default || len(s.Checks) != 3 {
			t.Errorf("%s: %s, %d checks", s.Name, ruleTexts(s.Proceed), len(s.Checks))
		}
	}
	if p.Judge.FalseRollback != 0.01 || p.Flag.Salt != "newCheckout" || p.Environment != "production" || p.Actions.RestartFrom != "canary" {
		t.Errorf("%+v", p.Judge)
	}
}

// TestRuleValues holds the units that the judge is given.
func TestRuleValues(t *testing.T) {
	for text, want := range map[string]float64{
		"lcp < 2.5s": 2500, "api_p95 < 500ms": 500, "backup_age < 24h": 86400e3, "error_rate < 2%": 0.02, "uptime >= 99.9%": 0.999,
		"bundle_size < 412kB": 412e3, "memory < 1KiB": 1024, "cls < 0.1": 0.1, "errors <= +10% vs control": 0.1, "adoption > -50% vs expected": -0.5,
	} {
		r, err := ParseRule(text, Builtin())
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if diff := r.Value - want; diff > 1e-9 || diff < -1e-9 {
			t.Errorf("%s is %g, want %g", text, r.Value, want)
		}
	}
}
