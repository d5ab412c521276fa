package loosejson_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"serin/internal/intake/loosejson"
)

func parse(t testing.TB, src string) loosejson.Value {
	t.Helper()
	d, err := loosejson.Parse([]byte(src))
	if err != nil {
		t.Fatalf("Parse(%q): %v", src, err)
	}
	t.Cleanup(d.Free)
	return d.Root()
}

func TestText(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`{"a":"b"}`, "b"},
		{`{"a":"b","a":"c"}`, "c"},
		{`{"a":1}`, "1"},
		{`{"a":-1.5e3}`, "-1.5e3"},
		{`{"a":true}`, "true"},
		{`{"\u0061":"escaped key"}`, "escaped key"},
		{`{"a":"\"\\\/\b\f\n\r\t"}`, "\"\\/\b\f\n\r\t"},
		{`{"a":"\u00e9\ud83d\ude00"}`, "é😀"},
		{`{"a":"\ud83dx"}`, "\uFFFDx"},
		{"{\"a\":\"\xff\xfe\"}", "\uFFFD"},
		{"{\"a\":\"x\ty\"}", "x\ty"},
		{` { "b" : [ {"a":1} , 2 ] , "a" : "after" } `, "after"},
	} {
		if got, ok := parse(t, c.src).Get("a").Text(); !ok || got != c.want {
			t.Errorf("%s: got %q, %v want %q", c.src, got, ok, c.want)
		}
	}
}

func TestNotText(t *testing.T) {
	for _, src := range []string{`{}`, `[]`, `{"a":null}`, `{"a":NaN}`, `{"a":-Infinity}`, `{"a":[]}`, `{"a":{}}`, `"a"`} {
		if got, ok := parse(t, src).Get("a").Text(); ok {
			t.Errorf("%s: got %q, want nothing", src, got)
		}
	}
}

func TestItemsAndFields(t *testing.T) {
	v := parse(t, `{"x":[1,[2,3],{"y":4},"5"],"z":6}`)
	var got []string
	for item := range v.Get("x").Items() {
		got = append(got, string(item.Raw()))
	}
	if want := []string{"1", "[2,3]", `{"y":4}`, "5"}; !slices.Equal(got, want) {
		t.Errorf("items: got %q want %q", got, want)
	}
	got = nil
	for k := range v.Fields() {
		got = append(got, k)
	}
	if want := []string{"x", "z"}; !slices.Equal(got, want) {
		t.Errorf("fields: got %q want %q", got, want)
	}
}

func TestErrors(t *testing.T) {
	for _, src := range []string{``, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[1 2]`, `"x`, `"\x"`, `"\u12"`, `tru`, `-`, `1.`, `1e`, `{} x`, `{a:1}`, `nil`} {
		if _, err := loosejson.Parse([]byte(src)); !errors.Is(err, loosejson.ErrSyntax) {
			t.Errorf("%q: got %v, want a syntax error", src, err)
		}
	}
}

func TestDepth(t *testing.T) {
	nest := func(n int) []byte { return []byte(strings.Repeat("[", n) + strings.Repeat("]", n)) }
	if _, err := loosejson.Parse(nest(loosejson.MaxDepth)); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if _, err := loosejson.Parse(nest(loosejson.MaxDepth + 1)); !errors.Is(err, loosejson.ErrDepth) {
		t.Errorf("over the limit: got %v, want ErrDepth", err)
	}
	if _, err := loosejson.Parse(nest(5_000_000)); !errors.Is(err, loosejson.ErrDepth) {
		t.Errorf("bomb: got %v, want ErrDepth", err)
	}
}

// FuzzParse compares with encoding/json: what that takes (within the depth)
// we take, and read strings and numbers alike.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u00e9\ud800"],"b":{"c":null}}`, `[]`, `"\ud83d\ude00"`, `[NaN]`, "\"\xff\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var want any
		strictErr := json.Unmarshal(src, &want)
		d, err := loosejson.Parse(src)
		if err != nil {
			if strictErr == nil && !errors.Is(err, loosejson.ErrDepth) {
				t.Fatalf("encoding/json takes %q, we say %v", src, err)
			}
			return
		}
		defer d.Free()
		if strictErr == nil {
			same(t, d.Root(), want)
		}
	})
}

func same(t *testing.T, v loosejson.Value, want any) {
	switch w := want.(type) {
	case nil:
		if v.Kind() != loosejson.Null {
			t.Fatalf("got kind %d, want null", v.Kind())
		}
	case string:
		got, ok := v.Str()
		// encoding/json writes one U+FFFD for each broken byte, we write one for a run.
		if squeeze := strings.NewReplacer("\uFFFD", ""); !ok || !utf8.ValidString(got) || squeeze.Replace(got) != squeeze.Replace(w) {
			t.Fatalf("got %q want %q", got, w)
		}
	case float64:
		if got, ok := v.Num(); !ok || got != w {
			t.Fatalf("got %v want %v", got, w)
		}
	case bool:
		if got, ok := v.Bool(); !ok || got != w {
			t.Fatalf("got %v want %v", got, w)
		}
	case []any:
		i := 0
		for item := range v.Items() {
			same(t, item, w[i])
			i++
		}
		if i != len(w) {
			t.Fatalf("got %d items, want %d", i, len(w))
		}
	case map[string]any:
		for key, field := range w {
			if utf8.ValidString(key) && !strings.Contains(key, "\uFFFD") {
				same(t, v.Get(key), field)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	src := []byte(`{"items":[` + strings.Repeat(`{"name":"GET /admin/users","value":12.5,"ok":true,"tags":{"feature":"x"}},`, 100) + `{}]}`)
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := loosejson.Parse(src)
		if err != nil {
			b.Fatal(err)
		}
		d.Free()
	}
}
