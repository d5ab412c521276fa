// Package flag holds flag definitions in flagd's JSON format, compiles them
// and evaluates them; it also writes and reads the percentage split that a
// rollout owns.
//
// ParseDocument reads a Document (open-feature/flagd-schemas,
// json/flags.json), Compile makes an immutable Ruleset of it, and
// Ruleset.EvaluateAt answers for one flag and one Context with the table of
// outcomes of flagd core 0.16.1. Targeting is JSONLogic (jsonlogic.com) with
// flagd's own operators starts_with, ends_with, sem_ver and fractional; it is
// compiled to closures, and the usual rule, one attribute and a percentage,
// is evaluated without allocating.
//
// fractional is version 2: murmur3_x86_32 over the UTF-8 bytes of flag key and
// targetingKey (or of the seed operand), scaled by 2^32. Split writes the one
// targeting a rollout owns and decides it in Go; both always agree, and who is
// on the new variant at one exposure is on it at every higher one.
//
// Where JSONLogic's implementations differ: null equals null only; empty
// lists and objects are false; arithmetic that yields no number selects the
// default variant; an unknown operator fails the flag only when it is reached.
//
// The package is pure: no clock, no I/O, no goroutine. Values of all its types
// may be read by any number of goroutines.
package flag

import "encoding/json"

// Percent is a share of users in thousandths of a percent: 10 % is 10,000 and
// everybody is Everyone. It is the weight written into a split.
type Percent int32

// Everyone is 100 %.
const Everyone Percent = 100_000

// Context is the evaluation context a client sends: a JSON object decoded by
// encoding/json. The key "targetingKey" names the user. Evaluation reads it
// and never changes it.
type Context map[string]any

// Definition is one flag of a flagd document.
type Definition struct {
	Key            string                     `json:"-"`
	State          string                     `json:"state"` // ENABLED or DISABLED
	Variants       map[string]json.RawMessage `json:"variants"`
	DefaultVariant string                     `json:"defaultVariant,omitempty"` // "" = none: clients use their code default
	Targeting      json.RawMessage            `json:"targeting,omitempty"`
	Metadata       map[string]any             `json:"metadata,omitempty"`
}

// Reason says how an evaluation came to its variant (OpenFeature's words).
type Reason string

// The reasons flagd gives.
const (
	Static         Reason = "STATIC"
	Default        Reason = "DEFAULT"
	TargetingMatch Reason = "TARGETING_MATCH"
	Disabled       Reason = "DISABLED"
	Failed         Reason = "ERROR"
)

// ErrorCode is an OpenFeature error code; "" means no error.
type ErrorCode string

// The codes an evaluation can end in.
const (
	FlagNotFound ErrorCode = "FLAG_NOT_FOUND"
	ParseError   ErrorCode = "PARSE_ERROR"
	General      ErrorCode = "GENERAL"
)

// Evaluation is the answer for one flag and one context.
type Evaluation struct {
	Key     string
	Variant string          // "" where there is no value
	Value   json.RawMessage // the variant's JSON, shared: do not change; nil where there is no value
	Reason  Reason
	Code    ErrorCode // "" when it went well
	Detail  string
	// Metadata is the set's metadata overlaid with the flag's, as one JSON
	// object, shared; nil when empty.
	Metadata json.RawMessage
}
