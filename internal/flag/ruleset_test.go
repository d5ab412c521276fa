package flag

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/murmur3"
	"pgregory.net/rapid"
)

func compileText(t testing.TB, text string) *Ruleset {
	t.Helper()
	doc, err := ParseDocument([]byte(text))
	if err != nil {
		t.Fatalf("ParseDocument: %v", err)
	}
	rs, err := Compile(1, doc)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return rs
}

func contextOf(t testing.TB, text string) Context {
	t.Helper()
	var ctx Context
	if err := json.Unmarshal([]byte(text), &ctx); err != nil {
		t.Fatalf("context %s: %v", text, err)
	}
	return ctx
}

func TestBucketingVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/bucketing-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			FlagKey, Variant, Reason, Seed, H string
			TargetingKey                      *string
			Context                           Context
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 20 {
		t.Fatalf("got %d vectors, want 20", len(file.Vectors))
	}
	rs := compileText(t, string(data)) // the file holds its flags in flagd's form
	for _, v := range file.Vectors {
		ctx := Context{}
		for k, x := range v.Context {
			ctx[k] = x
		}
		if v.TargetingKey != nil {
			ctx["targetingKey"] = *v.TargetingKey
		}
		got := rs.Evaluate(v.FlagKey, ctx)
		if got.Variant != v.Variant || string(got.Reason) != v.Reason {
			t.Errorf("%s %v: got %s %s, want %s %s", v.FlagKey, ctx, got.Variant, got.Reason, v.Variant, v.Reason)
		}
	}
}

func TestHashAgreesWithMurmur3(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.String()).Draw(t, "parts")
		var h hashState
		var whole string
		for _, p := range parts {
			h, whole = h.add(p), whole+p
		}
		if got, want := h.sum(), murmur3.StringSum32(whole); got != want {
			t.Fatalf("hash of %q in parts %q: got %#x, want %#x", whole, parts, got, want)
		}
	})
}

