package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestUnified(t *testing.T) {
	text := func(lines string) []byte { return []byte(strings.ReplaceAll(lines, " ", "\n") + "\n") }
	cases := []struct{ name, before, after, want string }{
		{"same", "a b c", "a b c", ""},
		{"line ends are no change", "a\r b", "a b\r", ""},
		{"changed", "a b c d e f g h i", "a b c d X f g h i", "--- 1\n+++ 2\n@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+X\n f\n g\n h\n"},
		{"added", "a b", "a x b", "--- 1\n+++ 2\n@@ -1,2 +1,3 @@\n a\n+x\n b\n"},
		{"removed before added", "a b c", "x y c", "--- 1\n+++ 2\n@@ -1,3 +1,3 @@\n-a\n-b\n+x\n+y\n c\n"},
		{"two hunks", "1 2 3 4 5 6 7 8 9 10", "0 2 3 4 5 6 7 8 9 11",
			"--- 1\n+++ 2\n@@ -1,4 +1,4 @@\n-1\n+0\n 2\n 3\n 4\n@@ -7,4 +7,4 @@\n 7\n 8\n 9\n-10\n+11\n"},
	}
	for _, c := range cases {
		if d := cmp.Diff(c.want, Unified("1", "2", DiffLines(text(c.before), text(c.after)))); d != "" {
			t.Errorf("%s (-want +got)\n%s", c.name, d)
		}
	}
	if got := Unified("1", "2", DiffLines(nil, text("a"))); got != "--- 1\n+++ 2\n@@ -0,0 +1,1 @@\n+a\n" {
		t.Errorf("from nothing: %q", got)
	}
}

// TestDiffLinesTellsBoth: the lines of a comparison give both texts back, in
// order and with their numbers, and it has no more changes than needed.
func TestDiffLinesTellsBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d"}))
		a, b := words.Draw(t, "a"), words.Draw(t, "b")
		join := func(lines []string) []byte {
			if len(lines) == 0 {
				return nil
			}
			return []byte(strings.Join(lines, "\n") + "\n")
		}
		var x, y []string
		edits := 0
		for _, l := range DiffLines(join(a), join(b)) {
			if l.Kind != Added {
				if x = append(x, l.Text); l.Old != len(x) {
					t.Fatalf("line %d is called %d", len(x), l.Old)
				}
			}
			if l.Kind != Removed {
				if y = append(y, l.Text); l.New != len(y) {
					t.Fatalf("new line %d is called %d", len(y), l.New)
				}
			}
			if l.Kind != Same {
				edits++
			}
		}
		if strings.Join(x, "") != strings.Join(a, "") || strings.Join(y, "") != strings.Join(b, "") {
			t.Fatalf("got %q and %q, want %q and %q", x, y, a, b)
		}
		if want := len(a) + len(b) - 2*common(a, b); edits != want {
			t.Fatalf("%d changes, want %d", edits, want)
		}
	})
}

// common is the length of the longest common subsequence, by the textbook.
func common(a, b []string) int {
	best := make([][]int, len(a)+1)
	for i := range best {
		best[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			best[i][j] = max(best[i+1][j], best[i][j+1])
			if a[i] == b[j] {
				best[i][j] = best[i+1][j+1] + 1
			}
		}
	}
	return best[0][0]
}

// TestDiffLinesIsBounded: texts that share nothing are one block, at once.
func TestDiffLinesIsBounded(t *testing.T) {
	a, b := []byte("head\n"+strings.Repeat("x\n", 1<<17)), []byte("head\n"+strings.Repeat("y\n", 1<<17))
	lines := DiffLines(a, b)
	if len(lines) != 1+2<<17 || lines[0].Kind != Same || lines[1].Kind != Removed || lines[len(lines)-1].New != 1+1<<17 {
		t.Errorf("%d lines, the last %+v", len(lines), lines[len(lines)-1])
	}
	if got := len(Hunks(lines, 3)); got != 1 {
		t.Errorf("%d hunks, want 1", got)
	}
}
