package controller

import (
	"fmt"
	"strings"
)

// Markdown writes the report in GitHub's Markdown. Text that people, plans and
// telemetry have put in is escaped: it can make no heading, link, image, HTML
// or second row of a table.
func (r Report) Markdown() []byte {
	var b strings.Builder
	d := r.document()
	fmt.Fprintf(&b, "# %s\n\n**%s**\n\n", markdown(d.Title), markdown(d.Lead))
	for _, f := range d.Facts {
		fmt.Fprintf(&b, "- %s\n", markdown(f))
	}
	for _, s := range d.Sections {
		fmt.Fprintf(&b, "\n## %s\n", markdown(s.Heading))
		for _, text := range s.Text {
			fmt.Fprintf(&b, "\n%s\n", markdown(text))
		}
		for _, t := range s.Tables {
			t.markdown(&b)
		}
		if len(s.Code) > 0 {
			code := strings.Join(s.Code, "\n")
			f := fence(code)
			fmt.Fprintf(&b, "\n%ssh\n%s\n%s\n", f, code, f)
		}
	}
	return []byte(b.String())
}

func (t table) markdown(b *strings.Builder) {
	b.WriteByte('\n')
	if t.Caption != "" {
		fmt.Fprintf(b, "%s:\n\n", markdown(t.Caption))
	}
	row := func(cells []string) {
		b.WriteByte('|')
		for _, c := range cells {
			fmt.Fprintf(b, " %s |", cell(c))
		}
		b.WriteByte('\n')
	}
	row(t.Head)
	b.WriteString("|" + strings.Repeat(" --- |", len(t.Head)) + "\n")
	for _, cells := range t.Rows {
		row(cells)
	}
}

// escapes are the characters that mean something anywhere in a line
// (CommonMark 0.31, section 2.4; GitHub adds tables, strikethrough and maths).
// Bare addresses are kept from becoming links, because they may lead anywhere.
var escapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`, "~", `\~`, "#", `\#`,
	"!", `\!`, "$", `\$`, "&", "&amp;", "<", "&lt;", ">", "&gt;", "://", `:\/\/`, "www.", `www\.`)

// cell escapes text that begins no line.
func cell(s string) string { return escapes.Replace(s) }

// markdown escapes one line of text, and at its begin also what would make a
// list, a rule or a heading of it.
func markdown(s string) string {
	out := cell(s)
	if out != "" && strings.ContainsRune("-+=", rune(out[0])) {
		return `\` + out
	}
	digits := len(out) - len(strings.TrimLeft(out, "0123456789"))
	if digits > 0 && digits < len(out) && (out[digits] == '.' || out[digits] == ')') {
		return out[:digits] + `\` + out[digits:]
	}
	return out
}

// fence is longer than every run of backticks in the code.
func fence(code string) string {
	longest, run := 2, 0
	for _, r := range code {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}
