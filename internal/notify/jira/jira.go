// Package jira keeps one ticket for each incident in Jira Cloud by its REST API
// v3 (developer.atlassian.com/cloud/jira/platform/rest/v3), with basic
// authentication by e-mail address and API token.
//
// Jira has no key that keeps a ticket from being created twice. So a ticket has
// a label of its own, "serin-" and a digest of the notice's thread, and is looked
// for by POST /rest/api/3/search/jql before one is created; what else is told of
// the incident becomes a comment on it. Each comment and each description ends
// with the notice's id, so that one which arrives twice is written once. Jira's
// search may lag behind by seconds: the notifier remembers the tickets that it made.
//
// A channel is "jira:PROJECT" or "jira:PROJECT/P1", with a priority. Where Jira
// refuses the priority (400, errors.priority), the ticket is created without it.
// 400, 401, 403 and 404 are permanent, 429 and 5xx are tried again.
package jira

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"serin/internal/notify"
)

const (
	timeout = 7 * time.Second // of one of up to three calls
	prefix  = "jira:"
	// remembered bounds how many tickets are known without a search.
	remembered = 1000
)

// priorities are Jira's names for P1 to P4 in a new site.
var priorities = map[string]string{"P1": "Highest", "P2": "High", "P3": "Medium", "P4": "Low"}

