package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"

	"serin/internal/incident"
)

//go:embed templates
var templateFS embed.FS

// templates holds one set per page: the components and that page. Sets are
// immutable once parsed and may be executed by many goroutines.
type templates struct {
	pages map[string]*template.Template
}

// newTemplates parses every page of templates/pages with all components.
func newTemplates() (*templates, error) {
	base, err := template.New("").Funcs(template.FuncMap{
		"icon": icon, "time": func(s stamp) stamp { return s }, "dict": dict, "percent": percent, "upper": upper,
	}).ParseFS(templateFS, "templates/components/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse components: %w", err)
	}
	files, err := templateFS.ReadDir("templates/pages")
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	t := &templates{pages: map[string]*template.Template{}}
	for _, f := range files {
		set, err := base.Clone()
		if err == nil {
			set, err = set.ParseFS(templateFS, "templates/pages/"+f.Name())
		}
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", f.Name(), err)
		}
		t.pages[strings.TrimSuffix(f.Name(), path.Ext(f.Name()))] = set
	}
	return t, nil
}

// dict makes a map of pairs, to give a component more than one value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errors.New("dict wants pairs")
	}
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, errors.New("dict wants names")
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// page is what the layout needs; Body is the page's own.
type page struct {
	Title           string
	Crumb, CrumbURL string
	Section         string // part of the dashboard: "" = rollouts, errors, alerts, plans, standup, audit, settings
	Record          bool   // loads the styles of checklist, clean-up, explanation and report
	Panels          bool   // loads the styles of panels
	Charts          bool   // loads the chart library
	Live            bool   // listens to the stream
	Dock            bool   // has an action dock on phones
	Body            any

	// Filled in by render.
	Static, Stream, Version string
	Person                  Person
	Initials                string
	SignedIn                bool
	Settings                bool // there are settings pages
	Errors                  bool // there are pages about errors
	Alerts                  bool // there are pages about alerts
	Incidents               bool // there are pages about incidents
	Reports                 bool // there are pages about stand-ups
	OpenIncidents           int  // that the person sees
	CSRF                    string
	Now                     stamp
	NowText                 string
	NowMS                   int64
	Connect                 ConnectInfo
	Palette                 []jump
	Count                   int // rollouts that have not ended
}

// jump is a line of the palette.
type jump struct{ URL, Text, Note string }

// paletteLimit is how many rollouts the palette offers.
const paletteLimit = 50

// render executes a page, or the one fragment that the request asks for, and
// sends it. A template that fails is answered with the 500 page.
func (s *server) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	set := s.pages.pages[name]
	if set == nil {
		s.fail(w, r, fmt.Errorf("no page %q", name))
		return
	}
	entry := "layout"
	if f := r.URL.Query().Get("fragment"); f != "" && status == http.StatusOK {
		entry = "f-" + f
		if set.Lookup(entry) == nil {
			http.Error(w, "no such fragment", http.StatusNotFound)
			return
		}
	}
	s.fill(r, &p, entry == "layout")
	var out bytes.Buffer
	if err := set.ExecuteTemplate(&out, entry, p); err != nil {
		s.Logger.Error("render page", "page", name, "error", err)
		if name == "problem" {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(out.Bytes()); err != nil {
		s.Logger.Debug("send page", "error", err)
	}
}

// fill adds what every page shows around its body.
func (s *server) fill(r *http.Request, p *page, whole bool) {
	now := s.Now().UTC()
	p.Static, p.Version, p.Connect = s.static.prefix, s.Version, s.Connect
	p.Connect.Project = orElse(p.Connect.Project, "serin")
	p.Connect.Environ = orElse(p.Connect.Environ, "production")
	if p.Live {
		p.Stream = StreamURL
	}
	p.Now, p.NowText, p.NowMS = at(now, now), now.Format("Mon 2 Jan, 15:04 UTC"), now.UnixMilli()
	v := visitOf(r.Context())
	if v.Cookie == "" {
		return
	}
	p.Settings, p.Errors, p.Alerts = s.Access != nil, s.Issues != nil, s.Options.Alerts != nil
	p.Incidents, p.Reports = s.Options.Incidents != nil, s.Standups != nil
	p.SignedIn, p.Person, p.Initials, p.CSRF = true, v.Person, initials(v.Person.Name), s.Sessions.CSRF(v.Cookie)
	if !v.Person.Principal.InProject("") {
		p.Connect.DSN = s.ownDSN(r)
	}
	if whole && p.Incidents {
		for _, i := range s.Options.Incidents.List(v.Person.Principal.InProject, false) {
			p.OpenIncidents += b2i(i.Status == incident.Open)
		}
	}
	if whole {
		s.palette(r, p)
	}
}

// palette lists the rollouts one can jump to. It is a convenience: a failure
// to read leaves it empty.
func (s *server) palette(r *http.Request, p *page) {
	views, err := s.Rollouts.Views(r.Context())
	if err != nil {
		return
	}
	for _, v := range views {
		p.Count += b2i(!ended(v))
		if len(p.Palette) < paletteLimit {
			p.Palette = append(p.Palette, jump{"/rollouts/" + v.ID, v.ID, "Rollout · " + stageName(v)})
		}
	}
}

// initials are two letters for the avatar.
func initials(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '-' || r == '_' || r == '.' || r == '@' })
	out := ""
	for _, w := range words[:min(2, len(words))] {
		out += string([]rune(w)[:1])
	}
	return strings.ToUpper(out)
}

// problemBody is an error page: what failed and what still works.
type problemBody struct {
	Status     int
	Head, Text string
}

func (s *server) problem(w http.ResponseWriter, r *http.Request, status int, head, text string) {
	if r.URL.Query().Has("fragment") {
		http.Error(w, head, status)
		return
	}
	s.render(w, r, status, "problem", page{Title: head, Body: problemBody{status, head, text}})
}

// missing is the 404 page.
func (s *server) missing(w http.ResponseWriter, r *http.Request) {
	s.problem(w, r, http.StatusNotFound, "There is no such page",
		"The address may be misspelt, or the rollout has another number. The list of rollouts has them all.")
}

// fail logs err and answers the 500 page, which names no internals.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.Logger.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	s.problem(w, r, http.StatusInternalServerError, "Something failed on the server",
		"The cause is in serin's log at "+s.Now().UTC().Format(time.TimeOnly)+" UTC. Flags and rollouts go on without this page, and so does the command line.")
}
