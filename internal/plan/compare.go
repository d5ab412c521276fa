package plan

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"serin/internal/flag"
)

// Diff is what a revision changes.
type Diff struct {
	Changes []Change `json:"changes"`
	// Looser is true when any change lets traffic rise more easily or fall
	// less: such a revision needs an approval.
	Looser bool `json:"looser"`
	// Unchanged are the rules (by Text) that keep their evidence.
	Unchanged []string `json:"unchanged,omitempty"`
}

// Change is one difference. The journal keeps it with a revision.
type Change struct {
	What   string `json:"what"`             // "rollback", "stage canary proceed", "judge.margin" ...
	Rule   string `json:"rule,omitempty"`   // the rule's new text, or the old one of a rule left out; "" = not a rule
	Before string `json:"before,omitempty"` // "" = added
	After  string `json:"after,omitempty"`  // "" = left out
	Looser bool   `json:"looser"`           // this change alone makes the plan looser
}

// String returns the change as one line for people.
func (c Change) String() string {
	side := "stricter or equal"
	if c.Looser {
		side = "looser"
	}
	switch {
	case c.Before == "":
		return fmt.Sprintf("%s: + %s (%s)", c.What, c.After, side)
	case c.After == "":
		return fmt.Sprintf("%s: - %s (%s)", c.What, c.Before, side)
	}
	return fmt.Sprintf("%s: %s -> %s (%s)", c.What, c.Before, c.After, side)
}

// Compare returns what differs between two revisions of a plan. What cannot be
// told to be stricter counts as looser.
func Compare(old, new *Plan) Diff {
	var d Diff
	d.guards("rollback", old, new, old.Rollback, new.Rollback)
	d.guards("reduce", old, new, old.Reduce, new.Reduce)
	d.stages(old, new)
	d.settings(old, new)
	for _, rule := range new.allRules() {
		if slices.ContainsFunc(old.allRules(), func(r *Rule) bool { return r.Text == rule.Text }) && sameMetric(old, new, rule.Metric) && !slices.Contains(d.Unchanged, rule.Text) {
			d.Unchanged = append(d.Unchanged, rule.Text)
		}
	}
	return d
}

func sameMetric(old, new *Plan, name string) bool {
	a, b := old.Metrics[name], new.Metrics[name]
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Line, y.Line = 0, 0
	return reflect.DeepEqual(x, y)
}

func (d *Diff) add(c Change) {
	d.Changes = append(d.Changes, c)
	d.Looser = d.Looser || c.Looser
}

// guards compares rules that lower traffic: one that is met later, or is left
// out, is looser.
func (d *Diff) guards(what string, old, new *Plan, before, after []*Rule) {
	d.rules(what, old, new, before, after, false)
}

// rules compares two lists. A rule with the same metric, reference and
// direction is the same rule changed. criteria tells that rules let traffic
// rise (tighter is stricter); otherwise they lower it.
func (d *Diff) rules(what string, old, new *Plan, before, after []*Rule, criteria bool) {
	left := slices.Clone(before)
	var fresh []*Rule
	for _, rule := range after {
		if i := slices.IndexFunc(left, func(r *Rule) bool { return r.Text == rule.Text }); i >= 0 {
			if !sameMetric(old, new, rule.Metric) {
				d.add(Change{What: what, Rule: rule.Text, Before: rule.Text, After: rule.Text + " (metric redefined)", Looser: true})
			}
			left = slices.Delete(left, i, i+1)
		} else {
			fresh = append(fresh, rule)
		}
	}
	for _, rule := range fresh {
		i := slices.IndexFunc(left, func(r *Rule) bool {
			return r.Metric == rule.Metric && r.Ref == rule.Ref && r.side() == rule.side()
		})
		if i < 0 {
			d.add(Change{What: what, Rule: rule.Text, After: rule.Text})
			continue
		}
		d.add(Change{What: what, Rule: rule.Text, Before: left[i].Text, After: rule.Text, Looser: looser(left[i], rule, criteria)})
		left = slices.Delete(left, i, i+1)
	}
	for _, rule := range left {
		d.add(Change{What: what, Rule: rule.Text, Before: rule.Text, Looser: true})
	}
}

// side is the direction of a rule: -1 an upper bound, 1 a lower one, 0 neither.
func (r *Rule) side() int {
	switch r.Op {
	case LT, LE:
		return -1
	case GT, GE:
		return 1
	}
	return 0
}

