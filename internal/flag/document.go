package flag

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The states a definition may have.
const (
	Enabled  = "ENABLED"
	StateOff = "DISABLED"
)

// maxTargetingBytes bounds one flag's targeting with its references resolved.
const maxTargetingBytes = 1 << 20

// Document is a set of flag definitions in flagd's format
// (open-feature/flagd-schemas, json/flags.json).
type Document struct {
	// Flags in any order; keys are unique.
	Flags []Definition
	// Evaluators are the shared rules that {"$ref": name} stands for.
	Evaluators map[string]json.RawMessage
	// Metadata belongs to the set; a flag's own metadata overlays it key by key.
	Metadata map[string]any
	// Places says where flags are at home, by key; it is no part of the JSON
	// form. One that is missing is at the zero Place.
	Places map[string]Place
}

// FieldError says what is wrong with one field of a document.
type FieldError struct {
	Flag    string // flag key; "" for the document itself
	Field   string // e.g. "variants.on"
	Problem string // what is wrong and what is expected
}

// Error implements error.
func (e *FieldError) Error() string {
	if e.Flag == "" {
		return e.Field + ": " + e.Problem
	}
	return fmt.Sprintf("flag %q: %s: %s", e.Flag, e.Field, e.Problem)
}

// rawDocument is the wire form; flags is an object or, as input only, an array.
type rawDocument struct {
	Flags      json.RawMessage            `json:"flags"`
	Evaluators map[string]json.RawMessage `json:"$evaluators"`
	Metadata   map[string]any             `json:"metadata"`
}

// rawDefinition is a flag on the wire. The key is present in array form only.
type rawDefinition struct {
	Key            *string                    `json:"key"`
	State          string                     `json:"state"`
	Variants       map[string]json.RawMessage `json:"variants"`
	DefaultVariant *string                    `json:"defaultVariant"`
	Targeting      json.RawMessage            `json:"targeting"`
	Metadata       map[string]any             `json:"metadata"`
}

// ParseDocument reads and validates a document. Flags come back sorted by
// key. An empty input, or one without "flags", is an error: it must never
// replace a good set. The error joins one *FieldError for each problem found.
func ParseDocument(data []byte) (Document, error) {
	var raw rawDocument
	if err := json.Unmarshal(data, &raw); err != nil {
		return Document{}, fmt.Errorf("read flag document: %w", err)
	}
	doc := Document{Evaluators: raw.Evaluators, Metadata: raw.Metadata}
	var err error
	switch first(raw.Flags) {
	case '{':
		doc.Flags, err = readFlagMap(raw.Flags)
	case '[':
		doc.Flags, err = readFlagArray(raw.Flags)
	default:
		err = &FieldError{Field: "flags", Problem: `missing: expected an object such as {"my-flag": {...}}`}
	}
	if err != nil {
		return Document{}, err
	}
	slices.SortFunc(doc.Flags, func(a, b Definition) int { return strings.Compare(a.Key, b.Key) })
	if err := doc.Validate(); err != nil {
		return Document{}, err
	}
	return doc, nil
}

// ParseDefinition reads and validates one flag's JSON under the given key.
func ParseDefinition(key string, data []byte) (Definition, error) {
	d, err := readDefinition(key, data)
	if err != nil {
		return Definition{}, err
	}
	return d, d.Validate()
}

func readFlagMap(data []byte) ([]Definition, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, &FieldError{Field: "flags", Problem: err.Error()}
	}
	flags := make([]Definition, 0, len(m))
	var problems []error
	for _, key := range slices.Sorted(maps.Keys(m)) {
		d, err := readDefinition(key, m[key])
		if err != nil {
			problems = append(problems, err)
			continue
		}
		flags = append(flags, d)
	}
	return flags, errors.Join(problems...)
}

func readFlagArray(data []byte) ([]Definition, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, &FieldError{Field: "flags", Problem: err.Error()}
	}
	flags := make([]Definition, 0, len(list))
	var problems []error
	for i, item := range list {
		d, err := readDefinition("", item)
		if err != nil {
			problems = append(problems, fmt.Errorf("flags[%d]: %w", i, err))
			continue
		}
		flags = append(flags, d)
	}
	return flags, errors.Join(problems...)
}

func readDefinition(key string, data []byte) (Definition, error) {
	var raw rawDefinition
	if err := json.Unmarshal(data, &raw); err != nil {
		return Definition{}, &FieldError{Flag: key, Field: "definition", Problem: err.Error()}
	}
	if key == "" && raw.Key != nil {
		key = *raw.Key
	}
	d := Definition{
		Key: key, State: raw.State, Variants: raw.Variants,
		Targeting: raw.Targeting, Metadata: raw.Metadata,
	}
	if raw.DefaultVariant != nil {
		d.DefaultVariant = *raw.DefaultVariant
	}
	if noTargeting(d.Targeting) {
		d.Targeting = nil
	}
	return d, nil
}

