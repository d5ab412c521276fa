package telemetry

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated part of docs/reference/search.md")

const (
	reference  = "../../docs/reference/search.md"
	tableBegin = "<!-- fields: written by go test ./internal/telemetry -run SearchIsDocumented -update -->\n"
	tableEnd   = "<!-- end of fields -->\n"
)

var typeNames = map[fieldType]string{textField: "text", numberField: "number", durationField: "duration", dateField: "date"}

// fieldTable is the table of fields as the reference shows it.
func fieldTable() string {
	also := map[string][]string{}
	for _, alias := range slices.Sorted(maps.Keys(aliases)) {
		if key := aliases[alias]; !strings.EqualFold(alias, key) {
			also[key] = append(also[key], "`"+alias+"`")
		}
	}
	names := slices.Collect(maps.Keys(fieldTypes))
	for key := range also {
		if _, listed := fieldTypes[key]; !listed {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString("| field | type | only in | also written |\n|---|---|---|---|\n")
	for _, name := range names {
		kind := typeNames[typeOf(name)]
		if exactFields[name] {
			kind += ", exact"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, kind, datasetOf(name), strings.Join(also[name], " "))
	}
	return b.String()
}

// TestSearchIsDocumented compares the reference with the code.
func TestSearchIsDocumented(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), tableBegin)
	got, tail, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("%s has no part between %q and %q", reference, tableBegin, tableEnd)
	}
	want := fieldTable()
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is out of date: run go test ./internal/telemetry -run SearchIsDocumented -update", reference)
	}
	if err := os.WriteFile(reference, []byte(head+tableBegin+want+tableEnd+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestExamplesOfTheReference: each query of the table of loose forms is read
// as the reference says.
func TestExamplesOfTheReference(t *testing.T) {
	text, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| written | read as |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(strings.TrimSpace(table), "\n")
	if len(rows) < 8 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		cells := strings.Split(row, "`")
		if len(cells) != 5 {
			t.Errorf("%q has not two texts", row)
			continue
		}
		if q, err := ParseQuery(cells[1]); err != nil || q.String() != cells[3] {
			t.Errorf("%q is read as %q, %v; the reference says %q", cells[1], q, err, cells[3])
		}
	}
}
