package judge_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"serin/internal/judge"
)

// TestShipped: versions ascend without gaps, the first is among them as long
// as attempts may be under it, and docs/statistics.md has the same table.
func TestShipped(t *testing.T) {
	shipped := judge.Shipped()
	text, err := os.ReadFile("../../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range shipped {
		if i > 0 && r.Version != shipped[i-1].Version+1 {
			t.Errorf("version %d follows %d", r.Version, shipped[i-1].Version)
		}
		if r.Judge == nil || r.Levels == nil {
			t.Errorf("version %d judges nothing", r.Version)
		}
		if row := fmt.Sprintf("| %d | %s |", r.Version, r.What); !strings.Contains(string(text), row) {
			t.Errorf("docs/statistics.md has no row %q", row)
		}
	}
}

func TestReleaseOf(t *testing.T) {
	releases := judge.Releases{{Version: 2}, {Version: 3}}
	for _, c := range []struct {
		ask, want int
		ok        bool
	}{{2, 2, true}, {3, 3, true}, {0, 3, false}, {1, 3, false}, {4, 3, false}} {
		if got, ok := releases.Of(c.ask); got.Version != c.want || ok != c.ok {
			t.Errorf("version %d: got %d, %v; want %d, %v", c.ask, got.Version, ok, c.want, c.ok)
		}
	}
	if got, ok := (judge.Releases{{Version: 1}, {Version: 2}}).Of(0); got.Version != judge.FirstVersion || !ok {
		t.Errorf("an attempt without a version: got %d, %v", got.Version, ok)
	}
}
