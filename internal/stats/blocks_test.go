package stats

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestBlocksOfAndFrom: with stages in order and not, exactly the blocks of the
// stages asked for come back, in their order, and the given ones stay as they are.
func TestBlocksOfAndFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		blocks := make([]Block, rapid.IntRange(0, 8).Draw(t, "n"))
		for i := range blocks {
			blocks[i] = Block{Stage: rapid.IntRange(0, 2).Draw(t, "stage"), New: int64(i)}
		}
		given := append([]Block(nil), blocks...)
		for s := range 4 {
			var of, from []Block
			for _, b := range given {
				if b.Stage == s {
					of = append(of, b)
				}
				if b.Stage >= s {
					from = append(from, b)
				}
			}
			if diff := cmp.Diff(of, BlocksOf(blocks, s)); diff != "" {
				t.Errorf("blocks of %d:\n%s", s, diff)
			}
			got := BlocksFrom(blocks, s)
			if diff := cmp.Diff(from, got); diff != "" {
				t.Errorf("blocks from %d:\n%s", s, diff)
			}
			_ = append(got, Block{New: -1})
		}
		if diff := cmp.Diff(given, blocks); diff != "" && len(given) > 0 {
			t.Errorf("changed:\n%s", diff)
		}
	})
}
