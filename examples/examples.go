// Package examples holds the example plans, so that the demo works from the
// binary alone.
package examples

import _ "embed"

// Demo is the plan of "serin demo".
//
//go:embed demo.yaml
var Demo []byte
