package statbench

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the tables of docs/statistics.md")

// longRun is what `make bench-stats` asks for.
const longRun = 2000

// runs is how many runs a cell has: quick in every test run, otherwise what
// SERIN_MONTE_CARLO asks for.
func runs(t testing.TB, quick int) int {
	t.Helper()
	if n := asked(t); n > 0 {
		return n
	}
	return quick
}

// asked is the number in SERIN_MONTE_CARLO, 0 without one.
func asked(t testing.TB) int {
	t.Helper()
	text := os.Getenv("SERIN_MONTE_CARLO")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("SERIN_MONTE_CARLO=%s: a number of plans, at least 1 (make bench-stats: %d)", text, longRun)
	}
	return n
}

// upTo is a chance plus three standard errors of n runs.
func upTo(p float64, n int) float64 { return p + 3*math.Sqrt(p*(1-p)/float64(n)) }

// gate is the limit of false rollbacks over n plans: 1 %.
func gate(n int) float64 { return upTo(0.01, n) }

// share is the part of runs for which f holds.
func share(n int, f func(i int) bool) float64 {
	k := 0
	for i := range n {
		if f(i) {
			k++
		}
	}
	return float64(k) / float64(n)
}

func percent(p float64) string { return strconv.FormatFloat(100*p, 'g', 3, 64) + " %" }

// table is one of docs/statistics.md.
type table struct {
	section string
	head    []string
	rows    [][]string
}

func (b *table) add(cells ...string) { b.rows = append(b.rows, cells) }

// markdown writes the table between its markers.
func (b *table) markdown() string {
	var out strings.Builder
	line := func(cells []string) { fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | ")) }
	line(b.head)
	line(slices.Repeat([]string{"---"}, len(b.head)))
	for _, row := range b.rows {
		line(row)
	}
	return out.String()
}

const document = "../../docs/statistics.md"

// markers are the lines around the table of a section.
func markers(section string) (begin, end string) {
	return fmt.Sprintf("<!-- %s: written by make bench-stats -->\n", section), fmt.Sprintf("<!-- end of %s -->\n", section)
}

// publish prints the table, writes it into the documentation with -update, and
// fails unless the documentation has the same rows: figures depend on how many
// runs there were, what was measured does not.
func (b *table) publish(t *testing.T) {
	t.Helper()
	t.Logf("%s\n%s", b.section, b.markdown())
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := markers(b.section)
	before, rest, ok := strings.Cut(string(text), begin)
	written, after, okEnd := strings.Cut(rest, end)
	if !ok || !okEnd {
		t.Fatalf("%s has no place for the table: put in the lines\n%s%s", document, begin, end)
	}
	if *update && asked(t) == 0 {
		t.Fatalf("-update writes what long runs found: set SERIN_MONTE_CARLO=%d", longRun)
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+b.markdown()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, want := firsts(written), firsts(b.markdown()); !slices.Equal(got, want) {
		t.Errorf("the rows of %q in %s are\n%s\nwant\n%s\nwrite them with SERIN_MONTE_CARLO=2000 go test -timeout 60m -count 1 ./internal/statbench -update", b.section, document, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// firsts are the first cells of the rows of a table.
func firsts(markdown string) []string {
	var out []string
	for line := range strings.Lines(markdown) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			out = append(out, strings.TrimSpace(cells[1]))
		}
	}
	return out
}

// hours are slots as time since the plan began.
func hours(slots int) float64 { return (time.Duration(slots) * slotLength).Hours() }

// median of some numbers, 0 of none.
func median(of []float64) float64 {
	slices.Sort(of)
	if len(of) == 0 {
		return 0
	}
	return of[len(of)/2]
}
