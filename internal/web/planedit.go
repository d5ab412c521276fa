package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"serin/internal/controller"
	"serin/internal/plan"
	"serin/internal/rollout"
	"serin/internal/store"
)

// How long a plan's text in a form may be, and that form: its encoding may
// take three bytes for one.
const (
	maxPlanText      = 256 << 10
	maxPlanFormBytes = 3*maxPlanText + maxFormBytes
)

// draftForm is the text of a draft to compare. It is stored nowhere until a
// rollout is revised with it.
type draftForm struct {
	URL, CSRF, Text string
	From            int
	Rows            int
	Open            bool // unfolded
}

// reviseForm puts the newer side in force in a rollout.
type reviseForm struct {
	URL, CSRF, Rollout string
	Version            int64
	Plan, Text, Hash   string
	From, To           int
	Missing            []string // what bars it
	Error              string   // why it was refused
	Approve            bool     // the person may approve a looser revision
}

// formLimit is how long a posted form may be.
func formLimit(r *http.Request) int64 {
	if strings.HasPrefix(r.URL.Path, "/plans/") && strings.HasSuffix(r.URL.Path, "/baseline") {
		return maxBaselineForm
	}
	if strings.HasPrefix(r.URL.Path, "/plans/") && strings.HasSuffix(r.URL.Path, "/diff") ||
		strings.HasPrefix(r.URL.Path, "/rollouts/") && strings.HasSuffix(r.URL.Path, "/revise") {
		return maxPlanFormBytes
	}
	return maxFormBytes
}

// planForm reads a form with a plan's text. On false the answer is written.
func (s *server) planForm(w http.ResponseWriter, r *http.Request) (text string, ok bool) {
	if err := r.ParseForm(); err != nil {
		if long := (*http.MaxBytesError)(nil); errors.As(err, &long) {
			s.tooLong(w, r)
			return "", false
		}
		s.problem(w, r, http.StatusBadRequest, "The form could not be read", "Open the page again and repeat the action.")
		return "", false
	}
	if !s.checkCSRF(w, r) {
		return "", false
	}
	if text = unixLines(r.PostForm.Get("text")); len(text) > maxPlanText {
		s.tooLong(w, r)
		return "", false
	}
	return text, true
}

func (s *server) tooLong(w http.ResponseWriter, r *http.Request) {
	s.problem(w, r, http.StatusRequestEntityTooLarge, "The plan is too long for this page",
		fmt.Sprintf("A page takes %d KiB. The command line takes longer ones: serin plan diff PLAN --plan FILE.", maxPlanText>>10))
}

// unixLines undoes what forms do to the ends of lines (HTML, 4.10.21.7), so
// that a text that nobody touched keeps its hash.
func unixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

// draftPage is the form to write a draft in, with the text of a version.
func (s *server) draftPage(w http.ResponseWriter, r *http.Request, from int) {
	p, err := s.Rollouts.Plan(r.Context(), r.PathValue("plan"), from)
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	b := diffBody{Name: p.Name, From: "Version " + strconv.Itoa(p.Number), To: "Draft", FromN: p.Number, Pill: pill{"wait", "plan", "Draft"},
		Lead:  "Change the text and compare it. Nothing is stored until you put it in force.",
		Draft: s.draftOf(p.Name, p.Number, p.Source, visitOf(r.Context())), CLI: []string{fmt.Sprintf("serin plan show %s --version %d", p.Name, p.Number)}}
	b.Draft.Open = true
	s.render(w, r, http.StatusOK, "plandiff", page{Title: p.Name + ", draft", Section: "plans", Crumb: p.Name, CrumbURL: planURL(p.Name, 0), Body: b})
}

// The rows of a draft's field.
const (
	leastRows = 12
	mostRows  = 40
)

func (s *server) draftOf(name string, from int, text string, who visit) draftForm {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return draftForm{URL: planPath(name) + "/diff", CSRF: s.Sessions.CSRF(who.Cookie), Text: text, From: from,
		Rows: min(mostRows, max(leastRows, strings.Count(text, "\n")+2))}
}

// compareDraft shows what a posted draft changes; it changes nothing.
func (s *server) compareDraft(w http.ResponseWriter, r *http.Request) {
	text, ok := s.planForm(w, r)
	if !ok {
		return
	}
	from, ok := versionOf(r.PostForm.Get("from"))
	if !ok {
		s.missing(w, r)
		return
	}
	d, err := s.Rollouts.CompareDraft(r.Context(), r.PathValue("plan"), from, []byte(text))
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	s.showDiff(w, r, http.StatusOK, d, r.PostForm.Get("whole") == "1", "")
}

