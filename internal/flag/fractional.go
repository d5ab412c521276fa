package flag

import "math"

// maxWeight bounds each weight and their sum (flagd core ≥ 0.15.0,
// evaluator/fractional.go).
const maxWeight = math.MaxInt32

// buckets are the constant buckets of a split.
type buckets struct {
	until  []uint64 // cumulative weights
	values []any
	total  uint64
}

// pick returns the first bucket whose cumulative weight is above the hash's.
func (b *buckets) pick(h hashState) any {
	at := h.bucket(b.total)
	for i, end := range b.until {
		if at < end {
			return b.values[i]
		}
	}
	return nil
}

// opFractional is flagd's `fractional`, version 2: an optional seed, then
// buckets [variant, weight]. Anything wrong yields null. With constant buckets
// nothing is allocated.
func opFractional(c *compiler, args []node) node {
	prefix := hashState{}.add(c.flagKey)
	general := func(e env) any { return fractional(prefix, e, evalAll(args, e)) }
	seed, rest, ok := fixedSeed(args)
	if !ok || !allConstant(rest) {
		return node{eval: general}
	}
	fixed, ok := makeBuckets(constants(rest))
	if !ok {
		if seed != nil && !seed.konst {
			return node{eval: general} // the operand may turn out to be a bucket
		}
		return constant(nil)
	}
	switch {
	case seed == nil:
		return node{eval: func(e env) any { return byTargetingKey(prefix, e, fixed) }}
	case seed.hash != nil:
		hash := seed.hash
		return node{eval: func(e env) any { return fixed.pick(hash(e, hashState{})) }}
	}
	read := seed.eval
	return node{eval: func(e env) any {
		switch v := read(e).(type) {
		case string:
			return fixed.pick(hashState{}.add(v))
		case nil:
			return byTargetingKey(prefix, e, fixed)
		case []any:
			return general(e) // the first operand is a bucket
		}
		return nil
	}}
}

// fixedSeed tells the seed operand from the buckets where that can be known
// before evaluation; seed nil means flag key and targetingKey.
func fixedSeed(args []node) (seed *node, rest []node, ok bool) {
	switch {
	case len(args) == 0:
		return nil, nil, true
	case args[0].list:
		return nil, args, true
	case args[0].konst && args[0].value == nil:
		return nil, args[1:], true
	case args[0].konst:
		_, isText := args[0].value.(string)
		return &args[0], args[1:], isText
	}
	return &args[0], args[1:], true
}

func constants(args []node) []any {
	values := make([]any, len(args))
	for i := range args {
		values[i] = args[i].value
	}
	return values
}

// fractional works on evaluated operands.
func fractional(prefix hashState, e env, args []any) any {
	if len(args) == 0 {
		return nil
	}
	seed, seeded := args[0].(string)
	if seeded || args[0] == nil {
		args = args[1:]
	}
	b, ok := makeBuckets(args)
	if !ok {
		return nil
	}
	if seeded {
		return b.pick(hashState{}.add(seed))
	}
	return byTargetingKey(prefix, e, b)
}

// byTargetingKey hashes flag key + targetingKey; without a key there is no
// bucket.
func byTargetingKey(prefix hashState, e env, b *buckets) any {
	var v any
	switch data := e.data.(type) {
	case Context:
		v = data["targetingKey"]
	case map[string]any:
		v = data["targetingKey"]
	}
	key, _ := v.(string)
	if key == "" {
		return nil
	}
	return b.pick(prefix.add(key))
}

func makeBuckets(args []any) (*buckets, bool) {
	b := &buckets{until: make([]uint64, len(args)), values: make([]any, len(args))}
	for i, a := range args {
		pair, ok := asList(a)
		if !ok || len(pair) == 0 || !primitive(pair[0]) {
			return nil, false
		}
		weight := uint64(1)
		if len(pair) > 1 && pair[1] != nil {
			if weight, ok = weightOf(pair[1]); !ok {
				return nil, false
			}
		}
		b.total += weight
		b.values[i], b.until[i] = pair[0], b.total
	}
	return b, b.total > 0 && b.total <= maxWeight
}

// weightOf reads a weight: a whole number up to maxWeight, a negative one is 0.
func weightOf(v any) (uint64, bool) {
	f, ok := number(v)
	if !ok || f != math.Trunc(f) || f > maxWeight {
		return 0, false
	}
	return uint64(max(f, 0)), true
}

// primitive reports whether v may be a bucket's variant.
func primitive(v any) bool {
	switch v.(type) {
	case nil, string, bool:
		return true
	}
	_, ok := number(v)
	return ok
}
