package jira

import (
	"strings"

	"serin/internal/notify"
)

// Limits of Jira: characters of a summary and of a text field.
const (
	maxSummary = 255
	maxBody    = 30000 // of 32,767, which count the document's own signs too
	maxLines   = 200
	maxFact    = 2000
)

// node is a part of a document in Atlassian Document Format
// (developer.atlassian.com/cloud/jira/platform/apis/document/structure).
type node struct {
	Type    string `json:"type"`
	Version int    `json:"version,omitempty"` // of the document
	Text    string `json:"text,omitempty"`
	Marks   []mark `json:"marks,omitempty"`
	Content []node `json:"content,omitempty"`
}

type mark struct {
	Type  string            `json:"type"`
	Attrs map[string]string `json:"attrs,omitempty"`
}

// paragraph is one paragraph; a text node must not be empty.
func paragraph(text string, marks ...mark) node {
	p := node{Type: "paragraph"}
	if text != "" {
		p.Content = []node{{Type: "text", Text: text, Marks: marks}}
	}
	return p
}

// describe writes a notice as a document: its text, what rule it rests on, and
// where to look. Text is text: nothing in it is markup or mentions a person.
func describe(n notify.Notice) node {
	doc := node{Type: "doc", Version: 1, Content: []node{paragraph(notify.OneLine(n.Title, maxSummary), mark{Type: "strong"})}}
	lines := strings.Split(notify.Cut(n.Text, maxBody), "\n")
	for _, line := range lines[:min(len(lines), maxLines)] {
		if strings.TrimSpace(line) != "" {
			doc.Content = append(doc.Content, paragraph(strings.TrimSpace(line)))
		}
	}
	for _, f := range []struct{ name, value string }{
		{"Rollout", n.Rollout}, {"Rule", n.Rule}, {"Value", n.Value}, {"Limit", n.Limit}, {"For", strings.Join(n.For, ", ")},
	} {
		if f.value != "" {
			doc.Content = append(doc.Content, paragraph(f.name+": "+notify.OneLine(f.value, maxFact)))
		}
	}
	if !n.At.IsZero() {
		doc.Content = append(doc.Content, paragraph("At: "+n.At.UTC().Format("2006-01-02 15:04:05 UTC")))
	}
	if strings.HasPrefix(n.Link, "https://") || strings.HasPrefix(n.Link, "http://") {
		doc.Content = append(doc.Content, paragraph("Open in serin", mark{Type: "link", Attrs: map[string]string{"href": n.Link}}))
	}
	return doc
}
