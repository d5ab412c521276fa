package flag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

const schemaURL = "https://flagd.dev/schema/v0/flags.json"

// MarshalJSON writes the flag without its key, fields in the order state,
// variants, defaultVariant, targeting, metadata and names sorted, so that
// equal definitions give equal bytes.
func (d Definition) MarshalJSON() ([]byte, error) { return d.appendJSON(nil, d.Metadata) }

// MarshalJSON writes the map form with sorted keys. $evaluators are written as
// they are; see Ruleset.Document for the form with references resolved.
func (doc Document) MarshalJSON() ([]byte, error) {
	b := []byte(`{"$schema":"` + schemaURL + `"`)
	var err error
	if len(doc.Evaluators) > 0 {
		b = append(b, `,"$evaluators":`...)
		if b, err = appendRawMap(b, doc.Evaluators); err != nil {
			return nil, err
		}
	}
	if len(doc.Metadata) > 0 {
		b = append(b, `,"metadata":`...)
		if b, err = appendValue(b, doc.Metadata); err != nil {
			return nil, err
		}
	}
	flags := slices.Clone(doc.Flags)
	slices.SortFunc(flags, func(a, b Definition) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	b = append(b, `,"flags":{`...)
	for i, d := range flags {
		if b, err = appendFlag(b, i, d, d.Metadata); err != nil {
			return nil, err
		}
	}
	return append(b, '}', '}'), nil
}

func appendFlag(b []byte, i int, d Definition, metadata map[string]any) ([]byte, error) {
	if i > 0 {
		b = append(b, ',')
	}
	b, err := appendValue(b, d.Key)
	if err != nil {
		return nil, err
	}
	return d.appendJSON(append(b, ':'), metadata)
}

func (d Definition) appendJSON(b []byte, metadata map[string]any) (_ []byte, err error) {
	b = append(b, `{"state":`...)
	if b, err = appendValue(b, d.State); err != nil {
		return nil, err
	}
	b = append(b, `,"variants":`...)
	if b, err = appendRawMap(b, d.Variants); err != nil {
		return nil, fmt.Errorf("write flag %q: variants: %w", d.Key, err)
	}
	if d.DefaultVariant != "" {
		b = append(b, `,"defaultVariant":`...)
		if b, err = appendValue(b, d.DefaultVariant); err != nil {
			return nil, err
		}
	}
	if !noTargeting(d.Targeting) {
		b = append(b, `,"targeting":`...)
		if b, err = appendCompact(b, d.Targeting); err != nil {
			return nil, fmt.Errorf("write flag %q: targeting: %w", d.Key, err)
		}
	}
	if len(metadata) > 0 {
		b = append(b, `,"metadata":`...)
		if b, err = appendValue(b, metadata); err != nil {
			return nil, fmt.Errorf("write flag %q: metadata: %w", d.Key, err)
		}
	}
	return append(b, '}'), nil
}

func appendRawMap(b []byte, m map[string]json.RawMessage) (_ []byte, err error) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, name); err != nil {
			return nil, err
		}
		if b, err = appendCompact(append(b, ':'), m[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return append(b, '}'), nil
}

func appendCompact(b []byte, raw json.RawMessage) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	if err := json.Compact(buf, raw); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// appendValue writes v as encoding/json does, without escaping <, > and &.
func appendValue(b []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}
