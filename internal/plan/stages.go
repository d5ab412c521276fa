package plan

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"
)

// The built-in defaults of a plan that says nothing itself.
var (
	defaultCriteria = []string{"p1 = 0", "errors <= +10% vs reference", "http_5xx <= +10% vs reference",
		"lcp <= +5% vs reference", "api_p95 <= +10% vs reference"}
	defaultRollback = []string{"p1 > +50% vs reference over 1h", "errors > +50% vs reference over 1h",
		"http_5xx > +50% vs reference over 1h", "lcp > +30% vs reference over 1h", "api_p95 > +50% vs reference over 1h"}
	defaultCadence = []Check{{For: 8 * time.Hour, Every: 15 * time.Minute}, {For: 16 * time.Hour, Every: 30 * time.Minute}, {Every: time.Hour}}
)

// defaultSet is the name of the criteria used where none are given.
const defaultSet = "default"

// builtinRules parses default rules; those on a metric that the plan has
// redefined in another unit are left out.
func (r *reader) builtinRules(texts []string, set string) []*Rule {
	var rules []*Rule
	for _, text := range texts {
		if rule, bad := parseRule(text, r.plan.Metrics); bad == nil {
			rule.Default, rule.Set = true, set
			rules = append(rules, rule)
		}
	}
	return rules
}

// criteria reads the named sets. Sets may name sets, before or after them.
func (r *reader) criteria(n *yaml.Node) {
	p := r.plan
	p.builtinLinks()
	builtin := Criteria{Name: defaultSet, Rules: r.builtinRules(defaultCriteria, defaultSet)}
	if n == nil {
		p.Criteria = []Criteria{builtin}
		return
	}
	o := r.object(n, "criteria", "criteria.")
	sets := &sets{r: r, nodes: map[string]*yaml.Node{}, done: map[string][]*Rule{}, open: map[string]bool{}}
	for _, key := range o.names() {
		if v := o.get(key.Value); v != nil && r.isName(key, "criteria", key.Value) {
			sets.nodes[key.Value] = v
		}
	}
	if sets.nodes[defaultSet] == nil {
		sets.done[defaultSet] = builtin.Rules
		p.Criteria = append(p.Criteria, builtin)
	}
	for _, key := range o.names() {
		if sets.nodes[key.Value] != nil {
			p.Criteria = append(p.Criteria, Criteria{Name: key.Value, Rules: sets.expand(key.Value), Line: key.Line})
		}
	}
}

// sets expands criteria that name each other.
type sets struct {
	r     *reader
	nodes map[string]*yaml.Node
	done  map[string][]*Rule
	open  map[string]bool
}

func (s *sets) expand(name string) []*Rule {
	if rules, ok := s.done[name]; ok {
		return rules
	}
	s.open[name] = true
	rules := s.r.ruleList(s.nodes[name], name, func(n *yaml.Node, other string) []*Rule {
		switch {
		case s.open[other]:
			s.r.fail(n, "E12", fmt.Sprintf("set %q names itself", other), "take the name out")
			return nil
		case s.nodes[other] == nil && s.done[other] == nil:
			s.r.noSet(n, other)
			return nil
		}
		return s.expand(other)
	})
	delete(s.open, name)
	s.done[name] = rules
	return rules
}

func (r *reader) noSet(n *yaml.Node, name string) {
	names := make([]string, len(r.plan.Criteria))
	for i, c := range r.plan.Criteria {
		names[i] = c.Name
	}
	r.missing(n, "set", name, "set in criteria", names)
}

// rules reads rules outside of criteria: a rule, a set's name, or a list of these.
func (r *reader) rules(n *yaml.Node) []*Rule {
	return r.ruleList(n, "", func(n *yaml.Node, name string) []*Rule {
		if c := r.plan.criteria(name); c != nil {
			return c.Rules
		}
		r.noSet(n, name)
		return nil
	})
}

