package email

import (
	"bytes"
	"fmt"
	"html/template"
	"net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"serin/internal/notify"
)

const (
	maxSubject = 200
	maxText    = 100_000
	// listed is how many notices a digest tells in full; of the rest it has the titles.
	listed = 50
)

// fact is one line of a message: a rule, its value, its limit.
type fact struct{ Name, Value string }

// part is one notice in a message.
type part struct {
	Title, Text, Link string
	Facts             []fact
}

// page is the HTML of a message. It loads nothing, and html/template escapes all.
var page = template.Must(template.New("message").Parse(`<!doctype html>
<html lang="en"><body style="font-family: sans-serif; font-size: 15px; line-height: 1.5">
{{range .}}<h2 style="font-size: 17px">{{.Title}}</h2>
{{with .Text}}<p style="white-space: pre-line">{{.}}</p>
{{end}}{{with .Facts}}<table cellpadding="4">{{range .}}<tr><th align="left">{{.Name}}</th><td>{{.Value}}</td></tr>{{end}}</table>
{{end}}{{with .Link}}<p><a href="{{.}}">Open in serin</a></p>
{{end}}{{end}}</body></html>
`))

func partOf(n notify.Notice) part {
	p := part{Title: notify.OneLine(n.Title, maxSubject), Text: notify.Cut(n.Text, maxText)}
	if p.Title == "" {
		p.Title = notify.OneLine(n.Type, maxSubject)
	}
	at := ""
	if !n.At.IsZero() {
		at = n.At.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	for _, f := range []fact{{"Rollout", n.Rollout}, {"Rule", n.Rule}, {"Value", n.Value}, {"Limit", n.Limit}, {"For", strings.Join(n.For, ", ")}, {"At", at}} {
		if f.Value != "" {
			p.Facts = append(p.Facts, fact{f.Name, notify.OneLine(f.Value, maxText)})
		}
	}
	if strings.HasPrefix(n.Link, "https://") || strings.HasPrefix(n.Link, "http://") {
		p.Link = n.Link
	}
	return p
}

// plain writes parts as text.
func plain(parts []part) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString("\n----\n\n")
		}
		fmt.Fprintf(&b, "%s\n", p.Title)
		if p.Text != "" {
			fmt.Fprintf(&b, "\n%s\n", p.Text)
		}
		if len(p.Facts) > 0 {
			b.WriteString("\n")
		}
		for _, f := range p.Facts {
			fmt.Fprintf(&b, "%s: %s\n", f.Name, f.Value)
		}
		if p.Link != "" {
			fmt.Fprintf(&b, "\n%s\n", p.Link)
		}
	}
	return b.String()
}

// id is the Message-ID for a key (RFC 5322, section 3.6.4): the same key has
// the same one, at every try and for every thread.
func (e *Notifier) id(key string) string { return notify.Digest(key) + "@" + e.domain }

// compose writes a message of one notice, or a digest of several.
func (e *Notifier) compose(to *mail.Address, waiting []notify.Notice) (*gomail.Msg, error) {
	first := waiting[0]
	parts := make([]part, 0, len(waiting))
	for i, n := range waiting {
		p := partOf(n)
		if i >= listed {
			p = part{Title: p.Title, Link: p.Link}
		}
		parts = append(parts, p)
	}
	subject, key := "[serin] "+parts[0].Title, first.ID
	if len(waiting) > 1 {
		subject, key = fmt.Sprintf("[serin] %d notices", len(waiting)), first.ID+"\n"+waiting[len(waiting)-1].ID
	}
	var html bytes.Buffer
	if err := page.Execute(&html, parts); err != nil {
		return nil, fmt.Errorf("email: write the message: %w", err)
	}
	m := gomail.NewMsg()
	m.FromMailAddress(e.from)
	m.ToMailAddress(to)
	m.Subject(subject)
	m.SetMessageIDWithValue(e.id(key))
	if first.Thread != "" && first.Thread != first.ID && len(waiting) == 1 {
		root := "<" + e.id(first.Thread) + ">"
		m.SetGenHeader(gomail.HeaderInReplyTo, root)
		m.SetGenHeader(gomail.HeaderReferences, root)
	}
	at := waiting[len(waiting)-1].At
	if at.IsZero() {
		at = time.Now()
	}
	m.SetDateWithValue(at)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no holiday replies
	m.SetGenHeader("List-Id", "<notices."+e.domain+">")
	m.SetBodyString(gomail.TypeTextPlain, plain(parts))
	m.AddAlternativeString(gomail.TypeTextHTML, html.String())
	return m, nil
}
