package plan

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// LineKind says what became of a line.
type LineKind byte

// The kinds of line, as a unified diff marks them.
const (
	Same    LineKind = ' '
	Removed LineKind = '-'
	Added   LineKind = '+'
)

// Line is one line of a comparison of two texts. Old and New are its numbers
// from 1 in each text, 0 where it is not in it.
type Line struct {
	Kind     LineKind
	Old, New int
	Text     string // without its end
}

// maxEdits is how many lines two texts may differ in to be compared line by
// line; beyond, what lies between their common head and tail is one block. It
// bounds time and memory of DiffLines to maxEdits² steps.
const maxEdits = 1000

// DiffLines compares two texts by lines: every line of both in order, removed
// lines before those that replace them. The script is a shortest one (E. Myers,
// An O(ND) Difference Algorithm and Its Variations, Algorithmica 1, 1986,
// figure 2) as long as it is no longer than maxEdits. A carriage return at the
// end of a line belongs to the end.
func DiffLines(before, after []byte) []Line {
	a, b := textLines(before), textLines(after)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	out := make([]Line, 0, max(len(a), len(b)))
	for i := range head {
		out = append(out, Line{Same, i + 1, i + 1, a[i]})
	}
	out = append(out, middle(a[head:len(a)-tail], b[head:len(b)-tail], head)...)
	for i := tail; i > 0; i-- {
		out = append(out, Line{Same, len(a) - i + 1, len(b) - i + 1, a[len(a)-i]})
	}
	return out
}

func textLines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	lines := strings.Split(string(bytes.TrimSuffix(text, []byte("\n"))), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// middle compares what lies between common head and tail; skip lines are
// before it in both texts.
func middle(a, b []string, skip int) []Line {
	trace, ok := edits(a, b)
	if !ok {
		return block(a, b, skip)
	}
	var out []Line // backwards
	x, y := len(a), len(b)
	same := func(x0, y0 int) {
		for x > x0 && y > y0 {
			out = append(out, Line{Same, skip + x, skip + y, a[x-1]})
			x, y = x-1, y-1
		}
	}
	for d := len(trace) - 1; d > 0; d-- {
		k := x - y
		if down(trace[d], k, d) {
			x0 := int(trace[d][k+1+d])
			same(x0, x0-k) // the run of equal lines after the addition
			out = append(out, Line{Added, 0, skip + y, b[y-1]})
			y--
		} else {
			x0 := int(trace[d][k-1+d]) + 1
			same(x0, x0-k)
			out = append(out, Line{Removed, skip + x, 0, a[x-1]})
			x--
		}
	}
	same(0, 0)
	slices.Reverse(out)
	return removedFirst(out)
}

// edits searches the shortest script. trace[d] is, at k+d for each diagonal k,
// how far a script of d-1 edits reaches in a. False: it has more than maxEdits.
func edits(a, b []string) (trace [][]int32, ok bool) {
	reach := make([]int32, 2*maxEdits+3) // by diagonal + maxEdits + 1
	for d := range maxEdits + 1 {
		seen := slices.Clone(reach[maxEdits+1-d : maxEdits+1+d+1])
		trace = append(trace, seen)
		for k := -d; k <= d; k += 2 {
			x := 0
			switch {
			case d == 0:
			case down(seen, k, d):
				x = int(seen[k+1+d])
			default:
				x = int(seen[k-1+d]) + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			reach[k+maxEdits+1] = int32(x)
			if x >= len(a) && x-k >= len(b) {
				return trace, true
			}
		}
	}
	return nil, false
}

// down reports whether the best script of d edits that ends on diagonal k ends
// with an addition.
func down(seen []int32, k, d int) bool {
	return k == -d || k != d && seen[k-1+d] < seen[k+1+d]
}

// block is all of a replaced by all of b.
func block(a, b []string, skip int) []Line {
	out := make([]Line, 0, len(a)+len(b))
	for i, text := range a {
		out = append(out, Line{Removed, skip + i + 1, 0, text})
	}
	for i, text := range b {
		out = append(out, Line{Added, 0, skip + i + 1, text})
	}
	return out
}

// removedFirst puts removed lines before the added ones between two runs of
// equal lines.
func removedFirst(lines []Line) []Line {
	for i := 0; i < len(lines); {
		j := i
		for j < len(lines) && lines[j].Kind != Same {
			j++
		}
		slices.SortStableFunc(lines[i:j], func(a, b Line) int { return int(b.Kind) - int(a.Kind) }) // '-' is above '+'
		i = j + 1
	}
	return lines
}

// Hunks cuts a comparison into what changed with at most around equal lines on
// both sides; nil when nothing changed.
func Hunks(lines []Line, around int) [][]Line {
	var out [][]Line
	from, to := -1, 0
	for i, l := range lines {
		if l.Kind == Same {
			continue
		}
		if from >= 0 && i-around > to {
			out = append(out, lines[from:to])
			from = -1
		}
		if from < 0 {
			from = max(i-around, to)
		}
		to = min(i+around+1, len(lines))
	}
	if from >= 0 {
		out = append(out, lines[from:to])
	}
	return out
}

// Unified writes a comparison as a unified diff (POSIX diff -u) with three
// equal lines around each change; "" when nothing changed.
func Unified(before, after string, lines []Line) string {
	hunks := Hunks(lines, 3)
	if len(hunks) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s\n", before, after)
	old, fresh, at := 0, 0, 0 // lines of each text before the hunk, place in lines
	for _, hunk := range hunks {
		for ; &lines[at] != &hunk[0]; at++ {
			old, fresh = old+counts(lines[at], Removed), fresh+counts(lines[at], Added)
		}
		n, m := 0, 0
		for _, l := range hunk {
			n, m = n+counts(l, Removed), m+counts(l, Added)
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n", span(old, n), span(fresh, m))
		for _, l := range hunk {
			b.WriteByte(byte(l.Kind))
			b.WriteString(l.Text)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// counts is 1 for a line that is in the text of which kind lines are alone.
func counts(l Line, kind LineKind) int {
	if l.Kind == Same || l.Kind == kind {
		return 1
	}
	return 0
}

// span is a range of a unified diff: its first line and how many; an empty one
// names the line before.
func span(before, n int) string {
	if n == 0 {
		return fmt.Sprintf("%d,0", before)
	}
	return fmt.Sprintf("%d,%d", before+1, n)
}
