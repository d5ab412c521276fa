package slack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"serin/internal/notify"
)

// Limits of docs.slack.dev/reference/block-kit: characters of a section's
// text and of one of its fields. The fallback text is cut where Slack
// recommends; a title is one line.
const (
	maxSection  = 3000
	maxField    = 2000
	maxFallback = 4000
	maxTitle    = 150
)

// message is the body of chat.postMessage and of an incoming webhook.
type message struct {
	Channel string  `json:"channel,omitempty"`
	Text    string  `json:"text"` // fallback, and what notifications show
	Blocks  []block `json:"blocks,omitempty"`
	Unfurl  bool    `json:"unfurl_links"`
	// TS is the message to replace, ThreadTS the root to reply to.
	TS        string `json:"ts,omitempty"`
	ThreadTS  string `json:"thread_ts,omitempty"`
	Broadcast bool   `json:"reply_broadcast,omitempty"` // the reply is shown in the channel too
}

type block struct {
	Type     string `json:"type"`
	Text     *text  `json:"text,omitempty"`
	Fields   []text `json:"fields,omitempty"`
	Elements []any  `json:"elements,omitempty"` // text, or button
}

// button is docs.slack.dev/reference/block-kit/block-elements/button-element.
type button struct {
	Type    string   `json:"type"`
	Text    text     `json:"text"`
	ID      string   `json:"action_id"`
	Value   string   `json:"value"`
	Style   string   `json:"style,omitempty"`
	Confirm *confirm `json:"confirm,omitempty"`
}

// confirm asks once more before a click counts.
type confirm struct {
	Title text `json:"title"`
	Text  text `json:"text"`
	Yes   text `json:"confirm"`
	No    text `json:"deny"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func mrkdwn(s string) text { return text{Type: "mrkdwn", Text: s} }

func section(s string) block {
	t := mrkdwn(s)
	return block{Type: "section", Text: &t}
}

// compose writes a notice as a message: title, text, what rule it rests on
// with value and limit, and where to look.
func compose(n notify.Notice) message {
	title := escape(oneLine(n.Title), maxTitle)
	if title == "" {
		title = escape(oneLine(n.Type), maxTitle)
	}
	m := message{Blocks: []block{section("*" + title + "*")}}
	if n.Text != "" {
		m.Blocks = append(m.Blocks, section(escape(n.Text, maxSection)))
	}
	if len(n.For) > 0 {
		m.Blocks = append(m.Blocks, section(escape("For "+oneLine(strings.Join(n.For, ", ")), maxField)))
	}
	var facts []string
	fields := block{Type: "section"}
	for _, f := range []struct{ name, value string }{{"Rule", n.Rule}, {"Value", n.Value}, {"Limit", n.Limit}} {
		if f.value == "" {
			continue
		}
		const label = 16 // room for the name and its marks
		fields.Fields = append(fields.Fields, mrkdwn("*"+f.name+"*\n"+escape(f.value, maxField-label)))
		facts = append(facts, strings.ToLower(f.name)+" "+f.value)
	}
	if len(fields.Fields) > 0 {
		m.Blocks = append(m.Blocks, fields)
	}
	m.Blocks = append(m.Blocks, block{Type: "context", Elements: []any{mrkdwn(footer(n))}})
	if b := buttons(n); len(b.Elements) > 0 {
		m.Blocks = append(m.Blocks, b)
	}
	m.Text = title
	if len(facts) > 0 {
		m.Text += ": " + escape(oneLine(strings.Join(facts, ", ")), maxFallback-maxTitle-2)
	}
	return m
}

// footer names the rollout, the time and the page.
func footer(n notify.Notice) string {
	parts := []string{escape(oneLine(n.Rollout), maxTitle)}
	if !n.At.IsZero() {
		parts = append(parts, n.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if strings.HasPrefix(n.Link, "https://") || strings.HasPrefix(n.Link, "http://") {
		link := strings.NewReplacer("|", "%7C", ">", "%3E", "<", "%3C", "&", "&amp;", " ", "%20", "\n", "").Replace(n.Link)
		if len(link) < maxField {
			parts = append(parts, "<"+link+"|open in serin>")
		}
	}
	return strings.Join(parts, " · ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// escape writes s as Slack wants text that is no markup, and cuts it to limit
// characters, never within an escape.
func escape(s string, limit int) string {
	const ellipsis = "…"
	var (
		b        strings.Builder
		n, fit   int // characters written; bytes that leave room for the ellipsis
		replaced = map[rune]string{'&': "&amp;", '<': "&lt;", '>': "&gt;"}
	)
	for _, r := range s {
		piece, ok := replaced[r]
		if !ok {
			piece = string(r)
		}
		width := 1
		if ok {
			width = len(piece)
		}
		if n+width > limit {
			return b.String()[:fit] + ellipsis
		}
		b.WriteString(piece)
		if n += width; n < limit {
			fit = b.Len()
		}
	}
	return b.String()
}

// ActionPrefix begins the action_id of serin's buttons; the verb follows, then
// a dot and the button's number.
const ActionPrefix = "serin."

const (
	maxButtons = 5 // shown without folding
	maxLabel   = 75
	actions    = "actions"
)

// buttons is the block with what a reader may do; no elements = nothing.
// Everything but an acknowledgement asks once more.
func buttons(n notify.Notice) block {
	b := block{Type: actions}
	plain := func(s string) text { return text{Type: "plain_text", Text: s} }
	for i, a := range n.Actions[:min(len(n.Actions), maxButtons)] {
		label := notify.OneLine(a.Label, maxLabel)
		e := button{Type: "button", Text: plain(label), ID: fmt.Sprintf("%s%s.%d", ActionPrefix, a.Verb, i), Value: a.Value}
		if a.Verb == notify.VerbRollback {
			e.Style = "danger"
		}
		if a.Verb != notify.VerbAcknowledge && a.Verb != notify.VerbAccept { // accept asks for a reason anyway
			const maxQuestion, maxYes = 100, 30
			e.Confirm = &confirm{Title: plain(notify.OneLine(a.Label+"?", maxQuestion)), Text: plain(notify.OneLine(n.Title, 2*maxQuestion)),
				Yes: plain(notify.OneLine(a.Label, maxYes)), No: plain("Cancel")}
		}
		b.Elements = append(b.Elements, e)
	}
	return b
}

// withoutButtons is blocks without the one that buttons made.
func withoutButtons(blocks []block) []block {
	return slices.DeleteFunc(blocks, func(b block) bool { return b.Type == actions })
}

// Buttons is the block of a message with actions, as JSON; nil = none.
func (c *Client) Buttons(title string, list []notify.Action) json.RawMessage {
	b := buttons(notify.Notice{Title: title, Actions: list})
	if len(b.Elements) == 0 {
		return nil
	}
	data, _ := json.Marshal(b) // strings: never fails
	return data
}
