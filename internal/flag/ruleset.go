package flag

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Ruleset is a compiled document. It never changes, so any number of
// goroutines may use it. The zero value and nil hold no flags.
type Ruleset struct {
	revision int64
	etag     string
	timed    bool
	flags    map[string]*compiled
	keys     []string
	metadata json.RawMessage // of the set
	document []byte
}

// compiled is one flag, ready to be evaluated.
type compiled struct {
	definition Definition
	client     bool
	place      Place
	set        string // flagSetId, "" = none
	unknown    string // first unknown operator
	rule       func(env) any
	plain      *Evaluation  // the answer where the context does not matter: disabled, or no targeting
	fallback   Evaluation   // the default variant with reason DEFAULT
	matches    []Evaluation // one for each variant, reason TARGETING_MATCH, by name
}

// Compile makes a ruleset of a document, which it validates first; its errors
// are those of Document.Validate. The revision is the caller's number of this
// state of the set; it grows with every change.
func Compile(revision int64, doc Document) (*Ruleset, error) {
	if err := doc.Validate(); err != nil {
		return nil, err
	}
	r := &Ruleset{revision: revision, flags: make(map[string]*compiled, len(doc.Flags))}
	var err error
	if r.metadata, err = metadataJSON(doc.Metadata); err != nil {
		return nil, err
	}
	inlined := Document{Metadata: doc.Metadata, Flags: slices.Clone(doc.Flags)}
	for i, d := range inlined.Flags {
		d.Targeting, err = inlineRefs(d.Targeting, doc.Evaluators)
		if err != nil {
			return nil, &FieldError{Flag: d.Key, Field: "targeting", Problem: err.Error()}
		}
		merged := overlay(doc.Metadata, d.Metadata)
		f, timed, err := compileFlag(d, merged)
		if err != nil {
			return nil, err
		}
		f.place = doc.Places[d.Key]
		r.flags[d.Key] = f
		r.timed = r.timed || timed
		d.Metadata = merged
		inlined.Flags[i] = d
	}
	r.keys = slices.Sorted(maps.Keys(r.flags))
	if r.document, err = inlined.MarshalJSON(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(r.document)
	r.etag = strconv.FormatInt(revision, 10) + "-" + hex.EncodeToString(sum[:6])
	return r, nil
}

// overlay merges a flag's metadata over the set's, key by key, without nulls.
func overlay(set, own map[string]any) map[string]any {
	merged := make(map[string]any, len(set)+len(own))
	for _, m := range []map[string]any{set, own} {
		for k, v := range m {
			if v != nil {
				merged[k] = v
			}
		}
	}
	return merged
}

func metadataJSON(m map[string]any) (json.RawMessage, error) {
	m = overlay(nil, m)
	if len(m) == 0 {
		return nil, nil
	}
	return appendValue(nil, m)
}

func compileFlag(d Definition, metadata map[string]any) (f *compiled, timed bool, err error) {
	f = &compiled{definition: d}
	f.client, _ = metadata["client"].(bool)
	f.set, _ = metadata["flagSetId"].(string)
	meta, err := metadataJSON(metadata)
	if err != nil {
		return nil, false, &FieldError{Flag: d.Key, Field: "metadata", Problem: err.Error()}
	}
	f.fallback = Evaluation{Key: d.Key, Reason: Default, Metadata: meta}
	if d.DefaultVariant != "" {
		f.fallback.Variant, f.fallback.Value = d.DefaultVariant, compact(d.Variants[d.DefaultVariant])
	}
	if d.State == StateOff {
		f.plain = &Evaluation{Key: d.Key, Reason: Disabled, Metadata: meta}
		return f, false, nil
	}
	if noTargeting(d.Targeting) {
		plain := f.fallback
		if plain.Variant != "" {
			plain.Reason = Static
		}
		f.plain = &plain
		return f, false, nil
	}
	for _, name := range slices.Sorted(maps.Keys(d.Variants)) {
		f.matches = append(f.matches, Evaluation{
			Key: d.Key, Variant: name, Value: compact(d.Variants[name]), Reason: TargetingMatch, Metadata: meta,
		})
	}
	var tree any
	if err := json.Unmarshal(d.Targeting, &tree); err != nil {
		return nil, false, &FieldError{Flag: d.Key, Field: "targeting", Problem: err.Error()}
	}
	c := &compiler{flagKey: d.Key}
	f.rule = c.compile(tree).eval
	f.unknown = c.unknown
	return f, c.timed, nil
}

func compact(raw json.RawMessage) json.RawMessage {
	b, err := appendCompact(nil, raw)
	if err != nil {
		return raw
	}
	return b
}

// Evaluate answers for one flag and one context, as EvaluateAt with no time:
// `$flagd.timestamp` is then null.
func (r *Ruleset) Evaluate(key string, ctx Context) Evaluation { return r.EvaluateAt(key, ctx, 0) }

// EvaluateAt answers for one flag and one context at a time in Unix seconds,
// which rules may read as `$flagd.timestamp`. The context is only read. The
// table of outcomes is flagd's (flagd core 0.16.1, evaluator/json.go):
// targeting that yields null selects the default variant with reason DEFAULT;
// a name that is no variant is an error, GENERAL, and not the default; an
// unknown operator that is reached is PARSE_ERROR; a disabled flag, or a
// missing default variant, has no value.
func (r *Ruleset) EvaluateAt(key string, ctx Context, unixSeconds int64) Evaluation {
	f := r.flag(key)
	switch {
	case f == nil:
		return Evaluation{Key: key, Reason: Failed, Code: FlagNotFound, Detail: "flag " + strconv.Quote(clip(key)) + " not found", Metadata: r.Metadata()}
	case f.plain != nil:
		return *f.plain
	case f.unknown != "":
		return f.evaluateFaulty(ctx, unixSeconds)
	}
	return f.answer(f.rule(env{data: ctx, now: unixSeconds}))
}

// evaluateFaulty evaluates a flag that has an unknown operator somewhere: it
// matters only when it is reached.
func (f *compiled) evaluateFaulty(ctx Context, now int64) Evaluation {
	var fault string
	result := f.rule(env{data: ctx, now: now, fault: &fault})
	if fault != "" {
		return f.failure(ParseError, fault)
	}
	return f.answer(result)
}

// answer turns the result of targeting into an evaluation.
func (f *compiled) answer(result any) Evaluation {
	name, ok := result.(string)
	if !ok {
		if result == nil {
			return f.fallback
		}
		if n, isNumber := number(result); isNumber && (math.IsNaN(n) || math.IsInf(n, 0)) {
			return f.fallback
		}
		name = text(result)
	}
	for i := range f.matches {
		if f.matches[i].Variant == name {
			return f.matches[i]
		}
	}
	return f.failure(General, "targeting yields "+strconv.Quote(clip(name))+", which is not a variant")
}

func (f *compiled) failure(code ErrorCode, detail string) Evaluation {
	return Evaluation{Key: f.definition.Key, Reason: Failed, Code: code, Detail: detail, Metadata: f.fallback.Metadata}
}

// clip keeps a text from a context short enough for an error message.
func clip(s string) string {
	const longest = 100
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}

func (r *Ruleset) flag(key string) *compiled {
	if r == nil {
		return nil
	}
	return r.flags[key]
}

// Keys lists the flags in ascending order. The slice is shared: do not change it.
func (r *Ruleset) Keys() []string {
	if r == nil {
		return nil
	}
	return r.keys
}

// Revision is the number the ruleset was compiled with; 0 for an empty one.
func (r *Ruleset) Revision() int64 {
	if r == nil {
		return 0
	}
	return r.revision
}

// ETag names revision and content, without quotes: equal only for equal
// documents of the same revision. "0" for an empty ruleset.
func (r *Ruleset) ETag() string {
	if r == nil || r.etag == "" {
		return "0"
	}
	return r.etag
}

// Timed reports whether a rule may read `$flagd.timestamp`, so that equal
// contexts can get different answers from the same revision.
func (r *Ruleset) Timed() bool { return r != nil && r.timed }

// Definition returns a flag's definition with $ref resolved. Its maps and
// slices are shared: do not change them.
func (r *Ruleset) Definition(key string) (Definition, bool) {
	f := r.flag(key)
	if f == nil {
		return Definition{}, false
	}
	return f.definition, true
}

// Client reports whether the flag may be shown to publishable keys: its
// metadata, the set's included, has client: true.
func (r *Ruleset) Client(key string) bool {
	f := r.flag(key)
	return f != nil && f.client
}

// InSet reports whether the flag's metadata names this flagSetId.
func (r *Ruleset) InSet(key, flagSetID string) bool {
	f := r.flag(key)
	return f != nil && f.set == flagSetID
}

// Metadata is the set's metadata as a JSON object, shared; nil when empty.
func (r *Ruleset) Metadata() json.RawMessage {
	if r == nil {
		return nil
	}
	return r.metadata
}

// Document is what in-process providers are sent: flagd's JSON in map form,
// $ref resolved, the set's metadata merged into each flag, disabled flags
// included. The bytes are shared: do not change them.
func (r *Ruleset) Document() []byte {
	if r == nil || r.document == nil {
		return []byte(`{"$schema":"` + schemaURL + `","flags":{}}`)
	}
	return r.document
}

// Faults names the flags whose targeting holds an unknown operator or an
// unresolved $ref, with what is wrong; empty when all is well.
func (r *Ruleset) Faults() map[string]string {
	faults := map[string]string{}
	if r == nil {
		return faults
	}
	for key, f := range r.flags {
		if f.unknown != "" {
			faults[key] = fmt.Sprintf("targeting: unknown operator %q", f.unknown)
		}
	}
	return faults
}
