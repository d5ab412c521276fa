package plan

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"serin/internal/flag"
)

// flag reads the flag block.
func (r *reader) flag(n *yaml.Node) {
	f := &r.plan.Flag
	f.By, f.New, f.Old = "targetingKey", "new", "old"
	if n == nil {
		return
	}
	o := r.object(n, "flag", "flag.", "key", "by", "env", "variants", "audience", "include", "exclude", "holdback", "salt")
	o.need("key")
	o.text("key", &f.Key)
	f.Salt = f.Key
	o.text("by", &f.By)
	o.text("env", &f.Env)
	o.text("salt", &f.Salt)
	o.percent("holdback", &f.Holdback)
	if f.Holdback == flag.Everyone {
		r.fail(o.get("holdback"), "E03", `holdback "100%"`, "nobody would get the new variant: write 10%")
	}
	if v := o.get("variants"); v != nil {
		names := r.object(v, "variants", "flag.variants.", "new", "old")
		names.need("new", "old")
		names.text("new", &f.New)
		names.text("old", &f.Old)
		if f.New == f.Old {
			r.fail(v, "E03", fmt.Sprintf("variants new and old are both %q", f.New), "give them two names")
		}
	}
	if a := o.get("audience"); a != nil {
		if text, ok := r.text(a, "audience"); ok {
			c, err := flag.ParseCondition(text)
			if err != nil {
				what, fix, _ := strings.Cut(err.Error(), "; ")
				r.fail(a, "E03", "audience: "+what, fix)
			}
			f.Audience = c
		}
	}
	f.Include = r.subjects(o.get("include"), "include")
	f.Exclude = r.subjects(o.get("exclude"), "exclude")
}

func (r *reader) subjects(n *yaml.Node, what string) flag.Subjects {
	var s flag.Subjects
	if n == nil {
		return s
	}
	o := r.object(n, what, "flag."+what+".", "users", "tenants", "groups")
	if o != nil && len(n.Content) == 0 {
		r.fail(n, "E03", what+" names nobody", "name users, tenants or groups, or delete it")
	}
	o.texts("users", &s.Users)
	o.texts("tenants", &s.Tenants)
	o.texts("groups", &s.Groups)
	return s
}

func (r *reader) scope(n *yaml.Node) {
	if n == nil {
		return
	}
	s := &r.plan.Scope
	o := r.object(n, "scope", "scope.", "tags", "pages", "spans")
	if t := o.get("tags"); t != nil {
		tags := r.object(t, "tags", "scope.tags.")
		s.Tags = map[string]string{}
		for _, key := range tags.names() {
			var value string
			if tags.text(key.Value, &value); value != "" {
				s.Tags[key.Value] = value
			}
		}
	}
	o.texts("pages", &s.Pages)
	if f := o.get("spans"); f != nil {
		s.Spans, _ = r.filter(f, "spans")
	}
}

// names returns the keys of an object, none for a nil one.
func (o *object) names() []*yaml.Node {
	if o == nil {
		return nil
	}
	return o.keys
}

// filter reads a search filter and checks that it can be understood.
func (r *reader) filter(n *yaml.Node, what string) (string, bool) {
	text, ok := r.text(n, what)
	if !ok {
		return "", false
	}
	if bad := checkFilter(text); bad != nil {
		r.fail(n, "E16", fmt.Sprintf("%s %q: %s", what, text, bad.What), bad.Do)
		return "", false
	}
	return text, true
}

// severity reads the grading and gives the metrics p1 and p2 their filters.
func (r *reader) severity(n *yaml.Node) {
	p := r.plan
	p.Severity = DefaultSeverity()
	p.Metrics = Builtin()
	if n == nil {
		return
	}
	p.Severity = nil
	o := r.object(n, "severity", "severity.", "p1", "p2", "p3", "p4")
	for _, grade := range []string{"p1", "p2", "p3", "p4"} {
		f := o.get(grade)
		if f == nil {
			continue
		}
		if text, ok := r.filter(f, "severity "+grade); ok {
			p.Severity = append(p.Severity, Severity{grade, text})
		}
	}
	p.Metrics["p1"].Where, p.Metrics["p2"].Where = gradeFilters(p.Severity)
}

// nothing is a filter that no event passes: a grade the plan does not give.
const nothing = "level:none"

