package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"serin/internal/controller"
	"serin/internal/flag"
	"serin/internal/store"
)

// How many entries the audit page shows, and how many it can be asked for.
const (
	auditLimit = 100
	auditMost  = 1000
)

// auditBody is the audit log: who changed what, newest first.
type auditBody struct {
	Who, Target string // the filters
	Limit       int
	Days        []auditDay
	Count       int
	Older       string // address of the same page with more entries; "" = these are all
	Full        bool   // there are more than the page can show
	Error       string
	CLI         string
}

type auditDay struct {
	Name string
	Rows []auditRow
}

type auditRow struct {
	ID                              int64
	At                              stamp
	Who, WhoURL, Initials           string // no initials: serin itself
	Did, Target, TargetURL, OpenURL string
	Via, Address, Reason            string
	Change                          string // in a few words
	Before, After                   string // indented JSON
}

func (s *server) audit(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	b := auditBody{Who: strings.TrimSpace(q.Get("who")), Target: strings.TrimSpace(q.Get("target")), Limit: auditLimit}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n > 0 {
		b.Limit = min(n, auditMost)
	}
	found, err := s.Rollouts.Audit(r.Context(), controller.AuditQuery{Who: b.Who, Target: b.Target, Limit: b.Limit + 1})
	if err != nil {
		s.Logger.Error("read audit log", "error", err)
		b.Error = "The audit log could not be read. Rollouts go on, and what is changed is still written to it."
	}
	if len(found) > b.Limit {
		found = found[:b.Limit]
		b.Full = b.Limit == auditMost
		if !b.Full {
			b.Older = auditURL(b.Who, b.Target, min(b.Limit*3, auditMost))
		}
	}
	b.Count, b.Days = len(found), days(found, s.Now().UTC())
	b.CLI = "serin audit"
	for _, f := range [][2]string{{"--who", b.Who}, {"--target", b.Target}} {
		if f[1] != "" {
			b.CLI += " " + f[0] + " " + quoted(f[1])
		}
	}
	s.render(w, r, http.StatusOK, "audit", page{Title: "Audit log", Section: "audit", Body: b})
}

// quoted writes s as one word of a POSIX shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// auditURL is the page with these filters; a limit of 0 is the usual one.
func auditURL(who, target string, limit int) string {
	q := url.Values{}
	for k, v := range map[string]string{"who": who, "target": target} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return "/audit" + query(q.Encode())
}

// days groups entries, newest first, by their day in UTC.
func days(found []store.AuditEntry, now time.Time) []auditDay {
	var out []auditDay
	for _, e := range found {
		name := dayName(e.At, now)
		if len(out) == 0 || out[len(out)-1].Name != name {
			out = append(out, auditDay{Name: name})
		}
		d := &out[len(out)-1]
		d.Rows = append(d.Rows, auditRowOf(e))
	}
	return out
}

func dayName(t, now time.Time) string {
	t = t.UTC()
	name := t.Format("Mon 2 Jan 2006")
	if name == now.Format("Mon 2 Jan 2006") {
		return "Today, " + t.Format("Mon 2 Jan")
	}
	if t.Year() == now.Year() {
		return t.Format("Mon 2 Jan")
	}
	return name
}

func auditRowOf(e store.AuditEntry) auditRow {
	row := auditRow{ID: e.ID, At: at(e.At, e.At), Who: orElse(e.Who, "serin"), Did: strings.ReplaceAll(e.Verb, "_", " "), Target: e.Target,
		Via: e.Via, Address: e.Address, Reason: e.Reason, Before: pretty(e.Before), After: pretty(e.After)}
	row.At.Text = e.At.UTC().Format(time.TimeOnly)
	row.WhoURL, row.TargetURL = auditURL(e.Who, "", 0), auditURL("", e.Target, 0)
	if row.Who != "serin" {
		row.Initials = initials(row.Who)
	}
	if id, ok := strings.CutPrefix(e.Target, "rollout "); ok && id != "" {
		row.OpenURL = "/rollouts/" + url.PathEscape(id)
		row.Change = rolloutChange(e.After)
	}
	return row
}

// rolloutChange is what an entry about a rollout says it came to.
func rolloutChange(after json.RawMessage) string {
	var a struct {
		Exposure   *flag.Percent `json:"exposure"`
		Item, Rule string
	}
	if json.Unmarshal(after, &a) != nil {
		return ""
	}
	switch {
	case a.Item != "":
		return a.Item
	case a.Rule != "":
		return a.Rule
	case a.Exposure != nil:
		return "at " + a.Exposure.String()
	}
	return ""
}

// pretty indents JSON; what is none is shown as it is.
func pretty(raw json.RawMessage) string {
	var out bytes.Buffer
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	if json.Indent(&out, raw, "", "  ") != nil {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	return out.String()
}
