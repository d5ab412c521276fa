package standup

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"serin/internal/judge"
	"serin/internal/plan"
)

const none = "—"

// headline is the report in one line.
func (r Report) headline() string {
	var parts []string
	add := func(n int, one string) {
		if n > 0 {
			parts = append(parts, plural(n, one))
		}
	}
	red := 0
	for _, m := range r.Metrics {
		if m.Word == judge.NotMet.String() {
			red++
		}
	}
	add(red, "gate")
	if red > 0 {
		parts[0] += " not met"
	}
	for _, m := range r.Severe {
		if m.Now != nil && *m.Now > 0 {
			what := m.Title
			if *m.Now == 1 {
				what = strings.TrimSuffix(what, "s")
			}
			parts = append(parts, judge.Format(*m.Now, "")+" "+what)
		}
	}
	add(len(r.Issues), "new issue")
	add(len(r.Spikes), "spike")
	add(len(r.Slow), "slow-down")
	if n, ok := r.complaints(); ok && n > 0 {
		add(n, "complaint")
	}
	add(len(r.Incidents), "open incident")
	text := "all clear"
	if r.Kind == Review {
		text = "nothing new"
	}
	if missing := r.Unmeasured(); len(parts) == 0 && missing > 0 {
		text += ", as far as was measured: " + plural(missing, "number") + " missing"
	}
	if len(parts) > 0 {
		text = strings.Join(parts, ", ")
	}
	if r.Decision != nil && r.Kind == Daily {
		text += "; serin advises: " + string(r.Decision.Advice)
	}
	return text
}

// complaints is the number of complaints in the report; ok is false where it
// tells none.
func (r Report) complaints() (n int, ok bool) {
	for _, row := range r.Feedback {
		if row.Metric == "complaints" && row.Now != nil {
			return int(*row.Now), true
		}
	}
	return 0, false
}

// Unmeasured counts the rows without a number.
func (r Report) Unmeasured() (n int) {
	for _, list := range [][]Row{r.Metrics, r.Ungated(), r.Feedback} {
		for _, row := range list {
			if row.Now == nil {
				n++
			}
		}
	}
	return n
}

// Empty reports whether a report has nothing to tell but that.
func (r Report) Empty() bool {
	n, _ := r.complaints()
	return r.Kind == Review && len(r.Issues)+len(r.Spikes)+len(r.Slow)+len(r.Incidents)+len(r.Moves)+n == 0 && r.Decision == nil && len(r.Metrics)+len(r.Severe) == 0
}

// Heading is the title of a report.
func (r Report) Heading() string {
	switch r.Kind {
	case Final:
		return "Final report of " + r.Rollout + ": " + r.Outcome
	case Review:
		return "Review of " + r.Rollout + ", " + r.Span()
	}
	return "Stand-up of " + r.Rollout + ", " + r.Weekday()
}

// Weekday is the report's day in full: "Friday 21 February".
func (r Report) Weekday() string {
	day, err := time.Parse(time.DateOnly, r.Day)
	if err != nil {
		return r.Day
	}
	return day.Format("Monday 2 January 2006")
}

