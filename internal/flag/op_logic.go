package flag

import "math"

// opIf is a chain of condition, result, …, else.
func opIf(_ *compiler, args []node) node {
	var conditions []func(env) bool
	var results []func(env) any
	for len(args) >= 2 {
		conditions = append(conditions, args[0].condition())
		results = append(results, args[1].eval)
		args = args[2:]
	}
	otherwise := arg(args, 0).eval
	if len(conditions) == 1 {
		condition, then := conditions[0], results[0]
		return node{eval: func(e env) any {
			if condition(e) {
				return then(e)
			}
			return otherwise(e)
		}}
	}
	return node{eval: func(e env) any {
		for i, condition := range conditions {
			if condition(e) {
				return results[i](e)
			}
		}
		return otherwise(e)
	}}
}

// opAnd yields the first operand that is false, else the last.
func opAnd(_ *compiler, args []node) node { return chain(args, false) }

// opOr yields the first operand that is true, else the last.
func opOr(_ *compiler, args []node) node { return chain(args, true) }

func chain(args []node, stop bool) node {
	tests := make([]func(env) bool, len(args))
	for i := range args {
		tests[i] = args[i].condition()
	}
	return node{
		eval: func(e env) any {
			var v any
			for i := range args {
				if v = args[i].eval(e); truthy(v) == stop {
					return v
				}
			}
			return v
		},
		test: func(e env) bool {
			for _, test := range tests {
				if test(e) == stop {
					return stop
				}
			}
			return !stop && len(tests) > 0
		},
	}
}

func opNot(_ *compiler, args []node) node {
	test := arg(args, 0).condition()
	return predicate(func(e env) bool { return !test(e) })
}

func opTruth(_ *compiler, args []node) node { return predicate(arg(args, 0).condition()) }

func opEqual(_ *compiler, args []node) node     { return predicate(equality(args, looseEqual)) }
func opStrict(_ *compiler, args []node) node    { return predicate(equality(args, strictEqual)) }
func opNotEqual(_ *compiler, args []node) node  { return negated(equality(args, looseEqual)) }
func opNotStrict(_ *compiler, args []node) node { return negated(equality(args, strictEqual)) }

func negated(test func(env) bool) node {
	return predicate(func(e env) bool { return !test(e) })
}

// equality compares two operands; a context key against a constant
// text, the usual rule, goes without a call.
func equality(args []node, same func(a, b any) bool) func(env) bool {
	a, b := arg(args, 0), arg(args, 1)
	if a.konst {
		a, b = b, a
	}
	left, right := a.eval, b.eval
	if want, ok := b.value.(string); ok && a.top != "" {
		key := a.top
		return func(e env) bool {
			ctx, _ := e.data.(Context)
			v := ctx[key]
			if got, ok := v.(string); ok {
				return got == want
			}
			return same(v, want)
		}
	}
	if want, ok := b.value.(string); ok {
		return func(e env) bool {
			v := left(e)
			if got, ok := v.(string); ok {
				return got == want
			}
			return same(v, want)
		}
	}
	return func(e env) bool { return same(left(e), right(e)) }
}

// opCompare takes two operands, or three for "between".
func opCompare(ordered func(a, b any) bool) operator {
	return func(_ *compiler, args []node) node {
		a, b := arg(args, 0).eval, arg(args, 1).eval
		if len(args) < 3 {
			return predicate(func(e env) bool { return ordered(a(e), b(e)) })
		}
		c := args[2].eval
		return predicate(func(e env) bool {
			middle := b(e)
			return ordered(a(e), middle) && ordered(middle, c(e))
		})
	}
}

// fold is an arithmetic operator over all operands. A result that is no
// number is NaN, which selects the default variant.
func fold(args []node, start float64, step func(sum, x float64) float64) node {
	return node{eval: func(e env) any {
		sum := start
		for i := range args {
			sum = step(sum, toNumber(args[i].eval(e)))
		}
		return sum
	}}
}

func opAdd(_ *compiler, args []node) node {
	return fold(args, 0, func(sum, x float64) float64 { return sum + x })
}

func opMultiply(_ *compiler, args []node) node {
	return fold(args, 1, func(sum, x float64) float64 { return sum * x })
}

func opSubtract(_ *compiler, args []node) node {
	if len(args) == 1 {
		return fold(args, 0, func(_, x float64) float64 { return -x })
	}
	return binary(args, func(a, b float64) float64 { return a - b })
}

func opDivide(_ *compiler, args []node) node {
	return binary(args, func(a, b float64) float64 { return a / b })
}

func opModulo(_ *compiler, args []node) node { return binary(args, math.Mod) }

func binary(args []node, f func(a, b float64) float64) node {
	a, b := arg(args, 0).eval, arg(args, 1).eval
	return node{eval: func(e env) any { return f(toNumber(a(e)), toNumber(b(e))) }}
}

func opMax(_ *compiler, args []node) node { return extreme(args, math.Max) }
func opMin(_ *compiler, args []node) node { return extreme(args, math.Min) }

// extreme is max or min; null without operands.
func extreme(args []node, pick func(a, b float64) float64) node {
	return node{eval: func(e env) any {
		if len(args) == 0 {
			return nil
		}
		best := toNumber(args[0].eval(e))
		for _, a := range args[1:] {
			best = pick(best, toNumber(a.eval(e)))
		}
		return best
	}}
}
