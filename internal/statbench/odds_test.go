package statbench

import (
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"serin/internal/stats"
)

// sizes are loads of an interval: of a busy site's five minutes, and of one that
// is a hundred times as large.
var sizes = []int64{20_000, 2_000_000}

// block is one of so many loads at a share of 10 %, a quarter of them slow; with
// i it differs a little, so that nothing is remembered of it.
func block(loads, i int64) stats.Block {
	b := stats.Block{New: loads/10 + i%1000, Old: loads - loads/10}
	b.BadNew, b.BadOld = b.New/4, b.Old/4+i/1000%100
	return b
}

// BenchmarkOddsE is one look at one block that just closed: most of it is the
// normalisation of 24 effects, done once in the life of a block.
func BenchmarkOddsE(b *testing.B) {
	for _, loads := range sizes {
		b.Run(fmt.Sprint(loads), func(b *testing.B) {
			b.ReportAllocs()
			i := int64(0)
			for b.Loop() {
				i++
				stats.OddsE([]stats.Block{block(loads, i)}, 1)
			}
		})
	}
}

// goals are how long a look at a new block of each size may take.
var goals = []time.Duration{time.Millisecond, 15 * time.Millisecond}

// TestOddsETime holds the goals, with plenty of room for a slow machine and the
// race detector.
func TestOddsETime(t *testing.T) {
	const room = 20
	for i, goal := range goals {
		began := time.Now()
		stats.OddsE([]stats.Block{block(sizes[i]+1, 0)}, 1)
		if took := time.Since(began); took > room*goal {
			t.Errorf("%d loads: %v, the goal is %v", sizes[i], took, goal)
		}
	}
}

// TestNotInTheWay: what answers evaluations cannot even reach the statistics. Its
// packages import neither them nor the judge, by whatever way: blocks are judged
// on the goroutine that owns a rollout (internal/controller), and answers come
// from the hub's snapshot.
func TestNotInTheWay(t *testing.T) {
	for _, answers := range []string{"ofrep", "hub", "flag"} {
		seen := map[string]bool{}
		reach(t, answers, seen)
		if !seen["flag"] {
			t.Errorf("internal/%s does not reach internal/flag: this test looks at the wrong package", answers)
		}
		for _, never := range []string{"stats", "judge", "evidence", "simulate"} {
			if seen[never] {
				t.Errorf("internal/%s reaches internal/%s", answers, never)
			}
		}
	}
}

// reach adds a package and all of ours that it imports.
func reach(t *testing.T, pkg string, seen map[string]bool) {
	t.Helper()
	if seen[pkg] {
		return
	}
	seen[pkg] = true
	files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("internal/%s: %d files, %v", pkg, len(files), err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if ours, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "serin/internal/"); ok {
				reach(t, ours, seen)
			}
		}
	}
}