// zone is the plan's; UTC where it is not known on this machine.
func (r Report) zone() *time.Location {
	loc, err := time.LoadLocation(r.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// Span is the time of a report in the plan's zone.
func (r Report) Span() string {
	from, to := r.From.In(r.zone()), r.To.In(r.zone())
	const long = "Mon 2 Jan 15:04"
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return from.Format(long) + " to " + to.Format("15:04 MST")
	}
	return from.Format(long) + " to " + to.Format(long+" MST")
}

// Text is a report as a message: a few lines of plain text.
func (r Report) Text() string {
	if r.Kind == Final {
		return strings.Join(r.Summary, "\n")
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s: %s.", upper(share(r.Exposure))+" on new, "+string(r.Status), r.Headline)
	if r.Late != "" {
		line("%s.", upper(r.Late))
	}
	if !r.Empty() {
		r.body(line)
	}
	if len(r.Unknown) > 0 {
		line("The plan asks for %s, which is no section.", strings.Join(r.Unknown, ", "))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// linesShown bounds each list of a message; the page has all.
const linesShown = 8

// body writes the sections of a message.
func (r Report) body(line func(string, ...any)) {
	for _, list := range [][]Row{r.Metrics, r.Ungated(), r.Feedback} {
		for _, row := range list {
			line("%s", row.words())
		}
	}
	r.news(line)
	if q := r.Decision; q != nil {
		line("Decide: %s serin advises: %s (%s).", sentence(q.Text), q.Advice, q.Why)
		for _, n := range q.Needs {
			line("Waits for a person: %s.", n.Text)
		}
	}
}

// news writes what is new: issues, spikes, slow-downs, incidents.
func (r Report) news(line func(string, ...any)) {
	for i, x := range r.Issues {
		if i == linesShown {
			line("and %d more new issues", len(r.Issues)-i)
			break
		}
		line("New: %s %s (%s, %s)", x.ID, oneLine(x.Title), plural(int(x.Events), "event"), plural(int(x.Users), "user"))
	}
	for i, x := range r.Spikes {
		if i == linesShown {
			line("and %d more spikes", len(r.Spikes)-i)
			break
		}
		line("Spike: %s", x.words())
	}
	for _, x := range r.Slow {
		line("Slower: %s", x.words())
	}
	for _, x := range r.Incidents {
		text := fmt.Sprintf("Open: %s %s %s", x.ID, strings.ToUpper(x.Severity), oneLine(x.Title))
		if x.Needs != "" {
			text += ", nobody has: " + x.Needs
		}
		line("%s", text)
	}
}

func (s Spike) words() string {
	text := fmt.Sprintf("%s %s times", oneLine(s.What), judge.Format(float64(s.Events), ""))
	if s.Issue != "" {
		text = s.Issue + " " + text
	}
	if s.Before == 0 {
		return text + ", none in the " + plan.FormatDuration(s.Over) + " compared with"
	}
	return text + fmt.Sprintf(", %s times the rate before (%s in %s)", strconv.FormatFloat(s.Factor, 'f', 1, 64), judge.Format(float64(s.Before), ""), plan.FormatDuration(s.Over))
}

// Words is a spike in words.
func (s Spike) Words() string { return s.words() }

func (s Slow) words() string {
	text := fmt.Sprintf("%s %s, was %s (%s)", s.Title, judge.Format(s.Now, s.Unit), judge.Format(s.Before, s.Unit), change(s.Change))
	if s.Control != nil {
		text += ", control " + change(*s.Control)
	}
	return text
}

// Words is a slow-down in words.
func (s Slow) Words() string { return s.words() }

// words is a row in a line of a message.
func (r Row) words() string {
	if r.Now == nil {
		text := r.Title + ": not measured"
		if r.Why != "" {
			text += " (" + r.Why + ")"
		}
		return text
	}
	text := r.Title + ": " + judge.Format(*r.Now, r.Unit)
	var more []string
	if r.Before != nil {
		more = append(more, "before "+judge.Format(*r.Before, r.Unit))
	}
	if r.Control != nil {
		more = append(more, "control "+judge.Format(*r.Control, r.Unit))
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	if r.Rule != "" {
		text += ", " + r.Rule + " " + r.Word
	}
	return text
}

// Value is a number of a row in words.
func (r Row) Value(v *float64) string {
	if v == nil {
		return none
	}
	return judge.Format(*v, r.Unit)
}

func change(share float64) string { return fmt.Sprintf("%+.0f%%", share*100) }

func share(percent float64) string {
	return strconv.FormatFloat(math.Round(percent*1000)/1000, 'f', -1, 64) + "%"
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// sentence ends a text that may end with a question mark.
func sentence(s string) string {
	if strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func clock(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") }