// criteria returns the set called name, or nil.
func (p *Plan) criteria(name string) *Criteria {
	for i := range p.Criteria {
		if p.Criteria[i].Name == name {
			return &p.Criteria[i]
		}
	}
	return nil
}

// ruleList reads rules, nested lists flattened, each once; named resolves a set's name.
func (r *reader) ruleList(n *yaml.Node, set string, named func(*yaml.Node, string) []*Rule) []*Rule {
	var rules []*Rule
	add := func(more ...*Rule) {
		for _, rule := range more {
			if !slices.ContainsFunc(rules, func(o *Rule) bool { return o.Text == rule.Text }) {
				rules = append(rules, rule)
			}
		}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			add(r.ruleList(c, set, named)...)
		}
	case yaml.ScalarNode:
		text, ok := r.text(n, "rule")
		if !ok {
			break
		}
		if nameForm.MatchString(text) {
			add(named(n, text)...)
		} else if rule := r.rule(n, text, r.plan.Metrics); rule != nil {
			rule.Set = set
			add(rule)
		}
	default:
		r.fail(n, "E04", kindName(n)+" where rules belong", "write a rule, a set's name, or a list of these")
	}
	return rules
}

// rule reads one rule at a node.
func (r *reader) rule(n *yaml.Node, text string, metrics map[string]*Metric) *Rule {
	rule, bad := parseRule(text, metrics)
	if bad != nil {
		r.fail(n, bad.code, bad.what, bad.fix)
		return nil
	}
	rule.Line, rule.Column = n.Line, n.Column
	return rule
}

// rule reads a key that holds exactly one rule.
func (o *object) rule(key string, metrics map[string]*Metric) *Rule {
	n := o.get(key)
	if n == nil {
		return nil
	}
	if text, ok := o.r.text(n, key); ok {
		return o.r.rule(n, text, metrics)
	}
	return nil
}

// stageKeys are the keys of a stage.
var stageKeys = []string{"stage", "like", "traffic", "at", "bake", "early", "owner", "before", "approve", "checks", "proceed", "confirm", "inconclusive"}

// stages reads the ramp.
func (r *reader) stages(n *yaml.Node) {
	if n == nil {
		return
	}
	items := r.list(n, "stages")
	if n.Kind == yaml.SequenceNode && len(items) == 0 {
		r.fail(n, "E03", "stages is empty", "write at least one stage")
	}
	var earlier []*object
	for i, item := range items {
		path := fmt.Sprintf("stages.%d.", i)
		o := r.object(item, stageName(item), path, stageKeys...)
		if o == nil {
			continue
		}
		o.need("stage", "traffic")
		r.like(o, earlier)
		earlier = append(earlier, o)
		r.plan.Stages = append(r.plan.Stages, r.stage(o, i))
	}
	r.order(earlier)
}

// stageName names a stage for messages.
func stageName(n *yaml.Node) string {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "stage" && n.Content[i+1].Kind == yaml.ScalarNode {
			return fmt.Sprintf("stage %q", n.Content[i+1].Value)
		}
	}
	return "stage"
}

// like copies what an earlier stage says and this one does not.
func (r *reader) like(o *object, earlier []*object) {
	var name string
	if o.name("like", &name); name == "" {
		if o.fields["like"] == nil {
			o.need("bake")
		}
		return
	}
	var names []string
	for _, e := range earlier {
		var other string
		if n := e.fields["stage"]; n != nil {
			other = n.Value
		}
		names = append(names, other)
		if other != name {
			continue
		}
		for key, v := range e.fields {
			if key != "stage" && key != "traffic" && key != "like" && o.fields[key] == nil {
				o.fields[key] = v
			}
		}
		return
	}
	r.missing(o.fields["like"], "like", name, "earlier stage", names)
}

