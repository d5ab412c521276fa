package plan

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"serin/internal/flag"
)

// actions reads the lowering moves and the restart over their defaults.
func (r *reader) actions(n *yaml.Node) {
	a := &r.plan.Actions
	*a = Actions{RollbackWithin: 5 * time.Minute, ReduceTraffic: flag.Everyone / 100, ReduceWithin: 15 * time.Minute,
		RestartAfter: 24 * time.Hour, RestartNeeds: []string{"cause", "approval"}}
	if len(r.plan.Stages) > 0 {
		a.RestartFrom = r.plan.Stages[0].Name
	}
	if n == nil {
		return
	}
	o := r.object(n, "actions", "actions.", "rollback", "reduce", "revert", "restart")
	if v := o.get("rollback"); v != nil {
		f := r.object(v, "rollback", "actions.rollback.", "traffic", "within")
		f.duration("within", &a.RollbackWithin)
		var traffic flag.Percent
		if f.percent("traffic", &traffic); traffic != 0 {
			r.fail(f.get("traffic"), "E03", fmt.Sprintf("traffic %q", f.get("traffic").Value), "a rollback goes to 0%: use reduce for less")
		}
	}
	if v := o.get("reduce"); v != nil {
		f := r.object(v, "reduce", "actions.reduce.", "traffic", "within")
		f.percent("traffic", &a.ReduceTraffic)
		f.duration("within", &a.ReduceWithin)
	}
	if v := o.get("revert"); v != nil {
		f := r.object(v, "revert", "actions.revert.", "show", "within", "by")
		f.need("show")
		f.texts("show", &a.Revert.Show)
		f.duration("within", &a.Revert.Within)
		if f.text("by", &a.Revert.By); a.Revert.By != "" {
			r.role(f.get("by"), "by", a.Revert.By)
		}
	}
	if v := o.get("restart"); v != nil {
		r.restart(v, a)
	}
}

func (r *reader) restart(v *yaml.Node, a *Actions) {
	f := r.object(v, "restart", "actions.restart.", "from", "after", "needs")
	f.name("from", &a.RestartFrom)
	if n := f.get("from"); n != nil && r.plan.StageIndex(a.RestartFrom) < 0 {
		r.missing(n, "from", a.RestartFrom, "stage", r.plan.stageNames())
	}
	f.duration("after", &a.RestartAfter)
	f.texts("needs", &a.RestartNeeds)
	for _, need := range a.RestartNeeds {
		if need != "cause" && need != "approval" {
			r.fail(f.get("needs"), "E03", fmt.Sprintf("needs %q", need), "cause or approval")
		}
	}
}

func (p *Plan) stageNames() []string {
	names := make([]string, len(p.Stages))
	for i, s := range p.Stages {
		names[i] = s.Name
	}
	return names
}

var taskKeys = []string{"id", "do", "by", "done", "verify", "when", "not_before", "choose", "irreversible"}

// tasks reads a checklist. Only clean-up (ends) has choices, times and points of no return.
func (r *reader) tasks(n *yaml.Node, where string, ends bool) []Task {
	if n == nil {
		return nil
	}
	var all []Task
	for i, item := range r.list(n, where) {
		o := r.object(item, "task", fmt.Sprintf("%s.%d.", where, i), taskKeys...)
		o.need("id", "do")
		t := r.task(o)
		t.Line = item.Line
		for _, other := range all {
			if other.ID == t.ID && t.ID != "" {
				r.fail(o.get("id"), "E12", fmt.Sprintf("task %q", t.ID), "the id is taken: choose another")
			}
		}
		if !ends && t.Irreversible {
			r.fail(o.get("irreversible"), "E18", fmt.Sprintf("%q in preflight", t.ID), "nothing before the start is irreversible: delete the key")
		}
		all = append(all, t)
		r.when(o, &all[len(all)-1], all)
	}
	return all
}

