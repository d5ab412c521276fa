package flag

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth is how deep a targeting may nest.
const maxDepth = 100

// env is what an expression is evaluated in. It is passed by value, so that
// evaluation allocates nothing by itself.
type env struct {
	data  any     // Context at the top, the element inside map, filter and the like
	now   int64   // $flagd.timestamp, Unix seconds; 0 = none
	fault *string // receives the first unknown operator; non-nil only for flags that have one
}

// node is one compiled expression.
type node struct {
	eval  func(env) any
	test  func(env) bool                 // truthy(eval) without boxing; may be nil
	hash  func(env, hashState) hashState // hashes text(eval) where eval is always a string; may be nil
	items []node                         // of a list literal
	list  bool                           // is a list literal
	konst bool                           // value is the result
	value any
	top   string // the key, where the node reads one key of the Context
}

// compiler turns one flag's targeting into nodes.
type compiler struct {
	flagKey string
	scope   int    // > 0 inside the body of map, filter, reduce, all, some, none
	unknown string // the first operator that is not known
	timed   bool   // the result may depend on $flagd.timestamp
}

// operator compiles a call. args are the compiled operands; a single operand
// may stand without its list, as JSONLogic allows.
type operator func(c *compiler, args []node) node

// operators lists all but the ones whose last operands are bodies evaluated
// once per element (see iterator).
var operators = map[string]operator{
	"if": opIf, "and": opAnd, "or": opOr, "!": opNot, "!!": opTruth,
	"==": opEqual, "!=": opNotEqual, "===": opStrict, "!==": opNotStrict,
	"<": opCompare(less), "<=": opCompare(lessOrEqual),
	">": opCompare(func(a, b any) bool { return less(b, a) }), ">=": opCompare(func(a, b any) bool { return lessOrEqual(b, a) }),
	"+": opAdd, "-": opSubtract, "*": opMultiply, "/": opDivide, "%": opModulo, "max": opMax, "min": opMin,
	"cat": opCat, "substr": opSubstr, "in": opIn, "merge": opMerge,
	"starts_with": opAffix(strings.HasPrefix), "ends_with": opAffix(strings.HasSuffix), "sem_ver": opSemVer,
	"var": opVar, "missing": opMissing, "missing_some": opMissingSome, "fractional": opFractional,
}

func (c *compiler) compile(v any) node {
	switch v := v.(type) {
	case []any:
		return c.listOf(v)
	case map[string]any:
		if len(v) != 1 {
			return constant(v)
		}
		for name, operands := range v {
			return c.call(name, operands)
		}
	}
	return constant(v)
}

func (c *compiler) call(name string, operands any) node {
	raw, ok := operands.([]any)
	if !ok {
		raw = []any{operands}
	}
	if build := iterator(name); build != nil {
		return build(c, raw)
	}
	op, ok := operators[name]
	if !ok {
		return c.unknownOperator(name)
	}
	return op(c, c.compileAll(raw))
}

func (c *compiler) compileAll(raw []any) []node {
	args := make([]node, len(raw))
	for i := range raw {
		args[i] = c.compile(raw[i])
	}
	return args
}

// body compiles an expression that is evaluated once per element.
func (c *compiler) body(v any) node {
	c.scope++
	n := c.compile(v)
	c.scope--
	return n
}

func (c *compiler) listOf(raw []any) node {
	items := c.compileAll(raw)
	if allConstant(items) {
		values := make([]any, len(items))
		for i := range items {
			values[i] = items[i].value
		}
		n := constant(values)
		n.items, n.list = items, true
		return n
	}
	return node{list: true, items: items, eval: func(e env) any { return evalAll(items, e) }}
}

func (c *compiler) unknownOperator(name string) node {
	if c.unknown == "" {
		c.unknown = name
	}
	return node{eval: func(e env) any {
		if e.fault != nil && *e.fault == "" {
			*e.fault = fmt.Sprintf("unknown operator %q in targeting", name)
		}
		return nil
	}}
}

// constant is a node with a fixed value.
func constant(v any) node {
	truth := truthy(v)
	n := node{
		konst: true, value: v,
		eval: func(env) any { return v },
		test: func(env) bool { return truth },
	}
	if s, ok := v.(string); ok {
		n.hash = func(_ env, h hashState) hashState { return h.add(s) }
	}
	return n
}

// predicate is a node that yields a boolean.
func predicate(test func(env) bool) node {
	return node{test: test, eval: func(e env) any { return test(e) }}
}