// stage reads one stage with its defaults.
func (r *reader) stage(o *object, index int) Stage {
	s := Stage{Line: o.node.Line, Inconclusive: r.plan.Judge.Inconclusive}
	o.name("stage", &s.Name)
	o.percent("traffic", &s.Traffic)
	o.duration("bake", &s.Bake)
	o.roleTexts("owner", &s.Owner)
	o.roleTexts("approve", &s.Approve)
	o.texts("before", &s.Before)
	o.texts("confirm", &s.Confirm)
	o.clock("at", &s.At)
	o.word("inconclusive", (*string)(&s.Inconclusive), "hold", "ask", "pass")
	if n := o.get("early"); n != nil {
		s.Early = &Early{}
		e := r.object(n, "early", fmt.Sprintf("stages.%d.early.", index), "after", "at")
		e.need("after")
		e.duration("after", &s.Early.After)
		e.clock("at", &s.Early.At)
	}
	standard := r.plan.criteria(defaultSet).Rules
	s.Proceed = standard
	if n := o.get("proceed"); n != nil {
		s.Proceed = r.rules(n)
	}
	s.Checks = slices.Clone(defaultCadence)
	for i := range s.Checks {
		s.Checks[i].Expect = standard
	}
	if n := o.get("checks"); n != nil {
		s.Checks = r.checks(n, standard, index)
	}
	return s
}

// checks reads a stage's cadence: only the last entry may be without for.
func (r *reader) checks(n *yaml.Node, standard []*Rule, index int) []Check {
	var all []Check
	items := r.list(n, "checks")
	for i, item := range items {
		c := Check{Line: item.Line, Expect: standard}
		o := r.object(item, "checks", fmt.Sprintf("stages.%d.checks.%d.", index, i), "for", "every", "expect")
		o.need("every")
		o.duration("for", &c.For)
		o.duration("every", &c.Every)
		if e := o.get("every"); e != nil && c.Every < time.Minute {
			r.fail(e, "E03", fmt.Sprintf("every %q", e.Value), "at least 1m")
		}
		if e := o.get("expect"); e != nil {
			c.Expect = r.rules(e)
		}
		if o != nil && o.fields["for"] == nil && i < len(items)-1 {
			r.fail(item, "E03", "a check without for is not the last", "say for how long, or put it last")
		}
		all = append(all, c)
	}
	return all
}

// order checks names and that traffic strictly rises.
func (r *reader) order(objects []*object) {
	stages := r.plan.Stages
	for i := range stages {
		o := objects[i]
		if r.plan.StageIndex(stages[i].Name) < i && stages[i].Name != "" {
			r.fail(o.fields["stage"], "E12", fmt.Sprintf("stage %q", stages[i].Name), "the name is taken: choose another")
		}
		n := o.fields["traffic"]
		if n == nil || percentForm.FindString(n.Value) == "" {
			continue
		}
		if i == 0 && stages[i].Traffic == 0 {
			r.fail(n, "E11", fmt.Sprintf("%q 0 %%", stages[i].Name), "a stage gives traffic: write 1%")
		}
		if i > 0 && stages[i].Traffic <= stages[i-1].Traffic {
			r.fail(n, "E11", fmt.Sprintf("%q %s does not exceed %q %s", stages[i].Name, spaced(stages[i].Traffic),
				stages[i-1].Name, spaced(stages[i-1].Traffic)), "traffic rises from stage to stage")
		}
	}
}

// guards reads rollback and reduce.
func (r *reader) guards(o *object) {
	p := r.plan
	p.Rollback = r.builtinRules(defaultRollback, "")
	if n := o.get("rollback"); n != nil {
		p.Rollback = r.guard(n, "rollback")
	}
	if n := o.get("reduce"); n != nil {
		p.Reduce = r.guard(n, "reduce")
	}
}

// guard reads rules that act: each needs over or for.
func (r *reader) guard(n *yaml.Node, what string) []*Rule {
	rules := r.rules(n)
	for _, rule := range rules {
		if !rule.Given && rule.For == 0 {
			at := &yaml.Node{Line: rule.Line, Column: rule.Column}
			if rule.Default {
				at = n
			}
			r.fail(at, "E10", fmt.Sprintf("%s %q", what, rule.Text), "say over or for, e.g. over 1h")
		}
	}
	return rules
}
