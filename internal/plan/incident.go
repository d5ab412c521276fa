package plan

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"serin/internal/telemetry"
)

var gradeForm = regexp.MustCompile(`^p[1-4]$`)

func (r *reader) alerts(n *yaml.Node) {
	if n == nil {
		return
	}
	for i, item := range r.list(n, "alerts") {
		a := Alert{Line: item.Line}
		o := r.object(item, "alert", fmt.Sprintf("alerts.%d.", i), "alert", "if", "severity", "notify")
		o.need("alert", "if", "notify")
		o.text("alert", &a.Name)
		a.If = o.rule("if", r.plan.Metrics)
		o.word("severity", &a.Severity, "p1", "p2", "p3", "p4")
		o.oneOrMore("notify", &a.Notify)
		for _, name := range a.Notify {
			r.channel(nodeOf(o.get("notify"), name), "notify", name)
		}
		r.plan.Alerts = append(r.plan.Alerts, a)
	}
}

// incident reads the incident block.
func (r *reader) incident(n *yaml.Node) {
	in := &r.plan.Incident
	in.Respond, in.Decide, in.Act = 5*time.Minute, 15*time.Minute, 30*time.Minute
	if n == nil {
		return
	}
	o := r.object(n, "incident", "incident.", "opens", "severe", "clocks", "respond", "decide", "close")
	if l := o.get("opens"); l != nil {
		for _, item := range r.list(l, "opens") {
			r.opens(item)
		}
	}
	in.Severe = o.rule("severe", r.plan.Metrics)
	if c := o.get("clocks"); c != nil {
		f := r.object(c, "clocks", "incident.clocks.", "respond", "decide", "act")
		f.duration("respond", &in.Respond)
		f.duration("decide", &in.Decide)
		f.duration("act", &in.Act)
	}
	o.texts("respond", &in.Steps)
	o.texts("close", &in.Close)
	if l := o.get("decide"); l != nil {
		for i, item := range r.list(l, "decide") {
			in.Tree = append(in.Tree, r.branch(item, fmt.Sprintf("incident.decide.%d.", i)))
		}
	}
}

func (r *reader) opens(n *yaml.Node) {
	text, ok := r.text(n, "opens")
	if !ok {
		return
	}
	if grade, ok := strings.CutPrefix(text, "alert "); ok && gradeForm.MatchString(grade) {
		r.plan.Incident.OpenAlerts = append(r.plan.Incident.OpenAlerts, grade)
	} else if rule := r.rule(n, text, r.plan.Metrics); rule != nil {
		r.plan.Incident.Opens = append(r.plan.Incident.Opens, rule)
	}
}

var doForm = regexp.MustCompile(`^(rollback|hotfix|pause|hold|reduce)(?: ([0-9.]+%))?$`)

// branch reads one row of the decision tree. Traffic of a reduce without a
// figure is that of actions.reduce.
func (r *reader) branch(n *yaml.Node, path string) Branch {
	b := Branch{Line: n.Line}
	o := r.object(n, "decide", path, "if", "do", "then")
	o.need("do")
	metrics := maps.Clone(r.plan.Metrics)
	metrics[traffic.Name] = traffic
	b.If = o.rule("if", metrics)
	if v := o.get("do"); v != nil {
		m := doForm.FindStringSubmatch(v.Value)
		switch {
		case v.Kind != yaml.ScalarNode || m == nil || m[2] != "" && m[1] != "reduce":
			r.fail(v, "E03", fmt.Sprintf("do %q", v.Value), "rollback, reduce, reduce 5%, pause, hold or hotfix")
		case m[1] == "reduce" && m[2] == "":
			b.Do, b.Traffic = m[1], r.plan.Actions.ReduceTraffic
		case m[1] == "reduce":
			b.Do = m[1]
			p, err := parsePercent(m[2])
			if err != nil {
				r.fail(v, "E03", fmt.Sprintf("do %q", v.Value), percentFix(m[2]))
			}
			b.Traffic = p
		default:
			b.Do = m[1]
		}
	}
	if l := o.get("then"); l != nil {
		for _, item := range r.list(l, "then") {
			b.Then = append(b.Then, r.then(item))
		}
	}
	return b
}

func (r *reader) then(n *yaml.Node) Then {
	var t Then
	if n.Kind != yaml.MappingNode {
		t.Text, _ = r.text(n, "then")
		return t
	}
	o := r.object(n, "then", "set.", "set")
	o.need("set")
	if v := o.get("set"); v != nil {
		f := r.object(v, "set", "set.", "flag", "to")
		f.need("flag", "to")
		f.text("flag", &t.Flag)
		f.text("to", &t.To)
		if t.Flag != "" && t.Flag == r.plan.Flag.Key {
			r.fail(v, "E03", fmt.Sprintf("set %q", t.Flag), "the plan's own flag moves by do: name another")
		}
	}
	return t
}

