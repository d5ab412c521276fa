package plan

import (
	"os"
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
