package loosejson

import (
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Value is one value of a Doc. The zero Value is Missing; every method may be
// called on it, so that chains of Get need no checks.
type Value struct {
	d *Doc
	i uint32
}

func (v Value) node() node {
	if v.d == nil {
		return node{}
	}
	return v.d.nodes[v.i]
}

// Kind is the value's type.
func (v Value) Kind() Kind { return v.node().kind }

// Absent reports whether there is no value: missing or null.
func (v Value) Absent() bool { return v.Kind() <= Null }

// Raw is the value's text in the source, strings without their quotes. It is
// not a copy.
func (v Value) Raw() []byte {
	if v.d == nil {
		return nil
	}
	n := v.node()
	return v.d.src[n.start:n.end]
}

// Get is the object's field, the last one if there are several; Missing if
// there is none or v is no object.
func (v Value) Get(key string) Value {
	var found Value
	n := v.node()
	if n.kind != Object {
		return found
	}
	for i := v.i + 1; i < n.next; {
		value := i + 1
		if v.d.is(v.d.nodes[i], key) {
			found = Value{v.d, value}
		}
		i = v.d.nodes[value].next
	}
	return found
}

// is compares a string node without a copy where it can.
func (d *Doc) is(n node, s string) bool {
	if n.escaped {
		return d.str(n) == s
	}
	return string(d.src[n.start:n.end]) == s
}

// At is Get along a path.
func (v Value) At(path ...string) Value {
	for _, key := range path {
		v = v.Get(key)
	}
	return v
}

// Fields are the object's members in order, duplicates included; nothing if v
// is no object.
func (v Value) Fields() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		n := v.node()
		if n.kind != Object {
			return
		}
		for i := v.i + 1; i < n.next; {
			if !yield(v.d.str(v.d.nodes[i]), Value{v.d, i + 1}) {
				return
			}
			i = v.d.nodes[i+1].next
		}
	}
}

// Items are the array's values in order; nothing if v is no array.
func (v Value) Items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		n := v.node()
		if n.kind != Array {
			return
		}
		for i := v.i + 1; i < n.next; i = v.d.nodes[i].next {
			if !yield(Value{v.d, i}) {
				return
			}
		}
	}
}

// Str is a string's value; ok is false for any other kind.
func (v Value) Str() (s string, ok bool) {
	n := v.node()
	if n.kind != String {
		return "", false
	}
	return v.d.str(n), true
}

// Text is a scalar as text: a string's value, a number as it was written,
// true or false. ok is false for null, arrays, objects and missing values.
func (v Value) Text() (s string, ok bool) {
	switch n := v.node(); n.kind {
	case String:
		return v.d.str(n), true
	case Number, Bool:
		return string(v.Raw()), true
	default:
		return "", false
	}
}

// Num is a finite number, also one written as a string ("1", as the strings
// of Sentry's trace header are); ok is false for anything else.
func (v Value) Num() (x float64, ok bool) {
	k := v.Kind()
	if k != Number && k != String {
		return 0, false
	}
	x, err := strconv.ParseFloat(string(v.Raw()), 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, false
	}
	return x, true
}

// Bool is a boolean's value; ok is false for any other kind.
func (v Value) Bool() (b, ok bool) {
	if v.Kind() != Bool {
		return false, false
	}
	return v.Raw()[0] == 't', true
}

// str is a string node's value.
func (d *Doc) str(n node) string {
	raw := d.src[n.start:n.end]
	if !n.escaped {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			i++
			continue
		}
		if raw[i+1] != 'u' {
			b.WriteByte(unescape(raw[i+1]))
			i += 2
			continue
		}
		r, size := unescapeRune(raw[i:])
		b.WriteRune(r)
		i += size
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default: // quote, backslash, slash
		return c
	}
}

// unescapeRune reads \uXXXX, or a surrogate pair of two, at the begin of raw.
func unescapeRune(raw []byte) (r rune, size int) {
	r, _ = hex4(raw[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
		if low, ok := hex4(raw[8:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return pair, 12
			}
		}
	}
	return utf8.RuneError, 6
}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
