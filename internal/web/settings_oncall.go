package web

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/oncall"
	"serin/internal/paging"
	"serin/internal/store"
)

// OnCall is who is on call, how people are reached and who was paged:
// *paging.Engine. Errors wrap store.ErrNotFound and oncall.ErrInvalid.
type OnCall interface {
	Rotas(ctx context.Context, sees func(project string) bool) []paging.View
	Override(ctx context.Context, name string, o oncall.Override, by store.AuditEntry) (paging.View, error)
	Contact(person string) paging.Contact
	PutContact(ctx context.Context, c paging.Contact, by store.AuditEntry) (unreached []string, err error)
	Pages(ctx context.Context, limit int, sees func(project string) bool) ([]paging.Page, error)
	Ack(ctx context.Context, key string, by store.AuditEntry) (int, error)
}

// pagesRead is how many of the newest pages are searched for open ones.
const pagesRead = 100

// onCallBody is the page about rotas; Available is false where there are none.
type onCallBody struct {
	Nav         settingsNav
	Available   bool
	May         bool // who looks may put people on call and acknowledge
	Account     bool // who looks has an account, and so contacts
	Rotas       []rotaRow
	Pages       []pageRow
	Addresses   string // one's own, one a line
	Error, Done string
}

type rotaRow struct {
	Name, Zone, On, Unreached string
	Until                     stamp
	Gaps                      int
	Shifts                    []shiftRow
}

type shiftRow struct {
	From, To stamp
	People   string // "" = nobody
}

type pageRow struct {
	ID, Title, Rota, Last string
	At                    stamp
}

// onCallRoutes adds the page about rotas, and its forms where there are some.
func (s *server) onCallRoutes(mux *http.ServeMux, form func(http.HandlerFunc) http.HandlerFunc) {
	mux.HandleFunc("GET /settings/oncall", s.signedIn(s.onCall))
	if s.OnCall == nil {
		return
	}
	mux.HandleFunc("POST /settings/oncall/override", form(s.overrideRota))
	mux.HandleFunc("POST /settings/oncall/ack", form(s.ackPage))
	mux.HandleFunc("POST /settings/oncall/contact", form(s.ownContact))
}

func (s *server) onCall(w http.ResponseWriter, r *http.Request) {
	s.showOnCall(w, r, http.StatusOK, "")
}

// showOnCall shows the page with what was wrong with a form. Addresses of
// others are not shown, and pages only to people of the whole server.
func (s *server) showOnCall(w http.ResponseWriter, r *http.Request, status int, wrong string) {
	who := by(r)
	b := onCallBody{Nav: settingsNav{"oncall", who.Can(auth.Admin)}, Available: s.OnCall != nil, May: mayTest(who), Account: who.Person != "",
		Error: wrong, Done: onCallDone[r.URL.Query().Get("done")]}
	if b.Available {
		for _, v := range s.OnCall.Rotas(r.Context(), who.InProject) {
			b.Rotas = append(b.Rotas, s.rotaRowOf(v))
		}
		b.Addresses = strings.Join(s.OnCall.Contact(who.Person).Addresses, "\n")
	}
	if b.Available && who.WholeServer() {
		pages, err := s.OnCall.Pages(r.Context(), pagesRead, who.InProject)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		for _, p := range pages {
			if p.State.Open() {
				b.Pages = append(b.Pages, s.pageRowOf(p))
			}
		}
	}
	s.render(w, r, status, "oncall", settingsPage("On call", "On call", b))
}

// onCallDone are the sentences that the page says once after a form.
var onCallDone = map[string]string{
	"override":  "The override is kept and counts from its begin.",
	"ack":       "Acknowledged: nobody is told of it any more.",
	"contact":   "Your addresses are kept.",
	"unreached": "Your addresses are kept, but this server cannot deliver to all of them now: look at Channels.",
}