// gradeFilters returns the filters of p1 and p2: first that matches.
func gradeFilters(all []Severity) (p1, p2 string) {
	p1, p2 = nothing, nothing
	for _, s := range all {
		switch {
		case s.Name == "p1":
			p1 = s.Filter
		case s.Name == "p2" && p1 == nothing:
			p2 = s.Filter
		case s.Name == "p2":
			p2 = secondGrade(p1, s.Filter)
		}
	}
	return p1, p2
}

func (r *reader) capacity(n *yaml.Node) {
	if n == nil {
		return
	}
	c := &r.plan.Capacity
	o := r.object(n, "capacity", "capacity.", "concurrent_at_100", "pool", "per")
	o.integer("concurrent_at_100", 1, &c.Concurrent)
	o.integer("pool", 1, &c.Pool)
	o.text("per", &c.Per)
}

// permissions are what a role may be given.
var permissions = []string{"start", "approve", "promote", "override", "accept", "resume", "restart", "revise"}

func (r *reader) roles(n *yaml.Node) {
	if n == nil {
		return
	}
	o := r.object(n, "roles", "roles.")
	for _, key := range o.names() {
		v := o.get(key.Value)
		if v == nil || !r.isName(key, "role", key.Value) {
			continue
		}
		role := Role{Name: key.Value, Line: key.Line}
		f := r.object(v, "role "+key.Value, "roles."+key.Value+".", "who", "covers", "may", "escalates_to", "does")
		f.need("who")
		f.text("who", &role.Who)
		f.duration("covers", &role.Covers)
		f.name("escalates_to", &role.EscalatesTo)
		f.texts("does", &role.Does)
		f.texts("may", &role.May)
		for _, may := range role.May {
			if !contains(permissions, may) {
				r.fail(f.get("may"), "E03", fmt.Sprintf("may %q", may), "one of "+strings.Join(permissions, ", "))
			}
		}
		r.plan.Roles = append(r.plan.Roles, role)
		if to := f.get("escalates_to"); to != nil && role.EscalatesTo != "" {
			defer r.role(to, "escalates_to", role.EscalatesTo)
		}
	}
}

// role checks that a role exists. A plan without roles has none to name.
func (r *reader) role(n *yaml.Node, what, name string) {
	if _, ok := r.plan.Role(name); ok {
		return
	}
	names := make([]string, len(r.plan.Roles))
	for i, role := range r.plan.Roles {
		names[i] = role.Name
	}
	r.missing(n, what, name, "role", names)
}

// missing is E12: a name that stands for nothing.
func (r *reader) missing(n *yaml.Node, what, name, kind string, known []string) {
	fix := "no such " + kind
	if near := suggest(name, known); near != "" {
		fix += ": did you mean " + near + "?"
	} else if len(known) > 0 {
		fix += ": one of " + strings.Join(known, ", ")
	}
	r.fail(n, "E12", fmt.Sprintf("%s %q", what, name), fix)
}

// roleTexts reads one role or a list of them.
func (o *object) roleTexts(key string, to *[]string) {
	o.oneOrMore(key, to)
	if n := o.get(key); n != nil {
		for _, name := range *to {
			o.r.role(nodeOf(n, name), key, name)
		}
	}
}

// nodeOf is the scalar of a node that holds text, or the node itself.
func nodeOf(n *yaml.Node, text string) *yaml.Node {
	for _, c := range n.Content {
		if c.Value == text {
			return c
		}
	}
	return n
}

// channelForm is what an address looks like; what follows the colon is the server's.
var channelForm = regexp.MustCompile(`^(dashboard|slack:[#@]?[^\s]+|slackhook:[^\s]+|pagerduty:[^\s]+|jira:[^\s/]+(/[^\s]+)?|email:[^\s]+|webhook:[^\s]+|alertmanager:[^\s]+|oncall:[a-z][a-z0-9-]*)$`)

func (r *reader) channels(n *yaml.Node) {
	if n == nil {
		return
	}
	o := r.object(n, "channels", "channels.")
	for _, key := range o.names() {
		c := Channel{Name: key.Value, Line: key.Line}
		o.text(key.Value, &c.Address)
		if c.Address == "" || !r.isName(key, "channel", key.Value) {
			continue
		}
		if !channelForm.MatchString(c.Address) {
			r.fail(o.get(key.Value), "E03", fmt.Sprintf("channel %q", c.Address),
				"write slack:#x, slackhook:name, pagerduty:x, jira:PROJECT/P1, email:x, webhook:name, alertmanager:name, oncall:rota or dashboard")
			continue
		}
		r.plan.Channels = append(r.plan.Channels, c)
	}
}