// looser reports whether a criterion is met, or a guard missed, where it was
// not before. A change of spans, of the inconclusive or of the metric that is
// not plainly stricter counts as looser.
func looser(old, new *Rule, criteria bool) bool {
	if old.Over != new.Over || old.side() == 0 {
		return true
	}
	if criteria && new.For < old.For || !criteria && new.For > old.For {
		return true
	}
	// wider: the set of values that meet the rule grew.
	wider := float64(new.side()) * (old.Value - new.Value)
	if wider == 0 {
		wider = float64(strictness(old.Op) - strictness(new.Op))
	}
	if criteria {
		return wider > 0
	}
	return wider < 0
}

// strictness is 1 for a comparison that leaves the limit itself out.
func strictness(o Op) int {
	if o == LT || o == GT {
		return 1
	}
	return 0
}

// stages compares the ramp. A new stage splits a raise, unless it goes beyond
// the old plan's last: that is looser.
func (d *Diff) stages(old, new *Plan) {
	for _, s := range old.Stages {
		if new.StageIndex(s.Name) < 0 {
			d.add(Change{What: "stages", Before: s.Name, Looser: true})
		}
	}
	for _, s := range new.Stages {
		i := old.StageIndex(s.Name)
		if i < 0 {
			d.add(Change{What: "stages", After: s.Name, Looser: s.Traffic > old.Stages[len(old.Stages)-1].Traffic})
			continue
		}
		d.stage(old, new, old.Stages[i], s)
	}
}

func (d *Diff) stage(oldPlan, newPlan *Plan, old, new Stage) {
	what := "stage " + old.Name
	if old.Traffic != new.Traffic {
		d.add(Change{What: what + " traffic", Before: old.Traffic.String(), After: new.Traffic.String(), Looser: new.Traffic > old.Traffic})
	}
	if old.Bake != new.Bake {
		d.add(Change{What: what + " bake", Before: FormatDuration(old.Bake), After: FormatDuration(new.Bake), Looser: new.Bake < old.Bake})
	}
	d.rules(what+" proceed", oldPlan, newPlan, old.Proceed, new.Proceed, true)
	d.checks(what+" checks", oldPlan, newPlan, old.Checks, new.Checks)
	if !slices.Equal(old.Owner, new.Owner) {
		d.add(Change{What: what + " owner", Before: orNone(old.Owner), After: orNone(new.Owner)})
	}
	d.list(what+" before", old.Before, new.Before)
	d.list(what+" confirm", old.Confirm, new.Confirm)
	if !slices.Equal(old.Approve, new.Approve) {
		wider := len(new.Approve) == 0 || len(old.Approve) > 0 && slices.ContainsFunc(new.Approve, func(r string) bool { return !slices.Contains(old.Approve, r) })
		d.add(Change{What: what + " approve", Before: orNone(old.Approve), After: orNone(new.Approve), Looser: wider})
	}
	if old.Inconclusive != new.Inconclusive {
		order := []Inconclusive{Hold, Ask, Pass}
		d.add(Change{What: what + " inconclusive", Before: string(old.Inconclusive), After: string(new.Inconclusive),
			Looser: slices.Index(order, new.Inconclusive) > slices.Index(order, old.Inconclusive)})
	}
	if !reflect.DeepEqual(old.Early, new.Early) {
		d.add(Change{What: what + " early", Before: earlyText(old.Early), After: earlyText(new.Early), Looser: new.Early != nil})
	}
	if a, b := clockText(old.At), clockText(new.At); a != b {
		d.add(Change{What: what + " at", Before: a, After: b, Looser: new.At == nil})
	}
}

// checks compares when a stage is checked and for what. A check tells people
// and holds nothing, so no change of it is looser.
func (d *Diff) checks(what string, oldPlan, newPlan *Plan, old, new []Check) {
	if a, b := scheduleText(old), scheduleText(new); a != b {
		d.add(Change{What: what, Before: a, After: b})
	}
	var rules Diff
	rules.rules(what, oldPlan, newPlan, expected(old), expected(new), true)
	for _, c := range rules.Changes {
		c.Looser = false
		d.add(c)
	}
}

// expected are the rules of all checks of a stage, each once.
func expected(checks []Check) (rules []*Rule) {
	for _, c := range checks {
		for _, r := range c.Expect {
			if !hasText(rules, r.Text) {
				rules = append(rules, r)
			}
		}
	}
	return rules
}

func hasText(rules []*Rule, text string) bool {
	return slices.ContainsFunc(rules, func(r *Rule) bool { return r.Text == text })
}

