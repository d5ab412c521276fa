package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Level is how bad a Problem is.
type Level string

// The levels: an error stops a start, a warning does not.
const (
	Error   Level = "error"
	Warning Level = "warning"
)

// Problem is one finding in a plan file. Line and Column count from 1 and lie
// inside the file.
type Problem struct {
	File     string `json:"file,omitempty"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity Level  `json:"severity"`
	Code     string `json:"code"`              // E01..E21, W01..W23
	What     string `json:"what"`              // what was found
	Fix      string `json:"fix"`               // how to mend it
	Excerpt  string `json:"excerpt,omitempty"` // the line of the file
}

// String returns "FILE:LINE: error CODE: what: how to mend it".
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d: %s %s: %s: %s", p.File, p.Line, p.Severity, p.Code, p.What, p.Fix)
}

// Problems are the findings of one file in the order of their lines. It is an
// error when it holds at least one error.
type Problems []Problem

// Error returns one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Errors returns how many of the problems are errors.
func (ps Problems) Errors() int {
	n := 0
	for _, p := range ps {
		if p.Severity == Error {
			n++
		}
	}
	return n
}

// sorted returns the problems by position, each once.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		if a.Column != b.Column {
			return a.Column - b.Column
		}
		return strings.Compare(a.Code, b.Code)
	})
	return slices.Compact(ps)
}

// suggest returns the name of known that is nearest to name, or "" when none
// is near: at most a third of its letters may differ.
func suggest(name string, known []string) string {
	best, distance := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// editDistance is the optimal string alignment distance: insertions,
// deletions, substitutions and swaps of neighbours cost 1 each.
func editDistance(a, b string) int {
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
