package flag

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// inlineRefs replaces every {"$ref": name} of a targeting by the named
// evaluator, in one pass: a reference inside an evaluator, and one to a name
// that is not there, stay as they are and become an unknown operator
// (flagd core, evaluator/json.go). A targeting without references comes back
// unchanged.
func inlineRefs(targeting json.RawMessage, evaluators map[string]json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(targeting, []byte(`$ref`)) || len(evaluators) == 0 {
		return targeting, nil
	}
	tree, err := decodeTree(targeting)
	if err != nil {
		return nil, err
	}
	left := maxTargetingBytes - len(targeting)
	tree = replaceRefs(tree, evaluators, &left)
	if left < 0 {
		return nil, fmt.Errorf("is larger than %d bytes with its references resolved", maxTargetingBytes)
	}
	return appendValue(nil, tree)
}

// replaceRefs works on the tree in place. left is how many bytes may still be
// put in; below zero it stops replacing.
func replaceRefs(v any, evaluators map[string]json.RawMessage, left *int) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = replaceRefs(v[i], evaluators, left)
		}
	case map[string]any:
		if name, ok := v["$ref"].(string); ok && len(v) == 1 {
			rule, known := evaluators[name]
			if !known {
				return v
			}
			*left -= len(rule)
			if *left < 0 {
				return v
			}
			return rule
		}
		for k := range v {
			v[k] = replaceRefs(v[k], evaluators, left)
		}
	}
	return v
}

// decodeTree decodes one JSON value with its numbers kept as text.
func decodeTree(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var tree any
	err := dec.Decode(&tree)
	return tree, err
}