// scheduleText is when a stage is checked: "every 15m for 4h, then every 1h".
func scheduleText(checks []Check) string {
	var parts []string
	for _, c := range checks {
		text := "every " + FormatDuration(c.Every)
		if c.For > 0 {
			text += " for " + FormatDuration(c.For)
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", then ")
}

func earlyText(e *Early) string {
	if e == nil {
		return "none"
	}
	return strings.TrimSpace("after " + FormatDuration(e.After) + " " + clockText(e.At))
}

func clockText(c *Clock) string {
	if c == nil {
		return "any time"
	}
	return c.Text
}

// list compares checklists: an item left out is looser.
func (d *Diff) list(what string, old, new []string) {
	for _, s := range old {
		if !slices.Contains(new, s) {
			d.add(Change{What: what, Before: s, Looser: true})
		}
	}
	for _, s := range new {
		if !slices.Contains(old, s) {
			d.add(Change{What: what, After: s})
		}
	}
}

// settings compares what is neither rule nor stage.
func (d *Diff) settings(old, new *Plan) {
	number := func(what string, before, after any, looser bool) {
		if !reflect.DeepEqual(before, after) {
			d.add(Change{What: what, Before: settingText(before), After: settingText(after), Looser: looser})
		}
	}
	a, b := old.Judge, new.Judge
	number("judge.false_rollback", a.FalseRollback, b.FalseRollback, b.FalseRollback < a.FalseRollback)
	number("judge.false_proceed", a.FalseProceed, b.FalseProceed, b.FalseProceed > a.FalseProceed)
	number("judge.margin", a.Margin, b.Margin, b.Margin > a.Margin)
	number("judge.baseline", a.Baseline, b.Baseline, true)
	number("judge.enough.users", a.EnoughUsers, b.EnoughUsers, b.EnoughUsers < a.EnoughUsers)
	number("judge.enough.for", a.EnoughFor, b.EnoughFor, b.EnoughFor < a.EnoughFor)
	number("judge.no_data.grace", a.NoData.Grace, b.NoData.Grace, b.NoData.Grace > a.NoData.Grace)
	number("judge.no_data.after", a.NoData.After, b.NoData.After, b.NoData.After > a.NoData.After)
	number("judge.no_data.then", a.NoData.Then, b.NoData.Then, b.NoData.Then == "hold")
	d.list("preflight", taskTexts(old.Preflight), taskTexts(new.Preflight))
	number("flag.holdback", old.Flag.Holdback, new.Flag.Holdback, new.Flag.Holdback < old.Flag.Holdback)
	number("flag.audience", old.Flag.Audience.Text, new.Flag.Audience.Text, true)
	number("flag.include", old.Flag.Include, new.Flag.Include, true)
	number("flag.exclude", old.Flag.Exclude, new.Flag.Exclude, true)
	number("scope", old.Scope, new.Scope, true)
	number("severity", old.Severity, new.Severity, true)
	number("calendar", calendarText(old.Calendar), calendarText(new.Calendar), true)
	number("actions.reduce.traffic", old.Actions.ReduceTraffic, new.Actions.ReduceTraffic, new.Actions.ReduceTraffic > old.Actions.ReduceTraffic)
	number("actions.restart", restartText(old.Actions), restartText(new.Actions), true)
	number("roles", rights(old), rights(new), true)
}

// settingText is a setting as the plan writes it; what has more than one line
// is joined.
func settingText(v any) string {
	var w writer
	switch v := v.(type) {
	case time.Duration:
		return FormatDuration(v)
	case float64:
		return spacedRatio(v)
	case string:
		return orWord(v)
	case flag.Subjects:
		w.subjects("subjects", v)
	case Scope:
		w.scope(v)
	case []Severity:
		w.severity(v)
	default:
		return fmt.Sprint(v)
	}
	_, text, _ := strings.Cut(w.b.String(), "\n") // without its key
	return orWord(strings.Join(strings.Fields(text), " "))
}

// orWord is "none" for nothing.
func orWord(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// taskTexts are what a checklist asks for, an item each: one that is changed
// is one left out and one added.
func taskTexts(tasks []Task) []string {
	var texts []string
	for _, t := range tasks {
		text := t.ID + ": " + t.Do
		if t.By != "" {
			text += " by " + t.By
		}
		if t.Verify != nil {
			text += " verify " + t.Verify.Text
		}
		if t.Done {
			text += " (done)"
		}
		texts = append(texts, text)
	}
	return texts
}

func calendarText(c Calendar) string {
	var parts []string
	for _, w := range c.Raise {
		parts = append(parts, w.Text)
	}
	for _, f := range c.Freeze {
		parts = append(parts, fmt.Sprintf("freeze %s - %s", f.From, f.To))
	}
	return strings.Join(parts, ", ")
}

func restartText(a Actions) string {
	return fmt.Sprintf("from %s after %s needs %s", a.RestartFrom, FormatDuration(a.RestartAfter), orNone(a.RestartNeeds))
}

// rights are who may do what, as one text.
func rights(p *Plan) string {
	all := map[string]string{}
	for _, r := range p.Roles {
		all[r.Name] = r.Who + " may " + orNone(r.May)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, name+": "+all[name])
	}
	return strings.Join(parts, "; ")
}
