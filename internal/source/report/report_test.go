package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"serin/internal/outbound"
	"serin/internal/source"
	"serin/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	sourcetest.Run(t, sourcetest.Service{
		Open: func(t *testing.T, url string, c *outbound.Client) source.Source {
			s, err := New(Options{URL: url, Client: c})
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Query: source.Query{Text: "/n"},
		Good:  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"n": 1}`) },
	})
}

func TestValueAt(t *testing.T) {
	// The second half of the cases is RFC 6901, section 5.
	const text = `{"total": [{"bytes": 412000}], "ci": "pass", "ok": true, "none": null, "far": {"a": []},
		"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "k\"l": 6, " ": 7}`
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		pointer string
		want    source.Value
		wantErr string
		empty   bool
	}{
		{pointer: "/total/0/bytes", want: source.Value{Number: 412000, Text: "412000"}},
		{pointer: "/ci", want: source.Value{Text: "pass"}},
		{pointer: "/ok", want: source.Value{Text: "true"}},
		{pointer: "/none", wantErr: "null at", empty: true},
		{pointer: "/total/1/bytes", wantErr: "nothing at", empty: true},
		{pointer: "/total/00/bytes", wantErr: "nothing at", empty: true},
		{pointer: "/total/-/bytes", wantErr: "nothing at", empty: true},
		{pointer: "/missing", wantErr: "nothing at", empty: true},
		{pointer: "/far", wantErr: "no number, text"},
		{pointer: "far", wantErr: "write it as"},
		{pointer: "", wantErr: "no number, text"},
		{pointer: "/foo/0", want: source.Value{Text: "bar"}},
		{pointer: "/", want: source.Value{Text: "0"}},
		{pointer: "/a~1b", want: source.Value{Number: 1, Text: "1"}},
		{pointer: "/m~0n", want: source.Value{Number: 8, Text: "8"}},
		{pointer: `/k"l`, want: source.Value{Number: 6, Text: "6"}},
		{pointer: "/ ", want: source.Value{Number: 7, Text: "7"}},
	} {
		got, err := valueAt(doc, tt.pointer)
		if tt.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), tt.wantErr) || errors.Is(err, source.ErrEmpty) != tt.empty {
				t.Errorf("%q: error %v, want %q", tt.pointer, err, tt.wantErr)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.pointer, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q: %s", tt.pointer, diff)
		}
	}
}
