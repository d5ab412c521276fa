package ofrep

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"serin/internal/flag"
)

// entityTag is a strong ETag over everything a bulk answer depends on: the
// configuration, the context with its keys sorted, the selector and what the
// key may see (and its stream token); the second too, where rules read the
// time.
func entityTag(rs *flag.Ruleset, who caller, ctx flag.Context, now int64) string {
	p := buffers.Get().(*[]byte)
	b := appendText(*p, rs.ETag())
	b = strconv.AppendBool(b, who.Server)
	b = appendText(b, who.ID)
	b = appendText(b, who.selector)
	if rs.Timed() {
		b = strconv.AppendInt(b, now, 10)
	}
	b = appendCanonical(b, map[string]any(ctx))
	sum := sha256.Sum256(b)
	release(p, b)
	var out [26]byte
	out[0], out[25] = '"', '"'
	base64.RawURLEncoding.Encode(out[1:25], sum[:18])
	return string(out[:])
}

// appendCanonical appends decoded JSON with object keys sorted.
func appendCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return appendText(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case float64:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	case []any:
		b = append(b, '[')
		for _, item := range v {
			b = append(appendCanonical(b, item), ',')
		}
		return append(b, ']')
	case map[string]any:
		var few [16]string
		keys := few[:0]
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b = append(b, '{')
		for _, k := range keys {
			b = append(appendText(b, k), ':')
			b = append(appendCanonical(b, v[k]), ',')
		}
		return append(b, '}')
	case json.Number:
		return append(b, v...)
	}
	return append(b, "null"...)
}

// matches reports whether a list of entity tags holds etag. `*` does not
// count: the client must hold this very answer.
func matches(ifNoneMatch []string, etag string) bool {
	for _, list := range ifNoneMatch {
		if list == etag {
			return true
		}
		for tag := range strings.SplitSeq(list, ",") {
			if strings.TrimPrefix(strings.TrimSpace(tag), "W/") == etag {
				return true
			}
		}
	}
	return false
}
