package flag

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDocumentErrors(t *testing.T) {
	flagOf := func(body string) string { return `{"flags":{"f":` + body + `}}` }
	tests := []struct{ name, doc, want string }{
		{"empty", ``, "read flag document"},
		{"no flags", `{}`, `flags: missing`},
		{"null flags", `{"flags":null}`, `flags: missing`},
		{"state", flagOf(`{"state":"on","variants":{"a":1}}`), `flag "f": state: is "on": expected ENABLED or DISABLED`},
		{"no variants", flagOf(`{"state":"ENABLED"}`), `flag "f": variants: is empty`},
		{"types", flagOf(`{"state":"ENABLED","variants":{"a":1,"b":"x"}}`), `flag "f": variants.b: is a string while "a" is a number`},
		{"null variant", flagOf(`{"state":"ENABLED","variants":{"a":null}}`), `flag "f": variants.a: expected a boolean`},
		{"list variant", flagOf(`{"state":"ENABLED","variants":{"a":[1]}}`), `flag "f": variants.a: expected a boolean`},
		{"default", flagOf(`{"state":"ENABLED","variants":{"a":1},"defaultVariant":"z"}`), `flag "f": defaultVariant: names "z", which is not in variants`},
		{"metadata", flagOf(`{"state":"ENABLED","variants":{"a":1},"metadata":{"m":[1]}}`), `flag "f": metadata.m: expected`},
		{"wrong type", flagOf(`{"state":1}`), `flag "f": definition`},
		{"twice", `{"flags":[{"key":"f","state":"ENABLED","variants":{"a":1}},{"key":"f","state":"ENABLED","variants":{"a":1}}]}`, `flag "f": key: used twice`},
		{"no key", `{"flags":[{"state":"ENABLED","variants":{"a":1}}]}`, `key: is empty`},
		{"evaluator", `{"flags":{},"$evaluators":{"e":{}}}`, `$evaluators.e: is empty`},
		{"deep", flagOf(`{"state":"ENABLED","variants":{"a":1},"targeting":` + strings.Repeat(`{"!":[`, 60) + `1` + strings.Repeat(`]}`, 60) + `}`), `nested deeper`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseDocument([]byte(tt.doc))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestArrayAndMapFormAgree(t *testing.T) {
	const b = `"state":"ENABLED","variants":{"x":"<&>"},"targeting":{"<":[1,2]}`
	asMap := compileText(t, `{"flags":{"b":{`+b+`},"a":{`+b+`}}}`)
	asList := compileText(t, `{"flags":[{"key":"b",`+b+`},{"key":"a",`+b+`}]}`)
	want := `{"$schema":"https://flagd.dev/schema/v0/flags.json","flags":{` +
		`"a":{"state":"ENABLED","variants":{"x":"<&>"},"targeting":{"<":[1,2]}},"b":{"state":"ENABLED","variants":{"x":"<&>"},"targeting":{"<":[1,2]}}}}`
	if diff := cmp.Diff(want, string(asMap.Document())); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(string(asMap.Document()), string(asList.Document())); diff != "" {
		t.Error(diff)
	}
}

func TestRefsAndMetadataAreInlined(t *testing.T) {
	rs := compileText(t, `{"$evaluators":{"nl":{"==":[{"var":"country"},"NL"]},"nested":{"!":[{"$ref":"nl"}]}},
		"metadata":{"team":"web","v":1},"flags":{
		"a":{"state":"ENABLED","variants":{"on":true},"targeting":{"if":[{ "$ref" : "nl" },"on"]},"metadata":{"v":2}},
		"b":{"state":"ENABLED","variants":{"on":true},"targeting":{"if":[{"$ref":"nested"},"on"]}}}}`)
	if got := rs.Evaluate("a", Context{"country": "NL"}); got.Variant != "on" {
		t.Errorf("got %+v", got)
	}
	if got := rs.Evaluate("b", nil); got.Code != ParseError {
		t.Errorf("a reference inside an evaluator: got %+v", got)
	}
	want := `"a":{"state":"ENABLED","variants":{"on":true},"targeting":{"if":[{"==":[{"var":"country"},"NL"]},"on"]},"metadata":{"team":"web","v":2}}`
	if !strings.Contains(string(rs.Document()), want) {
		t.Errorf("document %s lacks %s", rs.Document(), want)
	}
}

func TestDefinitionRoundTrip(t *testing.T) {
	const text = `{"state":"DISABLED","variants":{"a":{"k":[1,2]},"b":{}},"defaultVariant":"b","targeting":{"if":[{">":[{"var":"n"},3]},"a"]},"metadata":{"m":1,"z":"<"}}`
	d, err := ParseDefinition("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text, string(got)); diff != "" {
		t.Error(diff)
	}
}

// FuzzDocument checks that what is accepted compiles, and is served as a
// document that is accepted again and says the same.
func FuzzDocument(f *testing.F) {
	f.Add([]byte(`{"$evaluators":{"e":{"==":[1,1]}},"metadata":{"a":1},"flags":{"f":{"state":"ENABLED","variants":{"on":true},"targeting":{"if":[{"$ref":"e"},"on"]}}}}`))
	f.Add([]byte(`{"flags":[{"key":"f","state":"DISABLED","variants":{"a":{},"b":{"x":1}},"defaultVariant":null}]}`))
	f.Add([]byte(`{"flags":{"":{}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := ParseDocument(data)
		if err != nil {
			return
		}
		rs, err := Compile(1, doc)
		if err != nil {
			return
		}
		again, err := ParseDocument(rs.Document())
		if err != nil {
			t.Fatalf("own document is refused: %v\n%s", err, rs.Document())
		}
		rs2, err := Compile(1, again)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range rs.Keys() {
			a, b := rs.Evaluate(key, Context{"targetingKey": "u"}), rs2.Evaluate(key, Context{"targetingKey": "u"})
			if a.Variant != b.Variant || a.Reason != b.Reason {
				t.Fatalf("%q: %+v and %+v", key, a, b)
			}
		}
		if !json.Valid(rs.Document()) {
			t.Fatal("document is not JSON")
		}
	})
}