// channel checks that a channel exists; "dashboard" always does.
func (r *reader) channel(n *yaml.Node, what, name string) {
	names := []string{"dashboard"}
	for _, c := range r.plan.Channels {
		names = append(names, c.Name)
	}
	if !contains(names, name) {
		r.missing(n, what, name, "channel", names)
	}
}

// judge reads the judge's settings over their defaults.
func (r *reader) judge(n *yaml.Node) {
	j := &r.plan.Judge
	*j = Judge{
		FalseRollback: 0.01, FalseProceed: 0.05, Margin: 0.05, Baseline: 7 * day, EnoughUsers: 20, EnoughFor: time.Hour,
		NoData: NoData{Grace: 10 * time.Minute, Then: "hold", After: time.Hour}, Inconclusive: Ask, Overrun: 48 * time.Hour,
	}
	if n == nil {
		return
	}
	o := r.object(n, "judge", "judge.", "false_rollback", "false_proceed", "margin", "baseline", "enough", "no_data", "inconclusive", "overrun")
	r.chance(o, "false_rollback", &j.FalseRollback)
	r.chance(o, "false_proceed", &j.FalseProceed)
	o.ratio("margin", &j.Margin)
	o.duration("baseline", &j.Baseline)
	o.duration("overrun", &j.Overrun)
	o.word("inconclusive", (*string)(&j.Inconclusive), "hold", "ask", "pass")
	if e := o.get("enough"); e != nil {
		f := r.object(e, "enough", "judge.enough.", "users", "for")
		f.integer("users", 0, &j.EnoughUsers)
		f.duration("for", &j.EnoughFor)
	}
	if d := o.get("no_data"); d != nil {
		f := r.object(d, "no_data", "judge.no_data.", "grace", "then", "after", "page")
		f.duration("grace", &j.NoData.Grace)
		f.duration("after", &j.NoData.After)
		f.word("then", &j.NoData.Then, "hold", "rollback")
		f.text("page", &j.NoData.Page)
		if j.NoData.Page == "owner" {
			j.NoData.Page = ""
		}
		if j.NoData.Page != "" {
			r.role(f.get("page"), "page", j.NoData.Page)
		}
	}
}

// chance reads a probability that tests divide by: more than 0, less than 100 %.
func (r *reader) chance(o *object, key string, to *float64) {
	o.ratio(key, to)
	if n := o.get(key); n != nil && (*to <= 0 || *to >= 1) {
		r.fail(n, "E03", fmt.Sprintf("%s %q", key, n.Value), "more than 0% and less than 100%: write 1%")
	}
}

// defaultRaise is the default of calendar.raise.
const defaultRaise = "mon-fri 08:00-18:00"

func (r *reader) calendar(n *yaml.Node) {
	c := &r.plan.Calendar
	office, _ := parseWindow(defaultRaise)
	c.Raise = []Window{office}
	if n == nil {
		return
	}
	o := r.object(n, "calendar", "calendar.", "raise", "freeze")
	if l := o.get("raise"); l != nil {
		c.Raise = nil
		for _, item := range r.list(l, "raise") {
			w, err := parseWindow(item.Value)
			if item.Kind != yaml.ScalarNode || err != nil {
				r.fail(item, "E03", fmt.Sprintf("raise %q", item.Value), `write "mon-fri 08:00-18:00" or "daily 00:00-24:00"`)
				continue
			}
			c.Raise = append(c.Raise, w)
		}
		if l.Kind == yaml.SequenceNode && len(l.Content) == 0 {
			r.fail(l, "E03", "raise is empty: traffic could never rise", `write ["daily 00:00-24:00"]`)
		}
	}
	if l := o.get("freeze"); l != nil {
		for i, item := range r.list(l, "freeze") {
			r.freeze(item, fmt.Sprintf("calendar.freeze.%d.", i))
		}
	}
}

// freeze reads one freeze. A `to` without a time of day is that day's end.
func (r *reader) freeze(n *yaml.Node, path string) {
	var f Freeze
	o := r.object(n, "freeze", path, "from", "to", "why")
	o.need("from", "to", "why")
	o.date("from", &f.From)
	if o.date("to", &f.To) {
		f.To = wallTime(r.plan.Location, f.To.Year(), f.To.Month(), f.To.Day()+1, 0)
	}
	o.text("why", &f.Why)
	if f.From.IsZero() || f.To.IsZero() {
		return
	}
	if !f.From.Before(f.To) {
		r.fail(n, "E03", "freeze ends before it begins", "exchange from and to")
		return
	}
	r.plan.Calendar.Freeze = append(r.plan.Calendar.Freeze, f)
}