// diffForms adds the forms to write on and to put the newer side in force.
func (s *server) diffForms(b *diffBody, d controller.PlanDiff, who visit, problem string) {
	b.Draft = s.draftOf(d.Plan, d.From.Number, d.To.Source, who)
	b.Draft.Open = d.To.Number == 0 && (d.Text == "" || d.To.Check.Errors > 0)
	r := d.Revision
	if r == nil || r.Same || d.Text == "" && d.To.Number == 0 {
		return
	}
	f := &reviseForm{URL: "/rollouts/" + r.Rollout + "/revise", CSRF: b.Draft.CSRF, Rollout: r.Rollout, Version: r.Version, Plan: d.Plan,
		Text: b.Draft.Text, Hash: hashOf(d.To.Source), From: d.From.Number, To: d.To.Number, Error: problem}
	if !r.Possible {
		f.Missing = append(f.Missing, "what is listed above must be mended first")
	}
	if !who.Person.can("approve") {
		f.Missing = append(f.Missing, "your token may not revise; ask for one with the scope “approve”")
	}
	f.Approve = r.Looser && !r.Approved && r.Possible && who.Person.can("approve") && r.Status == rollout.Running
	b.Revise = f
}

// hashOf names the text that a person has seen.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// revise puts a reviewed text in force in a rollout.
func (s *server) revise(w http.ResponseWriter, r *http.Request) {
	text, ok := s.planForm(w, r)
	if !ok {
		return
	}
	v, ok := s.view(w, r)
	if !ok {
		return
	}
	who := visitOf(r.Context())
	if !who.Person.can("approve") {
		s.problem(w, r, http.StatusForbidden, "You may not do this",
			"Your token may not revise a plan. Ask for one with the scope “approve”.")
		return
	}
	c, err := command(r, who.Person, rollout.Revise)
	switch {
	case err != nil:
	case hashOf(text) != r.PostForm.Get("hash"):
		err = &rollout.Refusal{Kind: rollout.Missing, Why: "the text is not the one that was compared: compare it again"}
	default:
		_, err = s.Rollouts.Revise(r.Context(), v.ID, []byte(text), c)
	}
	if err == nil {
		http.Redirect(w, r, "/rollouts/"+v.ID+"/plan?done=revise", http.StatusSeeOther)
		return
	}
	s.reviseRefused(w, r, v, text, err)
}

// reviseRefused shows the comparison again, with why it was not put in force
// and the newest state.
func (s *server) reviseRefused(w http.ResponseWriter, r *http.Request, v controller.View, text string, err error) {
	status, why := refusalOf(err)
	if status == 0 {
		s.fail(w, r, err)
		return
	}
	from, _ := versionOf(r.PostForm.Get("from"))
	d, failed := s.Rollouts.CompareDraft(r.Context(), v.Plan, from, []byte(text))
	if failed != nil {
		s.planFailed(w, r, failed)
		return
	}
	s.showDiff(w, r, status, d, false, why)
}

// refusalOf is the status and the words of an error that is no failure of the
// server's; status 0 for one that is.
func refusalOf(err error) (status int, why string) {
	var no *rollout.Refusal
	var problems plan.Problems
	switch {
	case errors.As(err, &problems) && !errors.As(err, &no):
		return http.StatusUnprocessableEntity, "The plan has errors: mend the lines that are listed and compare again."
	case errors.As(err, &no):
		status = map[rollout.RefusalKind]int{rollout.Barred: http.StatusConflict, rollout.Stale: http.StatusConflict,
			rollout.Forbidden: http.StatusForbidden, rollout.Missing: http.StatusUnprocessableEntity}[no.Kind]
		if status == 0 {
			status = http.StatusConflict
		}
		return status, upper(no.Why)
	}
	return 0, ""
}

// createRollout makes the next rollout of a stored version, in preflight.
func (s *server) createRollout(w http.ResponseWriter, r *http.Request) {
	if !s.checkCSRF(w, r) {
		return
	}
	who := visitOf(r.Context())
	if !who.Person.can("operate", "approve") {
		s.problem(w, r, http.StatusForbidden, "You may not do this", "Your token may only read. Ask for one with the scope “operate”.")
		return
	}
	number, ok := versionOf(r.FormValue("version"))
	if !ok {
		s.missing(w, r)
		return
	}
	p, err := s.Rollouts.Plan(r.Context(), r.PathValue("plan"), number)
	if err != nil {
		s.planFailed(w, r, err)
		return
	}
	res, err := s.Rollouts.Create(r.Context(), p.Project, []byte(p.Source), who.Person.Name, "web")
	if err == nil {
		http.Redirect(w, r, "/rollouts/"+res.State.ID, http.StatusSeeOther)
		return
	}
	status, why := refusalOf(err)
	if status == 0 || errors.Is(err, store.ErrNotFound) {
		s.fail(w, r, err)
		return
	}
	s.showPlan(w, r, status, number, why)
}
