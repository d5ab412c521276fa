package flag

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// truthy is JSONLogic's truth (jsonlogic.com/truthy.html): null, false, 0,
// NaN, "" and empty lists are false. An empty object is false too, as in
// flagd's Go core.
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case Context:
		return len(v) > 0
	}
	f, ok := number(v)
	return !ok || f != 0 && !math.IsNaN(f)
}

// number returns v where it is one of Go's JSON number types.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case int32:
		return float64(v), true
	case uint64:
		return float64(v), true
	case uint32:
		return float64(v), true
	case float32:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

// toNumber is ECMAScript's ToNumber for JSON values: null and "" are 0,
// booleans 0 and 1; what is no number is NaN.
func toNumber(v any) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case string:
		s := strings.TrimSpace(v)
		if s == "" {
			return 0
		}
		return parseFloat(s)
	}
	if f, ok := number(v); ok {
		return f
	}
	return math.NaN()
}

// parseFloat reads a decimal number; NaN for all other text, also for Go's
// own spellings such as "inf" and "1_000".
func parseFloat(s string) float64 {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E' {
			return math.NaN()
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !math.IsInf(f, 0) {
		return math.NaN()
	}
	return f
}

// text is how a value is joined into a string: null is "", numbers are in
// JSON's shortest form.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i])
		}
		return strings.Join(parts, ",")
	}
	if f, ok := number(v); ok {
		return formatNumber(f)
	}
	b, err := appendValue(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}

// formatNumber writes whole numbers below 1e21 without exponent, like
// encoding/json and ECMAScript.
func formatNumber(f float64) string {
	if a := math.Abs(f); a < 1e21 && (a >= 1e-6 || a == 0) {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// looseEqual is JSONLogic's ==: null equals null only, strings compare as
// text, the rest as numbers.
func looseEqual(a, b any) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	as, aText := a.(string)
	bs, bText := b.(string)
	if aText && bText {
		return as == bs
	}
	return toNumber(a) == toNumber(b)
}

// strictEqual is JSONLogic's ===: the same type and the same value. Lists and
// objects are never equal.
func strictEqual(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case string:
		s, ok := b.(string)
		return ok && a == s
	case bool:
		t, ok := b.(bool)
		return ok && a == t
	}
	x, ok := number(a)
	y, also := number(b)
	return ok && also && x == y
}

// less is ECMAScript's <: two strings by code points, else as numbers.
func less(a, b any) bool {
	as, aText := a.(string)
	bs, bText := b.(string)
	if aText && bText {
		return as < bs
	}
	return toNumber(a) < toNumber(b)
}

// lessOrEqual is ECMAScript's <=; it is not "not greater", for NaN.
func lessOrEqual(a, b any) bool {
	as, aText := a.(string)
	bs, bText := b.(string)
	if aText && bText {
		return as <= bs
	}
	return toNumber(a) <= toNumber(b)
}

// field walks a dotted path through objects and lists; absent is nil.
func field(v any, path []string) any {
	for _, name := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case Context:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}