// projectForm is what a project's key looks like, which also keeps it harmless in a query.
var projectForm = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,254}$`)

// Options configure a Notifier.
type Options struct {
	URL, Email, Token string            // the site (https://NAME.atlassian.net), an account and its API token
	IssueType         string            // "" = Bug
	Priorities        map[string]string // Jira's name by "P1" … in addresses and of a notice's severity; nil = Highest, High, Medium, Low
	// Resolve is the name of the transition that closes a ticket at an
	// incident's end, Reopen of the one when it fires again; "" = none: a comment only.
	Resolve, Reopen string
	Client          *http.Client     // nil = one with a timeout of 7 s
	Now             func() time.Time // nil = time.Now; for a Retry-After that is a date
}

// Notifier is a notify.Notifier for addresses "jira:PROJECT" and
// "jira:PROJECT/P1". It may be used by many goroutines at the same time.
type Notifier struct {
	o    Options
	call notify.Caller

	mu    sync.Mutex        // guards known
	known map[string]string // label -> key of its ticket
}

var _ notify.Notifier = (*Notifier)(nil)

// New returns a Notifier.
func New(o Options) *Notifier {
	if o.IssueType == "" {
		o.IssueType = "Bug"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	all := maps.Clone(priorities)
	maps.Copy(all, o.Priorities)
	o.Priorities = all
	o.URL = strings.TrimSuffix(o.URL, "/")
	h := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(o.Email+":"+o.Token))}}
	return &Notifier{o: o, known: map[string]string{}, call: notify.Caller{Service: "jira", Client: notify.NoRedirects(o.Client, timeout), Header: h, Now: o.Now}}
}

// Deliver implements notify.Notifier.
func (j *Notifier) Deliver(ctx context.Context, n notify.Notice) error {
	project, priority, err := j.place(n)
	if err != nil {
		return err
	}
	label := "serin-" + notify.Digest(project + "/" + n.Key(maxFact))[:24]
	key, err := j.find(ctx, project, label)
	switch {
	case err != nil:
		return err
	case key == "":
		if n.Phase() == notify.Closed {
			return nil // nobody was told of it by a ticket, or the ticket was deleted
		}
		return j.create(ctx, n, project, priority, label)
	}
	err = j.comment(ctx, key, n)
	var refused *notify.StatusError
	if errors.As(err, &refused) && refused.Code == http.StatusNotFound {
		j.forget(label) // deleted, or moved out of sight, meanwhile
		if n.Phase() == notify.Closed {
			return nil
		}
		return j.create(ctx, n, project, priority, label)
	}
	return err
}

// place reads an address.
func (j *Notifier) place(n notify.Notice) (project, priority string, err error) {
	rest, ok := strings.CutPrefix(n.Address, prefix)
	project, grade, _ := strings.Cut(rest, "/")
	if !ok || !projectForm.MatchString(project) {
		return "", "", fmt.Errorf("jira: no project in %q: write jira:PROJECT or jira:PROJECT/P1", n.Address)
	}
	if grade == "" {
		return project, j.o.Priorities[strings.ToUpper(n.Severity)], nil
	}
	if priority = j.o.Priorities[grade]; priority == "" {
		return "", "", fmt.Errorf("jira: no priority %q: use P1 to P4, or name it in the server's configuration, jira.priorities", grade)
	}
	return project, priority, nil
}

// find returns the key of the ticket with a label, "" where there is none.
func (j *Notifier) find(ctx context.Context, project, label string) (string, error) {
	j.mu.Lock()
	key := j.known[label]
	j.mu.Unlock()
	if key != "" {
		return key, nil
	}
	ask := map[string]any{"jql": fmt.Sprintf(`project = "%s" AND labels = "%s" ORDER BY created DESC`, project, label), "maxResults": 1, "fields": []string{"key"}}
	var answer struct {
		Issues []struct {
			Key string `json:"key"`
		} `json:"issues"`
	}
	if err := j.call.JSON(ctx, http.MethodPost, j.o.URL+"/rest/api/3/search/jql", ask, &answer); err != nil {
		return "", fmt.Errorf("look for the ticket: %w", err)
	}
	if len(answer.Issues) == 0 {
		return "", nil
	}
	j.remember(label, answer.Issues[0].Key)
	return answer.Issues[0].Key, nil
}

func (j *Notifier) remember(label, key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.known) >= remembered {
		clear(j.known) // they are found by search again
	}
	j.known[label] = key
}

func (j *Notifier) forget(label string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.known, label)
}

// create opens a ticket.
func (j *Notifier) create(ctx context.Context, n notify.Notice, project, priority, label string) error {
	summary := notify.OneLine(n.Title, maxSummary)
	if summary == "" {
		summary = notify.OneLine(n.Type, maxSummary)
	}
	fields := map[string]any{
		"project": map[string]string{"key": project}, "issuetype": map[string]string{"name": j.o.IssueType},
		"summary": summary, "description": marked(n), "labels": []string{"serin", label},
	}
	if priority != "" {
		fields["priority"] = map[string]string{"name": priority}
	}
	var made struct {
		Key string `json:"key"`
	}
	post := func() error {
		return j.call.JSON(ctx, http.MethodPost, j.o.URL+"/rest/api/3/issue", map[string]any{"fields": fields}, &made)
	}
	err := post()
	if priority != "" && refuses(err, "priority") {
		delete(fields, "priority")
		err = post()
	}
	if err != nil {
		return fmt.Errorf("open a ticket: %w", err)
	}
	j.remember(label, made.Key)
	return nil
}

// refuses reports whether Jira's answer names a field.
func refuses(err error, field string) bool {
	var refused *notify.StatusError
	if !errors.As(err, &refused) || refused.Code != http.StatusBadRequest {
		return false
	}
	var answer struct {
		Errors map[string]string `json:"errors"`
	}
	return json.Unmarshal(refused.Body, &answer) == nil && answer.Errors[field] != ""
}

// marked is a description or comment that ends with the notice's id.
func marked(n notify.Notice) node {
	doc := describe(n)
	doc.Content = append(doc.Content, paragraph(mention(n)))
	return doc
}

func mention(n notify.Notice) string { return "Notice " + notify.OneLine(n.ID, maxFact) }

// comment adds what n tells to a ticket, unless it is there, and moves the
// ticket where the configuration says so.
func (j *Notifier) comment(ctx context.Context, key string, n notify.Notice) error {
	at := j.o.URL + "/rest/api/3/issue/" + url.PathEscape(key)
	told, err := j.told(ctx, at, n)
	if err != nil {
		return fmt.Errorf("read ticket %s: %w", key, err)
	}
	if !told {
		if err := j.call.JSON(ctx, http.MethodPost, at+"/comment", map[string]any{"body": marked(n)}, nil); err != nil {
			return fmt.Errorf("comment on ticket %s: %w", key, err)
		}
	}
	switch n.Phase() {
	case notify.Closed:
		err = j.move(ctx, at, j.o.Resolve)
	case notify.Opened:
		err = j.move(ctx, at, j.o.Reopen)
	}
	if err != nil {
		return fmt.Errorf("move ticket %s: %w", key, err)
	}
	return nil
}

// told reports whether the description or one of the newest comments is of n.
func (j *Notifier) told(ctx context.Context, at string, n notify.Notice) (bool, error) {
	var issue struct {
		Fields struct {
			Description node `json:"description"`
		} `json:"fields"`
	}
	if err := j.call.JSON(ctx, http.MethodGet, at+"?fields=description", nil, &issue); err != nil {
		return false, err
	}
	if issue.Fields.Description.says(mention(n)) {
		return true, nil
	}
	var newest struct {
		Comments []struct {
			Body node `json:"body"`
		} `json:"comments"`
	}
	if err := j.call.JSON(ctx, http.MethodGet, at+"/comment?orderBy=-created&maxResults=20", nil, &newest); err != nil {
		return false, err
	}
	for _, c := range newest.Comments {
		if c.Body.says(mention(n)) {
			return true, nil
		}
	}
	return false, nil
}

// says reports whether a text of the document is exactly text.
func (d node) says(text string) bool {
	if d.Text == text {
		return true
	}
	for _, c := range d.Content {
		if c.says(text) {
			return true
		}
	}
	return false
}

// move makes the transition of this name, where the ticket's state has it;
// where it has not, the ticket stays.
func (j *Notifier) move(ctx context.Context, at, name string) error {
	if name == "" {
		return nil
	}
	type transition struct {
		ID   string `json:"id"`
		Name string `json:"name,omitempty"`
	}
	var have struct {
		Transitions []transition `json:"transitions"`
	}
	if err := j.call.JSON(ctx, http.MethodGet, at+"/transitions", nil, &have); err != nil {
		return err
	}
	for _, t := range have.Transitions {
		if strings.EqualFold(t.Name, name) {
			return j.call.JSON(ctx, http.MethodPost, at+"/transitions", map[string]any{"transition": transition{ID: t.ID}}, nil)
		}
	}
	return nil
}
