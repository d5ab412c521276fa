package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/flag"
)

// Show returns the plan with every default filled in, as YAML, followed by
// its timeline and its runbook as comments. The whole is a plan file again:
// Show of what it parses to is the same text.
func Show(p *Plan) []byte {
	var w writer
	w.plan(p)
	for _, part := range []string{timelineText(p), Runbook(p)} {
		w.b.WriteString("\n")
		for line := range strings.Lines(part) {
			w.b.WriteString(strings.TrimRight("# "+line, " \n") + "\n")
		}
	}
	return w.b.Bytes()
}

// writer writes block-style YAML, two blanks a level.
type writer struct {
	b     bytes.Buffer
	depth int
}

// bareForm are texts that need no quotes in block style.
var bareForm = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9 _./+<>=!%-]*[A-Za-z0-9_./%-])?$`)

// scalar quotes a text where YAML readers might not read it as one.
func scalar(s string) string {
	if bareForm.MatchString(s) && !ambiguousWord.MatchString(s) && !strings.EqualFold(s, "null") {
		return s
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (w *writer) line(format string, args ...any) {
	w.b.WriteString(strings.Repeat("  ", w.depth))
	fmt.Fprintf(&w.b, format+"\n", args...)
}

// text writes a key with a text, left out when empty.
func (w *writer) text(key, value string) {
	if value != "" {
		w.line("%s: %s", keyText(key), scalar(value))
	}
}

// raw writes a key with a value that is YAML already.
func (w *writer) raw(key, value string) { w.line("%s: %s", key, value) }

func (w *writer) duration(key string, d time.Duration) { w.raw(key, FormatDuration(d)) }

// ratio writes 0..1 as a percentage.
func (w *writer) ratio(key string, f float64) {
	w.raw(key, flag.Percent(f*float64(flag.Everyone)+0.5).String())
}

// block writes a key whose value body writes one level deeper; left out when
// body writes nothing.
func (w *writer) block(key string, body func()) {
	before := w.b.Len()
	w.line("%s:", keyText(key))
	inner := w.b.Len()
	w.depth++
	body()
	w.depth--
	if w.b.Len() == inner {
		w.b.Truncate(before)
	}
}

// item writes a list's item whose keys body writes.
func (w *writer) item(body func()) {
	start := w.b.Len()
	w.depth++
	body()
	w.depth--
	if at := start + 2*w.depth; at < w.b.Len() {
		w.b.Bytes()[at] = '-'
	}
}

func (w *writer) texts(key string, all []string) {
	if len(all) == 0 {
		return
	}
	w.block(key, func() {
		for _, s := range all {
			w.line("- %s", scalar(s))
		}
	})
}

// rules writes a list of rules, empty ones too: none is not the default.
func (w *writer) rules(key string, rules []*Rule) {
	if len(rules) == 0 {
		w.raw(key, "[]")
		return
	}
	w.block(key, func() {
		for _, r := range rules {
			w.line("- %s", scalar(r.Text))
		}
	})
}

func (w *writer) date(key string, t time.Time) {
	if !t.IsZero() {
		w.text(key, t.Format("2006-01-02 15:04"))
	}
}

func (w *writer) clock(key string, c *Clock) {
	if c != nil {
		w.text(key, c.Text)
	}
}

func (w *writer) plan(p *Plan) {
	w.raw("serin", "1")
	w.text("plan", p.Name)
	w.text("title", p.Title)
	w.texts("owners", p.Owners)
	w.text("environment", p.Environment)
	w.text("timezone", p.Timezone)
	w.date("start", p.Start)
	w.block("target", func() {
		w.date("start", p.Target.Start)
		w.date("end", p.Target.End)
		if p.Target.Length > 0 {
			w.duration("length", p.Target.Length)
		}
	})
	w.flag(p.Flag)
	w.scope(p.Scope)
	w.severity(p.Severity)
	w.metrics(p)
	w.judge(p)
	w.people(p)
	w.calendar(p.Calendar)
	w.tasks("preflight", p.Preflight)
	w.block("criteria", func() {
		for _, c := range p.Criteria {
			w.rules(c.Name, c.Rules)
		}
	})
	w.block("stages", func() {
		for _, s := range p.Stages {
			w.item(func() { w.stage(s) })
		}
	})
	w.rules("rollback", p.Rollback)
	w.rules("reduce", p.Reduce)
	w.ending(p)
	w.incident(p)
	w.views(p)
}

func (w *writer) scope(s Scope) {
	w.block("scope", func() {
		w.block("tags", func() {
			for _, k := range slices.Sorted(maps.Keys(s.Tags)) {
				w.text(k, s.Tags[k])
			}
		})
		w.texts("pages", s.Pages)
		w.text("spans", s.Spans)
	})
}

func (w *writer) severity(all []Severity) {
	w.block("severity", func() {
		for _, s := range all {
			w.text(s.Name, s.Filter)
		}
	})
}

func (w *writer) flag(f Flag) {
	w.block("flag", func() {
		w.text("key", f.Key)
		w.text("by", f.By)
		w.text("env", f.Env)
		w.block("variants", func() {
			w.text("new", f.New)
			w.text("old", f.Old)
		})
		w.text("audience", f.Audience.Text)
		w.subjects("include", f.Include)
		w.subjects("exclude", f.Exclude)
		w.raw("holdback", f.Holdback.String())
		w.text("salt", f.Salt)
	})
}

func (w *writer) subjects(key string, s flag.Subjects) {
	w.block(key, func() {
		w.texts("users", s.Users)
		w.texts("tenants", s.Tenants)
		w.texts("groups", s.Groups)
	})
}

// metrics writes the plan's own metrics; the built-in ones are the reference's.
func (w *writer) metrics(p *Plan) {
	w.block("metrics", func() {
		for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
			if m := p.Metrics[name]; !m.BuiltIn {
				w.block(name, func() { w.metric(m) })
			}
		}
	})
}

func (w *writer) metric(m *Metric) {
	switch m.Kind {
	case Ratio:
		w.raw("ratio", "["+m.Of+", "+m.Per+"]")
	case Quantile:
		w.text("p"+strconv.Itoa(int(m.Q*100+0.5)), m.Field)
	case Average:
		w.text("avg", m.Field)
	case Computed:
	default:
		w.text(string(m.Kind), m.Of)
	}
	w.text("where", m.Where)
	w.text("query", m.Query)
	w.block("query", func() {
		w.text("new", m.Queries["new"])
		w.text("old", m.Queries["old"])
	})
	w.text("source", m.Source)
	w.text("unit", map[string]string{"": "number", "%": "%", "ms": "ms", "s": "s", "B": "bytes"}[m.Unit])
	w.text("good", map[bool]string{true: "up", false: "down"}[m.UpGood])
	if m.Over > 0 {
		w.duration("over", m.Over)
	}
	w.raw("weight", strconv.FormatFloat(m.Weight, 'g', -1, 64))
	w.raw("dry", strconv.FormatBool(m.Dry))
	w.text("scope", map[bool]string{true: "all", false: "plan"}[m.All])
}

func (w *writer) judge(p *Plan) {
	j := p.Judge
	w.block("judge", func() {
		w.ratio("false_rollback", j.FalseRollback)
		w.ratio("false_proceed", j.FalseProceed)
		w.ratio("margin", j.Margin)
		w.duration("baseline", j.Baseline)
		w.block("enough", func() {
			w.raw("users", strconv.Itoa(j.EnoughUsers))
			w.duration("for", j.EnoughFor)
		})
		w.block("no_data", func() {
			w.duration("grace", j.NoData.Grace)
			w.text("then", j.NoData.Then)
			w.duration("after", j.NoData.After)
			page := j.NoData.Page
			if page == "" {
				page = "owner"
			}
			w.text("page", page)
		})
		w.text("inconclusive", string(j.Inconclusive))
		w.duration("overrun", j.Overrun)
	})
	w.block("capacity", func() {
		if p.Capacity.Concurrent > 0 {
			w.raw("concurrent_at_100", strconv.Itoa(p.Capacity.Concurrent))
		}
		if p.Capacity.Pool > 0 {
			w.raw("pool", strconv.Itoa(p.Capacity.Pool))
		}
		w.text("per", p.Capacity.Per)
	})
}

func (w *writer) people(p *Plan) {
	w.block("roles", func() {
		for _, r := range p.Roles {
			w.block(r.Name, func() {
				w.text("who", r.Who)
				if r.Covers > 0 {
					w.duration("covers", r.Covers)
				}
				w.texts("may", r.May)
				w.text("escalates_to", r.EscalatesTo)
				w.texts("does", r.Does)
			})
		}
	})
	w.block("channels", func() {
		for _, c := range p.Channels {
			w.text(c.Name, c.Address)
		}
	})
}

func (w *writer) calendar(c Calendar) {
	w.block("calendar", func() {
		w.block("raise", func() {
			for _, r := range c.Raise {
				w.line("- %s", scalar(r.Text))
			}
		})
		w.block("freeze", func() {
			for _, f := range c.Freeze {
				w.item(func() {
					w.date("from", f.From)
					w.text("to", f.To.Format("2006-01-02 15:04"))
					w.text("why", f.Why)
				})
			}
		})
	})
}

func (w *writer) stage(s Stage) {
	w.text("stage", s.Name)
	w.raw("traffic", s.Traffic.String())
	w.clock("at", s.At)
	w.duration("bake", s.Bake)
	if s.Early != nil {
		w.block("early", func() {
			w.duration("after", s.Early.After)
			w.clock("at", s.Early.At)
		})
	}
	w.texts("owner", s.Owner)
	w.texts("before", s.Before)
	w.texts("approve", s.Approve)
	if len(s.Checks) == 0 {
		w.raw("checks", "[]")
	}
	w.block("checks", func() {
		for _, c := range s.Checks {
			w.item(func() {
				if c.For > 0 {
					w.duration("for", c.For)
				}
				w.duration("every", c.Every)
				w.rules("expect", c.Expect)
			})
		}
	})
	w.rules("proceed", s.Proceed)
	w.texts("confirm", s.Confirm)
	w.text("inconclusive", string(s.Inconclusive))
}

// keyText writes a key: durations such as 15m need no quotes.
func keyText(key string) string {
	if durationForm.MatchString(key) {
		return key
	}
	return scalar(key)
}