// TestOutcomes is the table of outcomes of an evaluation.
func TestOutcomes(t *testing.T) {
	const variants = `"variants":{"on":true,"off":false}`
	rs := compileText(t, `{"metadata":{"flagSetId":"web","version":"7","owner":"all"},"flags":{
		"static":{"state":"ENABLED",`+variants+`,"defaultVariant":"on"},
		"empty":{"state":"ENABLED",`+variants+`,"defaultVariant":"on","targeting":{}},
		"null":{"state":"ENABLED",`+variants+`,"defaultVariant":"off","targeting":{"if":[false,"on"]}},
		"match":{"state":"ENABLED",`+variants+`,"defaultVariant":"off","targeting":{"if":[true,"on"]},"metadata":{"owner":"frontend","client":true}},
		"bool":{"state":"ENABLED","variants":{"true":1,"false":0},"defaultVariant":"false","targeting":{"==":[1,1]}},
		"number":{"state":"ENABLED","variants":{"1":"one"},"targeting":{"+":[0,1]}},
		"nan":{"state":"ENABLED","variants":{"1":"one"},"defaultVariant":"1","targeting":{"/":[0,0]}},
		"nobody":{"state":"ENABLED",`+variants+`,"defaultVariant":"off","targeting":{"if":[true,"gone"]}},
		"unknown":{"state":"ENABLED",`+variants+`,"defaultVariant":"off","targeting":{"if":[{"==":[{"var":"a"},1]},{"bogus":[1]},"on"]}},
		"ref":{"state":"ENABLED",`+variants+`,"defaultVariant":"off","targeting":{"if":[{"$ref":"nowhere"},"on","off"]}},
		"none":{"state":"ENABLED",`+variants+`},
		"none-null":{"state":"ENABLED",`+variants+`,"defaultVariant":null,"targeting":{"if":[false,"on"]}},
		"off":{"state":"DISABLED",`+variants+`,"defaultVariant":"on","targeting":{"bogus":1}},
		"zero":{"state":"ENABLED","variants":{"zero":0},"defaultVariant":"zero"},
		"time":{"state":"ENABLED",`+variants+`,"defaultVariant":"off","targeting":{"if":[{">":[{"var":"$flagd.timestamp"},100]},"on"]}},
		"own-key":{"state":"ENABLED","variants":{"own-key":1,"forged":2},"targeting":{"var":"$flagd.flagKey"}}
	}}`)
	tests := []struct {
		flag, ctx string
		want      Evaluation
	}{
		{"static", `{}`, Evaluation{Variant: "on", Value: json.RawMessage("true"), Reason: Static}},
		{"empty", `{}`, Evaluation{Variant: "on", Value: json.RawMessage("true"), Reason: Static}},
		{"null", `{}`, Evaluation{Variant: "off", Value: json.RawMessage("false"), Reason: Default}},
		{"match", `{}`, Evaluation{Variant: "on", Value: json.RawMessage("true"), Reason: TargetingMatch}},
		{"bool", `{}`, Evaluation{Variant: "true", Value: json.RawMessage("1"), Reason: TargetingMatch}},
		{"number", `{}`, Evaluation{Variant: "1", Value: json.RawMessage(`"one"`), Reason: TargetingMatch}},
		{"nan", `{}`, Evaluation{Variant: "1", Value: json.RawMessage(`"one"`), Reason: Default}},
		{"nobody", `{}`, Evaluation{Reason: Failed, Code: General, Detail: `targeting yields "gone", which is not a variant`}},
		{"unknown", `{"a":1}`, Evaluation{Reason: Failed, Code: ParseError, Detail: `unknown operator "bogus" in targeting`}},
		{"unknown", `{"a":2}`, Evaluation{Variant: "on", Value: json.RawMessage("true"), Reason: TargetingMatch}},
		{"ref", `{}`, Evaluation{Reason: Failed, Code: ParseError, Detail: `unknown operator "$ref" in targeting`}},
		{"none", `{}`, Evaluation{Reason: Default}},
		{"none-null", `{}`, Evaluation{Reason: Default}},
		{"off", `{}`, Evaluation{Reason: Disabled}},
		{"zero", `{}`, Evaluation{Variant: "zero", Value: json.RawMessage("0"), Reason: Static}},
		{"time", `{"$flagd":{"timestamp":1000000}}`, Evaluation{Variant: "off", Value: json.RawMessage("false"), Reason: Default}},
		{"own-key", `{"$flagd":{"flagKey":"forged"}}`, Evaluation{Variant: "own-key", Value: json.RawMessage("1"), Reason: TargetingMatch}},
		{"absent", `{}`, Evaluation{Reason: Failed, Code: FlagNotFound, Detail: `flag "absent" not found`}},
	}
	for _, tt := range tests {
		t.Run(tt.flag+tt.ctx, func(t *testing.T) {
			tt.want.Key = tt.flag
			tt.want.Metadata = json.RawMessage(`{"flagSetId":"web","owner":"all","version":"7"}`)
			if tt.flag == "match" {
				tt.want.Metadata = json.RawMessage(`{"client":true,"flagSetId":"web","owner":"frontend","version":"7"}`)
			}
			got := rs.Evaluate(tt.flag, contextOf(t, tt.ctx))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := rs.EvaluateAt("time", nil, 101); got.Variant != "on" {
		t.Errorf("at 101: got %v, want on", got)
	}
	if !rs.Timed() || !rs.Client("match") || rs.Client("static") || !rs.InSet("static", "web") {
		t.Error("Timed, Client or InSet is wrong")
	}
	if faults := rs.Faults(); len(faults) != 2 || faults["unknown"] == "" || faults["ref"] == "" {
		t.Errorf("faults: %v", faults)
	}
}

func TestEmptyRuleset(t *testing.T) {
	for _, rs := range []*Ruleset{nil, {}} {
		if got := rs.Evaluate("x", nil); got.Code != FlagNotFound {
			t.Errorf("got %v", got)
		}
		if rs.ETag() != "0" || rs.Revision() != 0 || len(rs.Keys()) != 0 {
			t.Error("an empty ruleset has contents")
		}
		if _, err := ParseDocument(rs.Document()); err != nil {
			t.Error(err)
		}
	}
}

func TestETagFollowsContentAndRevision(t *testing.T) {
	doc := Document{Flags: []Definition{{Key: "a", State: Enabled, Variants: map[string]json.RawMessage{"on": json.RawMessage("1")}}}}
	etag := func(revision int64, d Document) string {
		rs, err := Compile(revision, d)
		if err != nil {
			t.Fatal(err)
		}
		return rs.ETag()
	}
	first := etag(1, doc)
	if etag(1, doc) != first || etag(2, doc) == first {
		t.Error("the tag must follow the revision")
	}
	doc.Flags[0].DefaultVariant = "on"
	if etag(1, doc) == first {
		t.Error("the tag must follow the content")
	}
}
