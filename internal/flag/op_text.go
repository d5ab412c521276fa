package flag

import (
	"math"
	"strings"
)

// opCat joins its operands as text.
func opCat(_ *compiler, args []node) node {
	hashes := make([]func(env, hashState) hashState, len(args))
	for i, a := range args {
		hashes[i] = textHash(a)
	}
	return node{
		eval: func(e env) any {
			var b strings.Builder
			for i := range args {
				b.WriteString(text(args[i].eval(e)))
			}
			return b.String()
		},
		hash: func(e env, h hashState) hashState {
			for _, add := range hashes {
				h = add(e, h)
			}
			return h
		},
	}
}

// textHash feeds text(eval) into a hash without building it.
func textHash(n node) func(env, hashState) hashState {
	if n.hash != nil {
		return n.hash
	}
	eval := n.eval
	return func(e env, h hashState) hashState {
		v := eval(e)
		if s, ok := v.(string); ok {
			return h.add(s)
		}
		return h.add(text(v))
	}
}

// opSubstr cuts [text, start, length?] in characters; a negative start counts
// from the end, a negative length leaves so many off the end.
func opSubstr(_ *compiler, args []node) node {
	source, start, length := arg(args, 0), arg(args, 1), arg(args, 2)
	return node{eval: func(e env) any {
		runes := []rune(text(source.eval(e)))
		n := len(runes)
		from := clamp(toNumber(start.eval(e)), n)
		to := n
		if l := length.eval(e); l != nil {
			if f := toNumber(l); f < 0 {
				to = clamp(f, n)
			} else {
				to = from + min(clamp(f, n), n-from)
			}
		}
		if to <= from {
			return ""
		}
		return string(runes[from:to])
	}}
}

// clamp makes an index of 0 … n; negative counts from the end, NaN is 0.
func clamp(f float64, n int) int {
	if math.IsNaN(f) {
		return 0
	}
	if f < 0 {
		f += float64(n)
	}
	return int(min(max(f, 0), float64(n)))
}

// opAffix is starts_with and ends_with: exactly two strings, else null.
func opAffix(has func(s, affix string) bool) operator {
	return func(_ *compiler, args []node) node {
		if len(args) != 2 {
			return constant(nil)
		}
		a, b := args[0].eval, args[1].eval
		return node{eval: func(e env) any {
			s, ok := a(e).(string)
			affix, also := b(e).(string)
			if !ok || !also {
				return nil
			}
			return has(s, affix)
		}}
	}
}

// opIn looks for text in text, or for a value in a list by strict equality.
// A long constant list of strings, such as the included users, becomes a set.
func opIn(_ *compiler, args []node) node {
	needle, hay := arg(args, 0), arg(args, 1)
	if set, ok := stringSet(hay); ok {
		eval := needle.eval
		return predicate(func(e env) bool {
			s, ok := eval(e).(string)
			if !ok {
				return false
			}
			_, found := set[s]
			return found
		})
	}
	return predicate(func(e env) bool { return contains(hay.eval(e), needle.eval(e)) })
}

func stringSet(n node) (map[string]struct{}, bool) {
	values, ok := n.value.([]any)
	if !ok || !n.konst || len(values) < 8 {
		return nil, false
	}
	set := make(map[string]struct{}, len(values))
	for _, v := range values {
		s, ok := v.(string)
		if !ok {
			return nil, false
		}
		set[s] = struct{}{}
	}
	return set, true
}

func contains(hay, needle any) bool {
	switch hay := hay.(type) {
	case string:
		if s, ok := needle.(string); ok {
			return strings.Contains(hay, s)
		}
		return needle != nil && strings.Contains(hay, text(needle))
	case []string:
		s, ok := needle.(string)
		for _, v := range hay {
			if ok && v == s {
				return true
			}
		}
	case []any:
		for _, v := range hay {
			if strictEqual(v, needle) {
				return true
			}
		}
	}
	return false
}
