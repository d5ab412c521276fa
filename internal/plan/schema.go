package plan

import (
	"bytes"
	_ "embed" // schema.json
)

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (draft 2020-12) of the plan format: its
// shape. Editors complete and check by it; names, units, references and the
// timeline are Parse's and Lint's.
func Schema() []byte { return bytes.Clone(schema) }
