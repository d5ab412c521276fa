package flag

import (
	"encoding/json"
	"strings"
)

const (
	keyAttribute    = "targetingKey"
	tenantAttribute = "tenant"
	groupsAttribute = "groups"
)

type rule = map[string]any

// Targeting writes the split as a flag's targeting, in this order: exposure 0
// gives Old to all; excluded, Old; outside the audience, Old; included, New;
// else the percentage, as thousandths of a percent of 100,000 with the same
// seed at every exposure. Where another attribute or salt makes the seed,
// people without that attribute get Old: their common seed would move them
// all at once.
func (s Split) Targeting() json.RawMessage {
	if s.Exposure <= 0 {
		return encode(rule{"if": []any{false, s.New, s.Old}})
	}
	var steps []any
	if r := s.Exclude.rule(); r != nil {
		steps = append(steps, r, s.Old)
	}
	if r := s.Audience.rule(); r != nil {
		steps = append(steps, rule{"!": []any{r}}, s.Old)
	}
	if r := s.Include.rule(); r != nil {
		steps = append(steps, r, s.New)
	}
	buckets := []any{[]any{s.New, s.share()}, []any{s.Old, Everyone - s.share()}}
	if s.seeded() {
		by := variable(s.by())
		steps = append(steps, rule{"!": []any{by}}, s.Old)
		buckets = append([]any{rule{"cat": []any{s.salt(), by}}}, buckets...)
	}
	split := rule{"fractional": buckets}
	if len(steps) == 0 {
		return encode(split)
	}
	return encode(rule{"if": append(steps, split)})
}

func encode(v any) json.RawMessage {
	b, err := appendValue(nil, v)
	if err != nil {
		panic("flag: a split is always JSON: " + err.Error())
	}
	return b
}

func variable(path string) rule { return rule{"var": path} }

func (s Split) share() Percent { return min(max(s.Exposure, 0), Everyone) }

func (s Split) by() string {
	if s.By == "" {
		return keyAttribute
	}
	return s.By
}

// seeded reports whether the seed must be written, because it is not flag key
// followed by targetingKey.
func (s Split) seeded() bool { return s.by() != keyAttribute || s.Salt != "" && s.Salt != s.Flag }

// salt is the first part of the seed: a text, or the flag's own key by name.
func (s Split) salt() any {
	if s.Salt != "" && s.Salt != s.Flag {
		return s.Salt
	}
	return variable("$flagd.flagKey")
}

// rule is met by the people named; nil when nobody is.
func (s Subjects) rule() any {
	var anyOne []any
	if len(s.Users) > 0 {
		anyOne = append(anyOne, rule{"in": []any{variable(keyAttribute), s.Users}})
	}
	if len(s.Tenants) > 0 {
		anyOne = append(anyOne, rule{"in": []any{variable(tenantAttribute), s.Tenants}})
	}
	if len(s.Groups) > 0 {
		anyOne = append(anyOne, someMember(groupsAttribute, s.Groups))
	}
	switch len(anyOne) {
	case 0:
		return nil
	case 1:
		return anyOne[0]
	}
	return rule{"or": anyOne}
}

// someMember is met when the attribute, a list or one value, has a member
// among values; merge makes a list of either.
func someMember(attribute string, values any) rule {
	return rule{"some": []any{
		rule{"merge": []any{variable(attribute)}},
		rule{"in": []any{variable(""), values}},
	}}
}

// rule is met in the audience; nil for everybody.
func (c Condition) rule() any {
	var all []any
	for _, t := range c.Terms {
		all = append(all, t.rule())
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return rule{"and": all}
}

func (t Term) rule() any {
	literals := t.literals()
	var match rule
	switch {
	case t.Attribute == groupsAttribute:
		match = someMember(t.Attribute, literals)
	case len(literals) == 1:
		match = rule{"===": []any{variable(t.Attribute), literals[0]}}
	default:
		match = rule{"in": []any{variable(t.Attribute), literals}}
	}
	if !t.Not {
		return match
	}
	known := rule{"!=": []any{variable(t.Attribute), nil}}
	return rule{"and": []any{known, rule{"!": []any{match}}}}
}

// Why says which step of a split decided.
type Why string

// The steps, in order.
const (
	WhyOff      Why = "off"      // exposure 0
	WhyExcluded Why = "excluded" // named in Exclude
	WhyOutside  Why = "outside"  // not known to be in the audience
	WhyIncluded Why = "included" // named in Include
	WhyNoID     Why = "no id"    // in the audience, but the hashed attribute is absent
	WhyBucket   Why = "bucket"   // by hash
)

// Decision is what a split says of one context.
type Decision struct {
	New bool
	Why Why
	ID  string // the value that is hashed, "" = none; set for WhyBucket
}

// Decide says which variant the split gives to a context; it agrees with
// evaluating Targeting in a flag whose default variant is Old.
func (s Split) Decide(ctx Context) Decision {
	get := func(attribute string) (any, bool) {
		v := attributeOf(ctx, s.Flag, attribute)
		return v, v != nil
	}
	switch {
	case s.Exposure <= 0:
		return Decision{Why: WhyOff}
	case s.Exclude.contain(ctx):
		return Decision{Why: WhyExcluded}
	case !s.Audience.Holds(get):
		return Decision{Why: WhyOutside}
	case s.Include.contain(ctx):
		return Decision{New: true, Why: WhyIncluded}
	}
	id := s.id(ctx)
	if id == "" {
		return Decision{Why: WhyNoID}
	}
	return Decision{New: s.Assign(id), Why: WhyBucket, ID: id}
}

// attributeOf reads an attribute of the context as a rule's var does.
func attributeOf(ctx Context, flagKey, attribute string) any {
	if attribute == "$flagd" || strings.HasPrefix(attribute, "$flagd.") {
		return lookup(env{data: ctx}, flagKey, attribute)
	}
	return field(ctx, strings.Split(attribute, "."))
}

// id is the text that is hashed. Without a written seed only a string counts,
// as in flagd's fractional.
func (s Split) id(ctx Context) string {
	v := attributeOf(ctx, s.Flag, s.by())
	if !s.seeded() {
		id, _ := v.(string)
		return id
	}
	if !truthy(v) {
		return ""
	}
	return text(v)
}

// Assign says which variant the hash alone gives to an id, whatever the
// lists and the audience: true is New. An empty id is never on New.
func (s Split) Assign(id string) (variantNew bool) {
	if id == "" || s.Exposure <= 0 {
		return false
	}
	salt := s.Salt
	if salt == "" {
		salt = s.Flag
	}
	return hashState{}.add(salt).add(id).bucket(uint64(Everyone)) < uint64(s.share())
}

func (s Subjects) contain(ctx Context) bool {
	if contains(s.Users, ctx[keyAttribute]) || contains(s.Tenants, ctx[tenantAttribute]) {
		return true
	}
	for _, g := range members(ctx[groupsAttribute]) {
		if contains(s.Groups, g) {
			return true
		}
	}
	return false
}
