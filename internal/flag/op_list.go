package flag

// iterator returns the operator with a body that is evaluated with each
// element as its data: {"var": ""} is the element itself. nil: no such name.
func iterator(name string) func(c *compiler, raw []any) node {
	switch name {
	case "map":
		return opMap
	case "filter":
		return opFilter
	case "reduce":
		return opReduce
	case "all":
		return opAll
	case "some":
		return opSome
	case "none":
		return opNone
	}
	return nil
}

func operand(raw []any, i int) any {
	if i < len(raw) {
		return raw[i]
	}
	return nil
}

// asList returns v as a list where it is one.
func asList(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case []string:
		out := make([]any, len(v))
		for i := range v {
			out[i] = v[i]
		}
		return out, true
	}
	return nil, false
}

// within is e with another element as its data.
func (e env) within(v any) env {
	e.data = v
	return e
}

func opMap(c *compiler, raw []any) node {
	source, body := c.compile(operand(raw, 0)), c.body(operand(raw, 1))
	return node{eval: func(e env) any {
		in, _ := asList(source.eval(e))
		out := make([]any, len(in))
		for i := range in {
			out[i] = body.eval(e.within(in[i]))
		}
		return out
	}}
}

func opFilter(c *compiler, raw []any) node {
	source, keep := c.compile(operand(raw, 0)), c.body(operand(raw, 1)).condition()
	return node{eval: func(e env) any {
		in, _ := asList(source.eval(e))
		out := []any{}
		for _, v := range in {
			if keep(e.within(v)) {
				out = append(out, v)
			}
		}
		return out
	}}
}

// opReduce evaluates [list, body, start]; the body sees "current" and
// "accumulator".
func opReduce(c *compiler, raw []any) node {
	source, body, start := c.compile(operand(raw, 0)), c.body(operand(raw, 1)), c.compile(operand(raw, 2))
	return node{eval: func(e env) any {
		in, _ := asList(source.eval(e))
		acc := start.eval(e)
		for _, v := range in {
			acc = body.eval(e.within(map[string]any{"current": v, "accumulator": acc}))
		}
		return acc
	}}
}

// opAll is false for an empty list, as in JSONLogic.
func opAll(c *compiler, raw []any) node {
	source, test := c.compile(operand(raw, 0)), c.body(operand(raw, 1)).condition()
	return predicate(func(e env) bool {
		in, _ := asList(source.eval(e))
		for _, v := range in {
			if !test(e.within(v)) {
				return false
			}
		}
		return len(in) > 0
	})
}

func opSome(c *compiler, raw []any) node { return predicate(anyOf(c, raw)) }
func opNone(c *compiler, raw []any) node { return negated(anyOf(c, raw)) }

func anyOf(c *compiler, raw []any) func(env) bool {
	source, test := c.compile(operand(raw, 0)), c.body(operand(raw, 1)).condition()
	return func(e env) bool {
		in, _ := asList(source.eval(e))
		for _, v := range in {
			if test(e.within(v)) {
				return true
			}
		}
		return false
	}
}

// opMerge makes one list of its operands, one level flatter.
func opMerge(_ *compiler, args []node) node {
	return node{eval: func(e env) any {
		out := []any{}
		for i := range args {
			v := args[i].eval(e)
			if l, ok := asList(v); ok {
				out = append(out, l...)
				continue
			}
			out = append(out, v)
		}
		return out
	}}
}