func (s *server) rotaRowOf(v paging.View) rotaRow {
	now := s.Now()
	row := rotaRow{Name: v.Name, Zone: v.Timezone, On: strings.Join(v.On, ", "), Unreached: strings.Join(v.Unreached, ", "), Until: at(v.Until, now), Gaps: len(v.Gaps)}
	for _, x := range v.Shifts {
		row.Shifts = append(row.Shifts, shiftRow{From: at(x.From, now), To: at(x.To, now), People: strings.Join(x.People, ", ")})
	}
	return row
}

func (s *server) pageRowOf(p paging.Page) pageRow {
	row := pageRow{ID: p.ID, Title: clip(p.Notice.Title, 120), Rota: p.Rota, At: at(p.State.Began, s.Now())}
	if n := len(p.Log); n > 0 {
		row.Last = clip(p.Log[n-1].Text, 160)
	}
	return row
}

// entry is what the audit log keeps of a form.
func (s *server) entry(r *http.Request, reason string) store.AuditEntry {
	return store.AuditEntry{At: s.Now(), Who: by(r).Name, Via: "web", Address: auth.Address(r.Context()), Reason: reason}
}

// mayPage answers those who may not change what is the whole server's.
func (s *server) mayPage(w http.ResponseWriter, r *http.Request) bool {
	if mayTest(by(r)) {
		return true
	}
	s.problem(w, r, http.StatusForbidden, "You may not do this", "Rotas and pages need somebody who may operate rollouts of every project. Nothing was changed.")
	return false
}

// overrideRota puts somebody on duty; times of the form are in UTC.
func (s *server) overrideRota(w http.ResponseWriter, r *http.Request) {
	if !s.mayPage(w, r) {
		return
	}
	const layout = "2006-01-02T15:04" // of <input type="datetime-local"> (HTML, section 2.3.5.5)
	from, err := time.Parse(layout, r.FormValue("from"))
	to, late := time.Parse(layout, r.FormValue("to"))
	if err != nil || late != nil {
		s.showOnCall(w, r, http.StatusUnprocessableEntity, "Begin and end are times such as 2026-03-02T09:00.")
		return
	}
	why := clip(strings.TrimSpace(r.FormValue("why")), 300)
	o := oncall.Override{Person: oncall.Person(strings.TrimSpace(r.FormValue("person"))), From: from, To: to, Why: why}
	_, err = s.OnCall.Override(r.Context(), r.FormValue("rota"), o, s.entry(r, why))
	s.afterOnCall(w, r, "override", err)
}

// ackPage acknowledges a page in the name of who asks.
func (s *server) ackPage(w http.ResponseWriter, r *http.Request) {
	if !s.mayPage(w, r) {
		return
	}
	n, err := s.OnCall.Ack(r.Context(), r.FormValue("page"), s.entry(r, ""))
	if err == nil && n == 0 {
		err = store.ErrNotFound
	}
	s.afterOnCall(w, r, "ack", err)
}

// ownContact says how oneself is reached.
func (s *server) ownContact(w http.ResponseWriter, r *http.Request) {
	who := by(r)
	if _, err := s.Access.Account(r.Context(), who, who.Person); err != nil {
		s.accessError(w, r, err)
		return
	}
	c := paging.Contact{Person: who.Person, Addresses: strings.Fields(r.FormValue("addresses"))}
	unreached, err := s.OnCall.PutContact(r.Context(), c, s.entry(r, ""))
	done := "contact"
	if len(unreached) > 0 {
		done = "unreached"
	}
	s.afterOnCall(w, r, done, err)
}

// afterOnCall leads back to the page, or says what is wrong.
func (s *server) afterOnCall(w http.ResponseWriter, r *http.Request, done string, err error) {
	switch {
	case err == nil:
		http.Redirect(w, r, "/settings/oncall?done="+done, http.StatusSeeOther)
	case errors.Is(err, oncall.ErrInvalid):
		s.showOnCall(w, r, http.StatusUnprocessableEntity, upper(err.Error())+".")
	default:
		s.accessError(w, r, err)
	}
}
