package plan

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var exampleNames = []string{"demo", "minimal", "admin-workbench"}

func readExample(t testing.TB, name string) []byte {
	t.Helper()
	source, err := os.ReadFile("../../examples/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func parsed(t testing.TB, source []byte) *Plan {
	t.Helper()
	p, err := Parse(source)
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return p
}

func TestShowIsAPlanAgain(t *testing.T) {
	for _, name := range exampleNames {
		shown := Show(parsed(t, readExample(t, name)))
		if diff := cmp.Diff(string(shown), string(Show(parsed(t, shown)))); diff != "" {
			t.Errorf("%s (-first +second):\n%s", name, diff)
		}
	}
}

// TestShowOfTheExamples holds what serin show prints: every default, the
// calendar with who is on duty, and the runbook. summertime begins on the Friday
// before the clocks go forward in Berlin.
func TestShowOfTheExamples(t *testing.T) {
	for _, name := range exampleNames {
		golden(t, "testdata/show/"+name+".golden", string(Show(parsed(t, readExample(t, name)))))
	}
	summer := string(readExample(t, "minimal")) + "start: \"2025-03-28 16:00\"\n" +
		"roles: { lead: { who: \"@lead\", covers: 72h, may: [start, approve, accept, resume, restart] } }\n"
	summer = strings.NewReplacer("bake: 48h", "bake: 48h, owner: lead", "bake: 24h", "bake: 24h, at: \"09:00\", approve: lead, before: [look at the last stage]").Replace(summer)
	golden(t, "testdata/show/summertime.golden", string(Show(parsed(t, []byte(summer)))))
}
