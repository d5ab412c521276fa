package sourcemap

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestAgainstNode compares with what Node's own reader (module.SourceMap, v20)
// says of every third column of a bundle that esbuild minified. (On a line that
// has no segment Node goes on with the line before; here such a place is nowhere.)
func TestAgainstNode(t *testing.T) {
	m, err := Parse(read(t, "app.js.map"))
	if err != nil {
		t.Fatal(err)
	}
	var places [][6]any
	if err := json.Unmarshal(read(t, "places.json"), &places); err != nil {
		t.Fatal(err)
	}
	for _, p := range places {
		want := Place{File: p[2].(string), Name: p[3].(string), Line: int(p[4].(float64)), Column: int(p[5].(float64))}
		if got, _ := m.Lookup(int(p[0].(float64)), int(p[1].(float64))); got != want {
			t.Errorf("%v:%v: got %+v, want %+v", p[0], p[1], got, want)
		}
	}
	if len(places) < 90 {
		t.Fatalf("only %d places", len(places))
	}
	want := []string{"export function renderWidgets(widgets: Widget[] | undefined): string {", "  return widgets!.map((widget) => renderCard(widget)).join('\\n')", "}"}
	if d := cmp.Diff(want, m.Lines("src/widget.ts", 4, 6)); d != "" {
		t.Errorf("lines (-want +got):\n%s", d)
	}
}

// TestSections reads the sectioned form: an empty section, one in the middle
// of a line, and segments without source.
func TestSections(t *testing.T) {
	m, err := Parse([]byte(`)]}'
{"version":3,"debugId":"5A4C9C3E-0F9C-4B8F-9B57-2B4D5B1B0C11","sections":[
 {"offset":{"line":0,"column":0},"map":{"version":3,"sources":[],"names":[],"mappings":""}},
 {"offset":{"line":0,"column":10},"map":{"version":3,"sourceRoot":"src/","sources":["a.ts"],"names":["go"],"mappings":"AAAAA,IAAI,E;AACA"}},
 {"offset":{"line":5,"column":0},"map":{"version":3,"sources":["b.ts",null],"sourcesContent":["one\ntwo",null],"names":[],"mappings":"AACA"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		line, column int
		want         Place
	}{
		{1, 1, Place{}}, {1, 10, Place{}},
		{1, 11, Place{"src/a.ts", "go", 1, 1}},
		{1, 16, Place{"src/a.ts", "", 1, 5}},
		{1, 17, Place{}}, // a segment of one number: code from nowhere
		{2, 1, Place{"src/a.ts", "", 2, 5}},
		{3, 1, Place{}},
		{6, 7, Place{"b.ts", "", 2, 1}},
		{0, 0, Place{}}, {-1, 5, Place{}}, {1 << 40, 1, Place{}},
	} {
		if got, ok := m.Lookup(tc.line, tc.column); got != tc.want || ok != (tc.want != Place{}) {
			t.Errorf("%d:%d: got %+v, %v, want %+v", tc.line, tc.column, got, ok, tc.want)
		}
	}
	if m.Debug != "5a4c9c3e-0f9c-4b8f-9b57-2b4d5b1b0c11" {
		t.Errorf("debug id %q", m.Debug)
	}
	if got := m.Lines("b.ts", 2, 9); len(got) != 1 || got[0] != "two" {
		t.Errorf("lines %q", got)
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{``, "unexpected end"},
		{`{"version":2,"mappings":"AAAA"}`, "version 2"},
		{`{"mappings":"AAAA"}`, "version 0"},
		{`{"version":3,"sources":["a"],"mappings":"AAA"}`, "not 1, 4 or 5"},
		{`{"version":3,"sources":["a"],"mappings":"AAAA;ACAA"}`, "line 2: segment \"ACAA\": there is no source 1"},
		{`{"version":3,"sources":["a"],"mappings":"AAAAC"}`, "there is no name 1"},
		{`{"version":3,"sources":["a"],"mappings":"AADA"}`, "out of range"},
		{`{"version":3,"sources":["a"],"mappings":"AA!A"}`, "is no digit"},
		{`{"version":3,"sources":["a"],"mappings":"AAAg"}`, "ends in a number"},
		{`{"version":3,"sources":["a"],"mappings":"ggggggggggggg"}`, "too large"},
		{`{"version":3,"sources":["a"],"mappings":"AAAAAA"}`, "more than five"},
		{`{"version":3,"sections":[{"offset":{"line":0,"column":0}}]}`, "section 0 has no map"},
		{`{"version":3,"sections":[{"offset":{"line":-1,"column":0},"map":{"version":3}}]}`, "begins before"},
	} {
		_, err := Parse([]byte(tc.in))
		if !errors.Is(err, ErrMap) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want it to say %q", tc.in, err, tc.want)
		}
	}
}

// FuzzParse: what is accepted answers every question without a panic, and its
// segments are in order.
func FuzzParse(f *testing.F) {
	f.Add(read(f, "app.js.map"), 1, 20)
	f.Add([]byte(`{"version":3,"sections":[{"offset":{"line":1,"column":4},"map":{"version":3,"sources":["a"],"names":["n"],"mappings":"AAAAA;;AACA"}}]}`), 2, 5)
	f.Fuzz(func(t *testing.T, data []byte, line, column int) {
		m, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrMap) {
				t.Fatalf("%v is no ErrMap", err)
			}
			return
		}
		p, ok := m.Lookup(line, column)
		if ok && (p.Line < 1 || p.Column < 1) {
			t.Fatalf("%d:%d is %+v", line, column, p)
		}
		m.Lines(p.File, p.Line-5, p.Line+5)
		for _, s := range m.segments {
			if _, ok := m.Lookup(int(s.line)+1, int(s.column)+1); ok && s.line >= maxLine {
				t.Fatalf("segment %+v is out of range", s)
			}
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	m, err := Parse(read(b, "app.js.map"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Lookup(2, 40)
	}
}