// UnmarshalJSON reads a flag object; "key", where present, sets Key. It does
// not validate: see Validate.
func (d *Definition) UnmarshalJSON(data []byte) error {
	read, err := readDefinition("", data)
	if err != nil {
		return err
	}
	*d = read
	return nil
}

// Validate reports every problem of the document as joined *FieldError.
func (doc Document) Validate() error {
	var problems []error
	seen := make(map[string]bool, len(doc.Flags))
	for _, d := range doc.Flags {
		if seen[d.Key] {
			problems = append(problems, &FieldError{Flag: d.Key, Field: "key", Problem: "used twice: keys are unique in a set"})
		}
		seen[d.Key] = true
		if err := d.Validate(); err != nil {
			problems = append(problems, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Evaluators)) {
		if err := validateEvaluator(name, doc.Evaluators[name]); err != nil {
			problems = append(problems, err)
		}
	}
	problems = append(problems, validateMetadata("", doc.Metadata)...)
	return errors.Join(problems...)
}

func validateEvaluator(name string, rule json.RawMessage) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(rule, &object); err != nil || len(object) == 0 {
		return &FieldError{Field: "$evaluators." + name, Problem: "is empty: expected one rule object"}
	}
	return nil
}

// Validate reports every problem of the definition as joined *FieldError. An
// operator that nobody knows is no problem here: the flag then answers
// PARSE_ERROR when a rule comes to it, as in flagd (see Ruleset.Faults).
func (d Definition) Validate() error {
	var problems []error
	bad := func(field, format string, args ...any) {
		problems = append(problems, &FieldError{Flag: d.Key, Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if d.Key == "" {
		bad("key", "is empty: expected a name such as \"new-checkout\"")
	}
	if d.State != Enabled && d.State != StateOff {
		bad("state", "is %q: expected ENABLED or DISABLED", d.State)
	}
	if len(d.Variants) == 0 {
		bad("variants", `is empty: expected at least one, such as {"on": true, "off": false}`)
	}
	problems = append(problems, d.validateVariants()...)
	if _, ok := d.Variants[d.DefaultVariant]; !ok && d.DefaultVariant != "" {
		bad("defaultVariant", "names %q, which is not in variants", d.DefaultVariant)
	}
	if !noTargeting(d.Targeting) {
		if !json.Valid(d.Targeting) {
			bad("targeting", "is not valid JSON")
		} else if depth(d.Targeting) > maxDepth {
			bad("targeting", "is nested deeper than %d levels", maxDepth)
		}
	}
	problems = append(problems, validateMetadata(d.Key, d.Metadata)...)
	return errors.Join(problems...)
}

func (d Definition) validateVariants() (problems []error) {
	kind, firstName := "", ""
	for _, name := range slices.Sorted(maps.Keys(d.Variants)) {
		k := variantKind(d.Variants[name])
		field := "variants." + name
		switch {
		case name == "":
			problems = append(problems, &FieldError{Flag: d.Key, Field: "variants", Problem: "a name is empty"})
		case k == "":
			problems = append(problems, &FieldError{Flag: d.Key, Field: field, Problem: "expected a boolean, string, number or object"})
		case kind == "":
			kind, firstName = k, name
		case k != kind:
			problems = append(problems, &FieldError{Flag: d.Key, Field: field,
				Problem: fmt.Sprintf("is a %s while %q is a %s: all variants have one type", k, firstName, kind)})
		}
	}
	return problems
}

func validateMetadata(key string, metadata map[string]any) (problems []error) {
	for _, name := range slices.Sorted(maps.Keys(metadata)) {
		switch metadata[name].(type) {
		case nil, string, bool, float64, float32, int, int32, int64, json.Number:
		default:
			problems = append(problems, &FieldError{Flag: key, Field: "metadata." + name, Problem: "expected a string, number or boolean"})
		}
	}
	return problems
}

// variantKind names the JSON type of a variant; "" for null, arrays and broken JSON.
func variantKind(value json.RawMessage) string {
	if !json.Valid(value) {
		return ""
	}
	switch c := first(value); {
	case c == 't' || c == 'f':
		return "boolean"
	case c == '"':
		return "string"
	case c == '{':
		return "object"
	case c == '-' || c >= '0' && c <= '9':
		return "number"
	default:
		return ""
	}
}

// noTargeting reports whether a targeting says nothing: absent, null or {}.
func noTargeting(t json.RawMessage) bool {
	t = bytes.TrimSpace(t)
	if len(t) == 0 || string(t) == "null" {
		return true
	}
	return t[0] == '{' && len(bytes.TrimSpace(t[1:])) == 1
}

// first returns the first byte that is not white space, 0 when there is none.
func first(data []byte) byte {
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 {
		return 0
	}
	return data[0]
}

// depth is how deep arrays and objects nest in valid JSON.
func depth(data []byte) int {
	deepest, level, inString := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}
