package standup

import (
	"fmt"
	"strings"
	"time"
)

// Note is what was said at a stand-up: recorded with who and when.
type Note struct {
	Do      string    `json:"do" enum:"proceed,hold,rollback"`
	By      string    `json:"by"`
	Role    string    `json:"role,omitempty"`
	Via     string    `json:"via,omitempty"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
	Present []string  `json:"present,omitempty" doc:"who was there"`
	// Approved says that it approved the next raise.
	Approved bool `json:"approved,omitempty"`
}

// Words is a note in a line.
func (n Note) Words() string {
	text := map[string]string{"proceed": "Proceed", "hold": "Hold", "rollback": "Roll back"}[n.Do]
	if n.Approved {
		text += ", approved"
	}
	if n.Reason != "" {
		text += ": " + oneLine(n.Reason)
	}
	if len(n.Present) > 0 {
		text += " (there were " + oneLine(strings.Join(n.Present, ", ")) + ")"
	}
	return text
}

// Markdown writes a report with what was decided since. Text from outside, such
// as the title of an issue, cannot become markup.
func (r Report) Markdown(notes []Note, decided []Move) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", escape(r.Heading()), escape(upper(r.Headline))+".")
	fmt.Fprintf(&b, "- Covers %s\n- %s on new, %s\n", escape(r.Span()), share(r.Exposure), r.Status)
	if r.Late != "" {
		fmt.Fprintf(&b, "- %s\n", escape(upper(r.Late)))
	}
	for _, word := range r.Unknown {
		fmt.Fprintf(&b, "- The plan asks for “%s”, which is no section\n", escape(word))
	}
	for _, line := range r.Summary {
		fmt.Fprintf(&b, "- %s\n", escape(line))
	}
	rows(&b, "Metrics", r.Metrics, r.Has(Metrics))
	rows(&b, "P1 and P2", r.Ungated(), r.Has(Severe))
	r.markNews(&b)
	rows(&b, "What users said", r.Feedback, r.Has(Complaints) || r.Has(Sentiment))
	r.markDecision(&b, notes, decided)
	return []byte(b.String())
}

func rows(b *strings.Builder, title string, list []Row, asked bool) {
	if !asked || len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n| Metric | Now | Before | Control | Gate | Verdict |\n|---|---|---|---|---|---|\n", title)
	for _, r := range list {
		now := r.Value(r.Now)
		if r.Now == nil && r.Why != "" {
			now = "not measured: " + r.Why
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", escape(r.Title), escape(now), r.Value(r.Before), r.Value(r.Control), escape(orNone(r.Rule)), orNone(r.Word))
	}
}

func (r Report) markNews(b *strings.Builder) {
	list := func(s Section, title string, lines []string) {
		if !r.Has(s) {
			return
		}
		fmt.Fprintf(b, "\n## %s\n\n", title)
		if len(lines) == 0 {
			fmt.Fprintln(b, "None.")
		}
		for _, line := range lines {
			fmt.Fprintf(b, "- %s\n", escape(line))
		}
	}
	var issues, spikes, slow, open []string
	for _, x := range r.Issues {
		issues = append(issues, fmt.Sprintf("%s %s (%s, %s)", x.ID, oneLine(x.Title), plural(int(x.Events), "event"), plural(int(x.Users), "user")))
	}
	for _, x := range r.Spikes {
		spikes = append(spikes, x.words())
	}
	for _, x := range r.Slow {
		slow = append(slow, x.words())
	}
	for _, x := range r.Incidents {
		open = append(open, fmt.Sprintf("%s %s %s, since %s", x.ID, strings.ToUpper(x.Severity), oneLine(x.Title), clock(x.Opened)))
	}
	list(NewIssues, "New issues", issues)
	list(Spikes, "Spikes"+against(r.Against), spikes)
	list(SlowDowns, "Slow-downs"+against(r.Against), slow)
	if r.Has(Incidents) || len(open) > 0 {
		r.Sections = append(r.Sections, Incidents)
		list(Incidents, "Open incidents", open)
	}
}

// against says what was compared with.
func against(words string) string {
	if words == "" {
		return ": not compared, the stage is too young"
	}
	return ", against " + words
}

func (r Report) markDecision(b *strings.Builder, notes []Note, decided []Move) {
	if len(r.Moves) > 0 {
		fmt.Fprint(b, "\n## What happened\n\n")
		for _, m := range r.Moves {
			fmt.Fprintf(b, "- %s %s\n", clock(m.At), escape(oneLine(m.Text)))
		}
	}
	if r.Decision == nil && len(notes)+len(decided) == 0 {
		return
	}
	fmt.Fprint(b, "\n## Decision\n\n")
	if q := r.Decision; q != nil {
		fmt.Fprintf(b, "%s serin advises: **%s** (%s).\n", escape(sentence(q.Text)), q.Advice, escape(oneLine(q.Why)))
		for _, n := range q.Needs {
			fmt.Fprintf(b, "\n- waits for a person: %s", escape(oneLine(n.Text)))
		}
		fmt.Fprintln(b)
	}
	for _, n := range notes {
		fmt.Fprintf(b, "- %s %s: %s\n", clock(n.At), escape(n.By), escape(n.Words()))
	}
	for _, m := range decided {
		fmt.Fprintf(b, "- %s %s\n", clock(m.At), escape(oneLine(m.Text)))
	}
	if len(notes)+len(decided) == 0 {
		fmt.Fprintln(b, "\nNot decided yet.")
	}
}

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// escapes are the characters that mean something anywhere in a line
// (CommonMark 0.31, section 2.4; GitHub adds tables, strikethrough and maths).
// Bare addresses are kept from becoming links, because they may lead anywhere.
var escapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "#", `\#`,
	"!", `\!`, "$", `\$`, "&", "&amp;", "<", "&lt;", ">", "&gt;", "://", `:\/\/`, "www.", `www\.`, "\n", " ")

// escape keeps text from being read as Markdown or as HTML.
func escape(s string) string { return escapes.Replace(s) }