func (r *reader) reports(n *yaml.Node) {
	if n == nil {
		return
	}
	o := r.object(n, "reports", "reports.")
	for _, key := range o.names() {
		v := o.get(key.Value)
		if v == nil || !r.isName(key, "report", key.Value) {
			continue
		}
		p := Report{Name: key.Value}
		f := r.object(v, "report "+key.Value, "reports."+key.Value+".", "daily", "every", "to", "of")
		f.need("to")
		f.clock("daily", &p.Daily)
		f.duration("every", &p.Every)
		if f != nil && (f.fields["daily"] == nil) == (f.fields["every"] == nil) {
			r.fail(v, "E03", fmt.Sprintf("report %q", key.Value), "give either daily or every")
		}
		if e := f.get("every"); e != nil && p.Every < time.Minute {
			r.fail(e, "E03", fmt.Sprintf("every %q", e.Value), "at least 1m")
		}
		if f.text("to", &p.To); p.To != "" {
			r.channel(f.get("to"), "to", p.To)
		}
		f.texts("of", &p.Of)
		r.plan.Reports = append(r.plan.Reports, p)
	}
}

func (r *reader) dashboard(n *yaml.Node) {
	if n == nil {
		return
	}
	d := &r.plan.Dashboard
	o := r.object(n, "dashboard", "dashboard.", "targets", "panels")
	if t := o.get("targets"); t != nil {
		targets := r.object(t, "targets", "dashboard.targets.")
		for _, key := range targets.names() {
			every, err := parseDuration(key.Value)
			if err != nil || every < time.Minute {
				r.fail(key, "E03", fmt.Sprintf("targets %q", key.Value), "a duration such as 15m: how often it is looked at")
				continue
			}
			if v := targets.get(key.Value); v != nil {
				d.Targets = append(d.Targets, Targets{every, r.rules(v)})
			}
		}
	}
	if l := o.get("panels"); l != nil {
		for i, item := range r.list(l, "panels") {
			d.Panels = append(d.Panels, r.panel(item, fmt.Sprintf("dashboard.panels.%d.", i)))
		}
	}
}

func (r *reader) panel(n *yaml.Node, path string) Panel {
	p := Panel{Line: n.Line}
	o := r.object(n, "panel", path, "title", "query", "metric", "by", "compare")
	o.need("title")
	o.text("title", &p.Title)
	if v := o.get("query"); v != nil {
		p.Query = r.panelQuery(v)
	}
	if o.text("metric", &p.Metric); p.Metric != "" && r.plan.Metrics[p.Metric] == nil {
		f := unknownMetric(p.Metric, r.plan.Metrics)
		r.fail(o.get("metric"), f.code, f.what, f.fix)
	}
	if o != nil && (o.fields["query"] == nil) == (o.fields["metric"] == nil) {
		r.fail(n, "E03", fmt.Sprintf("panel %q", p.Title), "give either query or metric")
	}
	o.text("by", &p.By)
	o.duration("compare", &p.Compare)
	r.panelClauses(n, &p)
	return p
}

// panelQuery reads a search with the clauses of a panel.
func (r *reader) panelQuery(n *yaml.Node) string {
	text, ok := r.text(n, "query")
	if !ok {
		return ""
	}
	_, err := telemetry.ParseQuery(text)
	if bad := syntaxError(text, err); bad != nil {
		r.fail(n, "E16", fmt.Sprintf("query %q, column %d: %s", text, bad.Column, bad.What), bad.Do)
		return ""
	}
	return text
}

// panelClauses checks that a query does not say once more what the panel's own
// keys say.
func (r *reader) panelClauses(n *yaml.Node, p *Panel) {
	q, err := telemetry.ParseQuery(p.Query)
	if p.Query == "" || err != nil {
		return
	}
	twice := func(key, clause string) {
		r.fail(n, "E03", fmt.Sprintf("panel %q has %s and %s in its query", p.Title, key, clause), "keep one of them")
	}
	if p.By != "" && q.Grouped {
		twice("by", "GROUP BY")
	}
	if p.By != "" && q.Dataset == telemetry.IssueList {
		r.fail(n, "E03", fmt.Sprintf("panel %q groups issues", p.Title), "leave out by: issues are listed")
	}
	if p.Compare > 0 && (q.Earlier > 0 || q.Against != "") {
		twice("compare", "Compare:")
	}
}