func (r *reader) task(o *object) Task {
	var t Task
	o.name("id", &t.ID)
	o.text("do", &t.Do)
	if o.text("by", &t.By); t.By != "" {
		r.role(o.get("by"), "by", t.By)
	}
	o.boolean("done", &t.Done)
	o.boolean("irreversible", &t.Irreversible)
	o.duration("not_before", &t.NotBefore)
	t.HasNotBefore = o.get("not_before") != nil
	if v := o.get("verify"); v != nil {
		t.Verify = r.fact(v)
	}
	if v := o.get("choose"); v != nil {
		c := r.object(v, "choose", "choose.")
		for _, key := range c.names() {
			choice := Choice{Key: key.Value}
			if c.text(key.Value, &choice.Text); r.isName(key, "choice", key.Value) {
				t.Choose = append(t.Choose, choice)
			}
		}
	}
	if f := t.Verify; f != nil && f.Name == "path gone" && !t.Irreversible {
		r.fail(o.get("verify"), "E18", fmt.Sprintf("%q", f.Text), "rollback would lead to deleted code: irreversible: true")
	}
	return t
}

// when reads a condition on an earlier task's choice.
func (r *reader) when(o *object, t *Task, all []Task) {
	n := o.get("when")
	if n == nil {
		return
	}
	id, choice, ok := strings.Cut(n.Value, " = ")
	if n.Kind != yaml.ScalarNode || !ok || !nameForm.MatchString(id) || !nameForm.MatchString(choice) {
		r.fail(n, "E03", fmt.Sprintf("when %q", n.Value), "write TASK = CHOICE")
		return
	}
	t.When = &When{id, choice}
	for _, other := range all {
		if other.ID != id || other.ID == t.ID {
			continue
		}
		var keys []string
		for _, c := range other.Choose {
			keys = append(keys, c.Key)
		}
		if !contains(keys, choice) {
			r.missing(n, "when", n.Value, "choice", keys)
		}
		return
	}
	r.missing(n, "when", n.Value, "earlier task", nil)
}

// factForm are the facts that are no rules.
var factForm = regexp.MustCompile(`^(?:(flag exists|incidents closed)|(path exists|path gone|refs gone|role filled) (\S+)|(pushed) ([a-z][a-z0-9_]*) = ([A-Za-z0-9._+-]+))$`)

var factStart = regexp.MustCompile(`^(flag|incidents|path|refs|role|pushed) [a-z]`)

// fact reads what a machine verifies.
func (r *reader) fact(n *yaml.Node) *Fact {
	text, ok := r.text(n, "verify")
	if !ok {
		return nil
	}
	m := factForm.FindStringSubmatch(text)
	switch {
	case m == nil && factStart.MatchString(text):
		r.fail(n, "E04", fmt.Sprintf("%q: no fact", text), "write flag exists, path exists PATH, path gone PATH, refs gone SYMBOL, role filled ROLE, incidents closed or pushed KEY = WORD")
		return nil
	case m == nil:
		rule := r.rule(n, text, r.plan.Metrics)
		if rule == nil {
			return nil
		}
		return &Fact{Text: text, Rule: rule}
	}
	f := &Fact{Text: text, Name: m[1] + m[2] + m[4], Arg: m[3] + m[5], Want: m[6]}
	if f.Name == "role filled" {
		r.role(n, "role filled", f.Arg)
	}
	return f
}

func (r *reader) cleanup(n *yaml.Node) {
	if n == nil {
		return
	}
	c := &r.plan.Cleanup
	o := r.object(n, "cleanup", "cleanup.", "owner", "within", "tasks")
	o.need("tasks")
	var owners []string
	if o.roleTexts("owner", &owners); len(owners) > 0 {
		c.Owner = owners[0]
	}
	c.Owners = owners
	o.duration("within", &c.Within)
	c.Tasks = r.tasks(o.get("tasks"), "cleanup.tasks", true)
}
