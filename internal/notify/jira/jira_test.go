package jira

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"serin/internal/notify"
	"serin/internal/notify/notifytest"
)

const secret = "ATATT-secret"

// ticket is what the double keeps of an issue.
type ticket struct {
	Summary, Priority, Label, Status string
	Description                      node
	Comments                         []node
}

// site is a double of a Jira Cloud site.
type site struct {
	priorities []string // that its priority scheme has
	lag        bool     // the search does not see new tickets
	tickets    []*ticket
}

var wanted = regexp.MustCompile(`^project = "OPS" AND labels = "(serin-[0-9a-f]+)" ORDER BY created DESC$`)

func refuse(w http.ResponseWriter, code int, field, why string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"errorMessages": []string{}, "errors": map[string]string{field: why}})
}

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rest/api/3/search/jql", s.search)
	mux.HandleFunc("POST /rest/api/3/issue", s.create)
	mux.HandleFunc("GET /rest/api/3/issue/{key}", func(w http.ResponseWriter, r *http.Request) {
		if t := s.of(w, r); t != nil {
			answer(w, map[string]any{"fields": map[string]any{"description": t.Description}})
		}
	})
	mux.HandleFunc("GET /rest/api/3/issue/{key}/comment", func(w http.ResponseWriter, r *http.Request) {
		if t := s.of(w, r); t != nil {
			list := []map[string]any{}
			for _, c := range t.Comments {
				list = append(list, map[string]any{"body": c})
			}
			slices.Reverse(list)
			answer(w, map[string]any{"comments": list})
		}
	})
	mux.HandleFunc("POST /rest/api/3/issue/{key}/comment", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Body node }
		if t := s.of(w, r); t == nil {
			return
		} else if json.NewDecoder(r.Body).Decode(&in) != nil || invalid(in.Body) != "" {
			refuse(w, http.StatusBadRequest, "comment", invalid(in.Body))
		} else {
			t.Comments = append(t.Comments, in.Body)
			w.WriteHeader(http.StatusCreated)
		}
	})
	mux.HandleFunc("GET /rest/api/3/issue/{key}/transitions", func(w http.ResponseWriter, r *http.Request) {
		if t := s.of(w, r); t != nil {
			answer(w, map[string]any{"transitions": []map[string]string{map[string]map[string]string{
				"Open": {"id": "31", "name": "Done"}, "Done": {"id": "11", "name": "Open again"}}[t.Status]}})
		}
	})
	mux.HandleFunc("POST /rest/api/3/issue/{key}/transitions", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Transition struct{ ID string } }
		if t := s.of(w, r); t != nil && json.NewDecoder(r.Body).Decode(&in) == nil {
			t.Status = map[string]string{"31": "Done", "11": "Open"}[in.Transition.ID]
			w.WriteHeader(http.StatusNoContent)
		}
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if email, token, _ := r.BasicAuth(); email != "bot@example.com" || token != secret {
			http.Error(w, "Client must be authenticated to access this resource.", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (s *site) of(w http.ResponseWriter, r *http.Request) *ticket {
	var n int
	if _, err := fmt.Sscanf(r.PathValue("key"), "OPS-%d", &n); err != nil || n < 1 || n > len(s.tickets) || s.tickets[n-1] == nil {
		refuse(w, http.StatusNotFound, "issue", "Issue does not exist or you do not have permission to see it.")
		return nil
	}
	return s.tickets[n-1]
}

func (s *site) search(w http.ResponseWriter, r *http.Request) {
	var in struct {
		JQL        string
		MaxResults int
		Fields     []string
	}
	m := []string(nil)
	if json.NewDecoder(r.Body).Decode(&in) == nil {
		m = wanted.FindStringSubmatch(in.JQL)
	}
	if m == nil {
		refuse(w, http.StatusBadRequest, "jql", "bad query")
		return
	}
	found := []map[string]string{}
	for i, t := range s.tickets {
		if t != nil && t.Label == m[1] && !s.lag {
			found = append(found, map[string]string{"id": "1", "key": fmt.Sprintf("OPS-%d", i+1)})
		}
	}
	answer(w, map[string]any{"issues": found, "isLast": true})
}

func (s *site) create(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Fields struct {
			Project     struct{ Key string }
			IssueType   struct{ Name string }
			Summary     string
			Description node
			Labels      []string
			Priority    struct{ Name string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, "body", err.Error())
		return
	}
	f := in.Fields
	switch n := utf8.RuneCountInString(f.Summary); {
	case f.Project.Key != "OPS":
		refuse(w, http.StatusBadRequest, "project", "valid project is required")
	case f.IssueType.Name != "Bug":
		refuse(w, http.StatusBadRequest, "issuetype", "Specify a valid issue type")
	case n == 0 || n > 255 || strings.ContainsAny(f.Summary, "\r\n"):
		refuse(w, http.StatusBadRequest, "summary", "The summary is invalid")
	case invalid(f.Description) != "":
		refuse(w, http.StatusBadRequest, "description", invalid(f.Description))
	case slices.ContainsFunc(f.Labels, func(l string) bool { return strings.Contains(l, " ") || len(l) > 255 }):
		refuse(w, http.StatusBadRequest, "labels", "The label contains spaces")
	case f.Priority.Name != "" && !slices.Contains(s.priorities, f.Priority.Name):
		refuse(w, http.StatusBadRequest, "priority", "Field 'priority' cannot be set.")
	default:
		s.tickets = append(s.tickets, &ticket{Summary: f.Summary, Priority: f.Priority.Name, Label: f.Labels[1], Status: "Open", Description: f.Description})
		w.WriteHeader(http.StatusCreated)
		answer(w, map[string]string{"id": "10000", "key": fmt.Sprintf("OPS-%d", len(s.tickets)), "self": "https://x"})
	}
}

// invalid says what is wrong with a document.
func invalid(d node) string {
	if d.Type != "doc" || d.Version != 1 || len(d.Content) == 0 {
		return "INVALID_INPUT: no document"
	}
	total := 0
	for _, p := range d.Content {
		if p.Type != "paragraph" {
			return "INVALID_INPUT: " + p.Type
		}
		for _, text := range p.Content {
			total += utf8.RuneCountInString(text.Text)
			if text.Type != "text" || text.Text == "" || strings.Contains(text.Text, "\n") {
				return "INVALID_INPUT: text"
			}
		}
	}
	if total > 32767 {
		return "CONTENT_LIMIT_EXCEEDED"
	}
	return ""
}

func start(t *testing.T, s *site, o Options) *Notifier {
	t.Helper()
	srv := httptest.NewServer(s.handler())
	t.Cleanup(srv.Close)
	o.URL, o.Email, o.Token = srv.URL, "bot@example.com", secret
	return New(o)
}

func notice(id, kind string) notify.Notice {
	return notify.Notice{ID: id, Thread: "alert/x/1/t", Address: "jira:OPS/P1", Type: kind, Title: "X\nfires", Text: "a\n\nb", Link: "https://serin.example/alerts/x",
		At: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

func TestConformance(t *testing.T) {
	s := &site{priorities: []string{"Highest"}}
	notifytest.Run(t, notifytest.Service{
		Open: func(_ *testing.T, url string) notify.Notifier {
			return New(Options{URL: url, Email: "bot@example.com", Token: secret})
		},
		Address: "jira:OPS/P1", Secret: secret, Accept: s.handler().ServeHTTP,
	})
}

// One incident is one ticket, over restarts, repeated deliveries and a lagging search.
func TestOneTicket(t *testing.T) {
	s := &site{priorities: []string{"Highest"}}
	j := start(t, s, Options{Resolve: "done", Reopen: "open again"})
	for i, step := range []struct {
		id, kind string
		restart  bool
		lag      bool
		comments int
		status   string
	}{
		{"alert/x/1/t", "alert.firing", false, false, 0, "Open"},
		{"alert/x/1/t", "alert.firing", true, false, 0, "Open"},
		{"alert/x/2/t", "alert.firing", false, true, 1, "Open"},
		{"alert/x/2/t", "alert.firing", true, false, 1, "Open"},
		{"alert/x/3/t", "alert.resolved", false, false, 2, "Done"},
		{"alert/x/3/t", "alert.resolved", false, false, 2, "Done"},
		{"alert/x/4/t", "alert.firing", false, false, 3, "Open"},
	} {
		if step.restart {
			clear(j.known)
		}
		s.lag = step.lag
		if err := j.Deliver(t.Context(), notice(step.id, step.kind)); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if len(s.tickets) != 1 || len(s.tickets[0].Comments) != step.comments || s.tickets[0].Status != step.status {
			t.Errorf("step %d: %d tickets, %d comments, %s; want 1, %d, %s", i, len(s.tickets), len(s.tickets[0].Comments), s.tickets[0].Status, step.comments, step.status)
		}
	}
	other := notice("alert/y/1/t", "alert.firing")
	other.Thread = ""
	if err := j.Deliver(t.Context(), other); err != nil || len(s.tickets) != 2 {
		t.Errorf("another incident: %v, %d tickets, want 2", err, len(s.tickets))
	}
}

func TestTicket(t *testing.T) {
	s := &site{priorities: []string{"Highest"}}
	if err := start(t, s, Options{}).Deliver(t.Context(), notice("alert/x/1/t", "alert.firing")); err != nil {
		t.Fatal(err)
	}
	want := node{Type: "doc", Version: 1, Content: []node{
		paragraph("X fires", mark{Type: "strong"}), paragraph("a"), paragraph("b"), paragraph("At: 2026-03-02 09:00:00 UTC"),
		paragraph("Open in serin", mark{Type: "link", Attrs: map[string]string{"href": "https://serin.example/alerts/x"}}), paragraph("Notice alert/x/1/t"),
	}}
	got := s.tickets[0]
	if diff := cmp.Diff(want, got.Description); diff != "" || got.Summary != "X fires" || got.Priority != "Highest" {
		t.Errorf("ticket %q %q, description differs (-want +got):\n%s", got.Summary, got.Priority, diff)
	}
}

// A site without the priority gets the ticket all the same.
func TestPriorityRefused(t *testing.T) {
	s := &site{priorities: []string{"Blocker"}}
	if err := start(t, s, Options{}).Deliver(t.Context(), notice("a", "alert.firing")); err != nil || len(s.tickets) != 1 || s.tickets[0].Priority != "" {
		t.Errorf("Deliver = %v with %d tickets, want one without a priority", err, len(s.tickets))
	}
	s = &site{priorities: []string{"Blocker"}}
	if err := start(t, s, Options{Priorities: map[string]string{"P1": "Blocker"}}).Deliver(t.Context(), notice("a", "alert.firing")); err != nil || len(s.tickets) != 1 || s.tickets[0].Priority != "Blocker" {
		t.Errorf("Deliver = %v with %d tickets, want one of priority Blocker", err, len(s.tickets))
	}
}

func TestRefused(t *testing.T) {
	s := &site{}
	j := start(t, s, Options{IssueType: "Nothing"})
	err := j.Deliver(t.Context(), notice("a", "alert.firing"))
	if _, temporary := notify.Temporary(err); err == nil || temporary || !strings.Contains(err.Error(), "issue type") {
		t.Errorf("Deliver = %v, want a permanent error that says why", err)
	}
	j.call.Header.Set("Authorization", "Basic wrong")
	err = j.Deliver(t.Context(), notice("a", "alert.firing"))
	if _, temporary := notify.Temporary(err); err == nil || temporary {
		t.Errorf("Deliver = %v, want a permanent error", err)
	}
}

// A ticket that somebody deleted does not swallow what is told later.
func TestDeleted(t *testing.T) {
	s := &site{priorities: []string{"Highest"}}
	j := start(t, s, Options{})
	if err := j.Deliver(t.Context(), notice("a", "alert.firing")); err != nil {
		t.Fatal(err)
	}
	s.tickets[0] = nil
	if err := j.Deliver(t.Context(), notice("b", "alert.firing")); err != nil || len(s.tickets) != 2 {
		t.Errorf("Deliver = %v with %d tickets, want another one", err, len(s.tickets))
	}
}

func TestLong(t *testing.T) {
	n := notice("a", "alert.firing")
	n.Title, n.Text, n.Rule = strings.Repeat("é", 400), strings.Repeat("a long line of text\n", 4000), strings.Repeat("r", 1<<16)
	s := &site{priorities: []string{"Highest"}}
	if err := start(t, s, Options{}).Deliver(t.Context(), n); err != nil {
		t.Error(err)
	}
}
