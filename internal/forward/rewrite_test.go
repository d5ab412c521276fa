package forward

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var upstream = DSN{Base: "https://sentry.example/up", Key: "theirs", Project: "7"}

func TestRewriteHeader(t *testing.T) {
	const there = `"https://theirs@sentry.example/up/7"`
	tests := []struct{ name, in, want string }{
		{"dsn", `{"dsn":"https://ours@serin.example/1","sdk":{"name":"x"}}`, `{"dsn":` + there + `,"sdk":{"name":"x"}}`},
		{"space and order stay", "{ \"a\" : 1.50 ,\t\"dsn\" : \"http://ours@h/1\" }\r", "{ \"a\" : 1.50 ,\t\"dsn\" : " + there + " }\r"},
		{"trace", `{"trace":{"trace_id":"f","public_key":"ours"}}`, `{"trace":{"trace_id":"f","public_key":"theirs"}}`},
		{"trace of another", `{"trace":{"public_key":"somebody"}}`, `{"trace":{"public_key":"somebody"}}`},
		{"both", `{"trace":{"public_key":"ours","n":[{"public_key":"ours"}]},"dsn":"http://ours@h/1"}`, `{"trace":{"public_key":"theirs","n":[{"public_key":"ours"}]},"dsn":` + there + `}`},
		{"escaped", `{"d\u0073n":"http:\/\/ours@h\/1"}`, `{"d\u0073n":` + there + `}`},
		{"elsewhere", `{"public_key":"ours","x":{"dsn":"http://ours@h/1"}}`, `{"public_key":"ours","x":{"dsn":"http://ours@h/1"}}`},
		{"other kinds", `{"dsn":null,"trace":"ours"}`, `{"dsn":null,"trace":"ours"}`},
		{"not JSON's NaN", `{"x":NaN,"dsn":"http://ours@h/1"}`, `{"x":NaN,"dsn":` + there + `}`},
		{"cut off", `{"dsn":"http://ours@h/1","x`, `{"dsn":"http://ours@h/1","x`},
		{"empty", ``, ``}, {"no object", `[1]`, `[1]`}, {"no member", `{}`, `{}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(rewriteHeader([]byte(tt.in), "ours", upstream))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestRewriteKeepsTheRest: whatever else a header holds means the same after.
func TestRewriteKeepsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		head := map[string]any{}
		for _, key := range rapid.SliceOfDistinct(rapid.StringN(1, 8, 20), rapid.ID).Draw(t, "keys") {
			head[key] = rapid.OneOf(rapid.Just[any](nil), rapid.Map(rapid.String(), func(s string) any { return s }),
				rapid.Map(rapid.SliceOfN(rapid.Int32(), 0, 3), func(n []int32) any { return n })).Draw(t, "value")
		}
		head["dsn"] = "https://ours@serin.example/1"
		in, err := json.Marshal(head)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(string(in), `"https://ours@serin.example/1"`, `"`+upstream.public()+`"`, 1)
		if got := string(rewriteHeader(in, "ours", upstream)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// FuzzRewriteHeader: no input makes it fail, and what names no key of ours stays.
func FuzzRewriteHeader(f *testing.F) {
	f.Add([]byte(`{"dsn":"https://a@b/1","trace":{"public_key":"a"}}`), "a")
	f.Add([]byte(`{"dsn":"https://a@b/1`), "a")
	f.Fuzz(func(t *testing.T, line []byte, ours string) {
		got := rewriteHeader(bytes.Clone(line), ours, upstream)
		if !strings.Contains(string(line), "dsn") && !strings.Contains(string(line), "public_key") && !bytes.Contains(line, []byte(`\`)) && !bytes.Equal(got, line) {
			t.Errorf("changed %q to %q", line, got)
		}
	})
}

func TestParseDSN(t *testing.T) {
	for in, want := range map[string]DSN{
		"https://k@h/1":              {Base: "https://h", Key: "k", Project: "1"},
		"http://k:s@h:9000/a/b/12/":  {Base: "http://h:9000/a/b", Key: "k", Secret: "s", Project: "12"},
		" https://k@o1.sentry.io/4 ": {Base: "https://o1.sentry.io", Key: "k", Project: "4"},
	} {
		if got, err := ParseDSN(in); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "h/1", "https://h/1", "https://k@h", "https://k@h/", "ftp://k@h/1", "https://k@h/1?x=2", "https://a,b@h/1", "https://k@/1"} {
		if got, err := ParseDSN(in); err == nil {
			t.Errorf("%q: got %+v", in, got)
		} else if strings.Contains(err.Error(), "k@h") {
			t.Errorf("%q: the error tells the key: %v", in, err)
		}
	}
}

func TestWithout(t *testing.T) {
	const session = "{\"type\":\"session\"}\n{\"sid\":\"1\"}\n"
	const event = "{\"type\":\"event\",\"length\":3}\na\nb\n"
	const log = "{\"type\":\"log\"}\n\n" // an empty payload
	errors := func(c string) bool { return c == "error" }
	tests := []struct {
		name, in, want string
		dropped        map[string]int
		left           bool
	}{
		{"none", "{}\n" + session, "{}\n" + session, nil, true},
		{"one of three", "{}\n" + session + event + log, "{}\n" + session + log, map[string]int{"error": 1}, true},
		{"blank lines", "{}\n\n" + event + "\n" + session, "{}\n" + session, map[string]int{"error": 1}, true},
		{"all", "{}\n" + event, "{}\n", map[string]int{"error": 1}, false},
		{"no newline at the end", "{}\n" + event + session[:len(session)-1], "{}\n" + session[:len(session)-1], map[string]int{"error": 1}, true},
		{"no items", "{}", "{}", nil, true},
		{"broken frame", "{}\n{\"type\":\"event\",\"length\":99}\nab", "{}\n{\"type\":\"event\",\"length\":99}\nab", nil, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, dropped, left := without([]byte(tt.in), errors)
			if string(got) != tt.want || left != tt.left || !cmp.Equal(dropped, tt.dropped) {
				t.Errorf("got %q, %v, %v; want %q, %v, %v", got, dropped, left, tt.want, tt.dropped, tt.left)
			}
		})
	}
}