// condition is a node's truth.
func (n node) condition() func(env) bool {
	if n.test != nil {
		return n.test
	}
	eval := n.eval
	return func(e env) bool { return truthy(eval(e)) }
}

// arg returns args[i], null where there are fewer.
func arg(args []node, i int) node {
	if i < len(args) {
		return args[i]
	}
	return constant(nil)
}

func evalAll(args []node, e env) []any {
	values := make([]any, len(args))
	for i := range args {
		values[i] = args[i].eval(e)
	}
	return values
}

func allConstant(args []node) bool {
	return !slices.ContainsFunc(args, func(n node) bool { return !n.konst })
}

// opVar reads the context: a dotted path, or [path, default]; null and "" are
// the whole of it. `$flagd` is the evaluation's own data and hides a client's
// key of that name (flagd core, evaluator/json.go).
func opVar(c *compiler, args []node) node {
	path, fallback := arg(args, 0), arg(args, 1)
	if !path.konst {
		c.timed = true
		key := c.flagKey
		return withDefault(node{eval: func(e env) any { return lookup(e, key, text(path.eval(e))) }}, fallback)
	}
	return withDefault(c.variable(text(path.value)), fallback)
}

func (c *compiler) variable(path string) node {
	key := c.flagKey
	switch {
	case c.scope == 0 && path == "$flagd.flagKey":
		return constant(key)
	case c.scope == 0 && (path == "" || path == "$flagd" || strings.HasPrefix(path, "$flagd.")):
		c.timed = true
		return node{eval: func(e env) any { return lookup(e, key, path) }}
	case path == "":
		return node{eval: func(e env) any { return e.data }}
	case c.scope == 0 && !strings.Contains(path, "."):
		return node{top: path, eval: func(e env) any {
			ctx, _ := e.data.(Context)
			return ctx[path]
		}}
	}
	steps := strings.Split(path, ".")
	return node{eval: func(e env) any { return field(e.data, steps) }}
}

func withDefault(n, fallback node) node {
	if fallback.konst && fallback.value == nil {
		return n
	}
	read := n.eval
	return node{eval: func(e env) any {
		if v := read(e); v != nil {
			return v
		}
		return fallback.eval(e)
	}}
}

// lookup reads a path known only at evaluation, and everything of $flagd.
func lookup(e env, flagKey, path string) any {
	ctx, top := e.data.(Context)
	if !top {
		if path == "" {
			return e.data
		}
		return field(e.data, strings.Split(path, "."))
	}
	own := map[string]any{"flagKey": flagKey}
	if e.now != 0 {
		own["timestamp"] = float64(e.now)
	}
	switch {
	case path == "":
		whole := make(map[string]any, len(ctx)+1)
		for k, v := range ctx {
			whole[k] = v
		}
		whole["$flagd"] = own
		return whole
	case path == "$flagd":
		return own
	case strings.HasPrefix(path, "$flagd."):
		return field(own, strings.Split(path[len("$flagd."):], "."))
	}
	return field(ctx, strings.Split(path, "."))
}

// opMissing lists the paths that are null or "" in the context.
func opMissing(c *compiler, args []node) node {
	c.readsByName(args)
	key := c.flagKey
	return node{eval: func(e env) any {
		paths := evalAll(args, e)
		if len(paths) > 0 {
			if l, ok := asList(paths[0]); ok {
				paths = l
			}
		}
		return missing(e, key, paths)
	}}
}

// opMissingSome lists the missing paths unless enough are there.
func opMissingSome(c *compiler, args []node) node {
	c.readsByName(args)
	key, need, paths := c.flagKey, arg(args, 0), arg(args, 1)
	return node{eval: func(e env) any {
		all, _ := asList(paths.eval(e))
		gone := missing(e, key, all)
		if float64(len(all)-len(gone)) >= toNumber(need.eval(e)) {
			return []any{}
		}
		return gone
	}}
}

// readsByName notes that the paths in args may name the time.
func (c *compiler) readsByName(args []node) {
	for _, a := range args {
		c.timed = c.timed || !a.konst || strings.Contains(text(a.value), "$flagd")
	}
}

func missing(e env, flagKey string, paths []any) []any {
	gone := []any{}
	for _, p := range paths {
		if v := lookup(e, flagKey, text(p)); v == nil || v == "" {
			gone = append(gone, p)
		}
	}
	return gone
}
