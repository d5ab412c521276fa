package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"serin/internal/alert"
	"serin/internal/alerting"
	"serin/internal/auth"
	"serin/internal/judge"
	"serin/internal/store"
)

// Alerts is what the pages about alert rules show and change.
type Alerts interface {
	// Project is the project of a rule, or store.ErrNotFound.
	Project(id string) (string, error)
	List(sees func(project string) bool) []alerting.View
	Get(id string) (alerting.View, error)
	Why(ctx context.Context, id string, at time.Time) (alerting.Why, error)
	Backtest(ctx context.Context, id string, span time.Duration, t alerting.Trial) (*alert.Backtest, error)
	Ack(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (alerting.View, error)
	Silence(ctx context.Context, id string, labels alert.Labels, until time.Time, by store.AuditEntry) (alerting.View, error)
	Unsilence(ctx context.Context, id string, labels alert.Labels, by store.AuditEntry) (alerting.View, error)
}

// alertsBody is the list of rules.
type alertsBody struct {
	Lead string
	Rows []alertRow
	CLI  string
}

// alertRow is one rule in the list.
type alertRow struct {
	ID, URL, Name, Rule, Severity string
	Rollout, RolloutURL           string
	Pill                          pill
	Marks                         []string
	Value                         string
	Since                         stamp
	Channels                      []string
}

func (s *server) alerts(w http.ResponseWriter, r *http.Request) {
	now := s.Now().UTC()
	all := s.Options.Alerts.List(visitOf(r.Context()).Person.Principal.InProject)
	b := alertsBody{CLI: "serin alert list", Lead: alertsLead(all)}
	for i := range all {
		b.Rows = append(b.Rows, alertRowOf(&all[i], now))
	}
	s.render(w, r, http.StatusOK, "alerts", page{Title: "Alerts", Section: "alerts", Live: true, Body: b})
}

func alertsLead(all []alerting.View) string {
	n := map[alert.Phase]int64{}
	for _, v := range all {
		n[v.Phase]++
	}
	text := plural(int64(len(all)), "rule") + ", " + count(n[alert.Firing]) + " firing"
	if n[alert.NoData] > 0 {
		text += ", " + count(n[alert.NoData]) + " without data"
	}
	return text + "."
}

// alertPill is where a rule or a group of it stands.
func alertPill(p alert.Phase) pill {
	switch p {
	case alert.Firing:
		return pill{"fail", "fail", "Firing"}
	case alert.Pending:
		return pill{"warn", "warn", "Pending"}
	case alert.NoData:
		return pill{"warn", "wait", "No data"}
	case alert.Resolved:
		return pill{"pass", "pass", "Resolved"}
	}
	return pill{"pass", "pass", "OK"}
}

func alertRowOf(v *alerting.View, now time.Time) alertRow {
	row := alertRow{ID: v.ID, URL: "/alerts/" + url.PathEscape(v.ID), Name: v.Name, Rule: v.Text, Severity: v.Severity, Pill: alertPill(v.Phase)}
	if v.Rollout != "" {
		row.Rollout, row.RolloutURL = v.Rollout, "/rollouts/"+url.PathEscape(v.Rollout)
	}
	if !v.Since.IsZero() {
		row.Since = at(v.Since, now)
		row.Since.Text = ago(v.Since, now)
	}
	acked, silenced, flapping := false, false, false
	for i, g := range v.Groups {
		if i == 0 {
			row.Value = groupValue(g, v.Unit)
		}
		if g.Phase == alert.Firing && g.Severity < row.Severity && g.Severity != "" {
			row.Severity = g.Severity
		}
		acked, silenced, flapping = acked || !g.Acked.IsZero(), silenced || !g.Silenced.IsZero(), flapping || g.Flapping
	}
	for _, m := range []struct {
		on   bool
		text string
	}{{acked, "acknowledged"}, {silenced || len(v.Silences) > 0, "silenced"}, {flapping, "flapping"}, {v.NoData != "" && v.Phase != alert.NoData, "no data"}, {v.Failed != "", "not looked at"}} {
		if m.on {
			row.Marks = append(row.Marks, m.text)
		}
	}
	for _, ch := range v.Notify {
		row.Channels = append(row.Channels, ch.Address)
	}
	return row
}

func groupValue(g alerting.GroupView, unit string) string {
	if g.Value == nil {
		return "—"
	}
	return judge.Format(*g.Value, unit)
}

// alertBody is one rule.
type alertBody struct {
	View     alerting.View
	Pill     pill
	Severity string
	Rollout  link
	Opened   []link // incidents, newest first
	Lines    []string
	Groups   []alertGroup
	Silences []alertSilence
	History  []alertEntry
	Test     alertTest
	May      bool // acknowledge and silence
	CanAck   bool
	Wrong    string
	CLI      []string
}

type alertGroup struct {
	Name, Key, Severity, Value, Note string
	Pill                             pill
	Since                            stamp
}

type alertSilence struct {
	Labels, By, Reason string
	Until              stamp
	Keys               []string
}

type alertEntry struct {
	At              stamp
	What, Who, Text string
}

// alertTest is what the rule would have done.
type alertTest struct {
	Sum  string
	Rows []alertEpisode
	Not  string // why there is none
	More int
}

type alertEpisode struct {
	From, To        stamp
	Labels, Value   string
	Severity, Still string
}

// Bounds of what the page of a rule shows.
const (
	alertHistory  = 30
	alertEpisodes = 10
	alertSpan     = 7 * 24 * time.Hour
)

func (s *server) alert(w http.ResponseWriter, r *http.Request) {
	s.showAlert(w, r, http.StatusOK, "")
}

// alertOf finds a rule that the visitor may see, or answers that there is none.
func (s *server) alertOf(w http.ResponseWriter, r *http.Request) (alerting.View, bool) {
	v, err := s.Options.Alerts.Get(r.PathValue("id"))
	if err != nil || !visitOf(r.Context()).Person.Principal.InProject(v.Project) {
		s.missing(w, r)
		return v, false
	}
	return v, true
}

func (s *server) showAlert(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	v, ok := s.alertOf(w, r)
	if !ok {
		return
	}
	now := s.Now().UTC()
	row := alertRowOf(&v, now)
	b := alertBody{View: v, Pill: row.Pill, Severity: row.Severity, Rollout: link{row.Rollout, row.RolloutURL, false}, Wrong: wrong,
		May: visitOf(r.Context()).Person.Principal.Can(auth.Operate), CLI: []string{"serin alert why " + v.ID, "serin alert backtest " + v.ID}}
	b.Opened = s.incidentsOf(r, v.ID)
	why, err := s.Options.Alerts.Why(r.Context(), v.ID, time.Time{})
	if err != nil {
		s.Logger.Error("explain an alert", "alert", v.ID, "error", err)
		b.Lines = []string{"Why it stands so cannot be told now; the server's log says more."}
	} else {
		b.Lines = why.Lines
		for _, c := range why.History[:min(len(why.History), alertHistory)] {
			b.History = append(b.History, alertEntryOf(c, now))
		}
	}
	for _, g := range v.Groups {
		b.CanAck = b.CanAck || g.Phase == alert.Firing && g.Acked.IsZero()
		b.Groups = append(b.Groups, alertGroupOf(g, v.Unit, now))
	}
	for _, x := range v.Silences {
		out := alertSilence{Labels: orElse(x.Labels.String(), "everything"), By: x.By, Reason: x.Reason, Until: at(x.Until, now)}
		for _, l := range x.Labels {
			out.Keys = append(out.Keys, l.Name+"="+l.Value)
		}
		b.Silences = append(b.Silences, out)
	}
	b.Test = s.alertTest(r.Context(), v, now)
	s.render(w, r, status, "alert", page{Title: v.Name, Crumb: v.ID, Section: "alerts", Live: status == http.StatusOK, Body: b})
}

func alertGroupOf(g alerting.GroupView, unit string, now time.Time) alertGroup {
	out := alertGroup{Name: orElse(g.Labels.String(), "all events"), Key: g.Key, Severity: g.Severity, Value: groupValue(g, unit), Pill: alertPill(g.Phase), Since: at(g.Since, now)}
	var notes []string
	if !g.Acked.IsZero() {
		notes = append(notes, "acknowledged by "+g.AckedBy)
	}
	if !g.Silenced.IsZero() {
		notes = append(notes, "silenced until "+g.Silenced.UTC().Format("2 Jan 15:04"))
	}
	if g.Flapping {
		notes = append(notes, "flapping: it holds until it was calm for longer")
	}
	out.Note = strings.Join(notes, ", ")
	return out
}

func alertEntryOf(c alert.Change, now time.Time) alertEntry {
	e := alertEntry{At: at(c.At, now), What: upper(string(c.Kind)), Who: orElse(c.By, "serin"), Text: c.Why}
	if len(c.Labels) > 0 {
		e.Text = strings.Trim(c.Labels.String()+": "+e.Text, ": ")
	}
	return e
}

// alertTest tries the rule on the last week.
func (s *server) alertTest(ctx context.Context, v alerting.View, now time.Time) (out alertTest) {
	test, err := s.Options.Alerts.Backtest(ctx, v.ID, alertSpan, alerting.Trial{})
	switch {
	case errors.Is(err, alert.ErrInvalid):
		out.Not = upper(err.Error()) + "."
		return out
	case err != nil:
		s.Logger.Error("back-test an alert", "alert", v.ID, "error", err)
		out.Not = "The back-test was not possible; the server's log says more."
		return out
	}
	out.Sum = "It would have fired " + plural(int64(len(test.Episodes)), "time") + " in the last 7 days, by what was counted, looked at each minute."
	if test.Highest != nil {
		out.Sum += " The value furthest out was " + judge.Format(*test.Highest, v.Unit) + "."
	}
	list := slices.Clone(test.Episodes)
	slices.Reverse(list)
	for i, e := range list {
		if i == alertEpisodes {
			out.More = len(list) - i
			break
		}
		row := alertEpisode{From: at(e.From, now), To: at(e.To, now), Labels: orElse(e.Labels.String(), "all events"), Severity: e.Severity}
		if e.Value != nil {
			row.Value = judge.Format(*e.Value, v.Unit)
		}
		if e.To.IsZero() {
			row.Still = "still"
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// silenceSpans are for how long a rule can be silenced on its page.
var silenceSpans = map[string]time.Duration{"1h": time.Hour, "8h": 8 * time.Hour, "1d": 24 * time.Hour, "7d": 7 * 24 * time.Hour}

// actOnAlert carries out what was posted.
func (s *server) actOnAlert(w http.ResponseWriter, r *http.Request) {
	v, ok := s.alertOf(w, r)
	if !ok || !s.checkCSRF(w, r) {
		return
	}
	who := visitOf(r.Context()).Person
	if !who.Principal.Can(auth.Operate) {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "It needs the scope “operate”, which you do not have.")
		return
	}
	by := store.AuditEntry{Who: who.Name, Via: "web", Address: auth.Address(r.Context()), Reason: strings.TrimSpace(r.FormValue("reason"))}
	labels, err := alert.ParseLabels(r.Form["label"])
	if key := r.FormValue("group"); key != "" && err == nil {
		labels, _ = alert.ParseKey(key)
	}
	if err == nil {
		switch r.PathValue("do") {
		case "ack":
			_, err = s.Options.Alerts.Ack(r.Context(), v.ID, labels, by)
		case "silence":
			_, err = s.Options.Alerts.Silence(r.Context(), v.ID, labels, s.Now().Add(silenceSpans[r.FormValue("for")]), by)
		case "unsilence":
			_, err = s.Options.Alerts.Unsilence(r.Context(), v.ID, labels, by)
		default:
			s.missing(w, r)
			return
		}
	}
	switch {
	case errors.Is(err, alert.ErrInvalid):
		s.showAlert(w, r, http.StatusUnprocessableEntity, upper(err.Error())+".")
	case errors.Is(err, alert.ErrNotFiring):
		s.showAlert(w, r, http.StatusConflict, upper(err.Error())+".")
	case err != nil:
		s.fail(w, r, err)
	default:
		http.Redirect(w, r, "/alerts/"+url.PathEscape(v.ID), http.StatusSeeOther)
	}
}
