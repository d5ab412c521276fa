package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// visit is one signed-in request.
type visit struct {
	Person Person
	Cookie string
}

type visitKey struct{}

// visitOf returns who is asking; the zero visit outside of signedIn.
func visitOf(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}

// signedIn lets only people with a session through; others are sent to the
// sign-in page and come back to where they were going.
func (s *server) signedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie(CookieName)
		if err != nil || c.Value == "" {
			s.toLogin(w, r)
			return
		}
		p, err := s.Sessions.Session(r.Context(), c.Value)
		if err != nil {
			s.Logger.Debug("session refused", "error", err)
			s.toLogin(w, r)
			return
		}
		v := visit{Person: p, Cookie: c.Value}
		next(w, r.WithContext(context.WithValue(r.Context(), visitKey{}, v)))
	}
}

func (s *server) toLogin(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/rollouts/") && strings.Contains(r.URL.Path, "/series/") || r.URL.Query().Has("fragment") {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	u := "/login"
	if r.URL.Path != "/" {
		u += "?" + url.Values{"next": {r.URL.RequestURI()}}.Encode()
	}
	http.Redirect(w, r, u, http.StatusSeeOther)
}

// localPath returns next if it is a path on this server, else "/". A leading
// "//" or "/\" would be another host to a browser.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\n\r\t") {
		return "/"
	}
	return next
}

type loginBody struct {
	Next    string
	Error   string
	Project string
	URL     string
}

func (s *server) loginPage(w http.ResponseWriter, r *http.Request) {
	s.showLogin(w, r, http.StatusOK, localPath(r.URL.Query().Get("next")), "")
}

func (s *server) showLogin(w http.ResponseWriter, r *http.Request, status int, next, problem string) {
	s.render(w, r, status, "login", page{Title: "Sign in",
		Body: loginBody{Next: next, Error: problem, Project: s.Connect.Project, URL: s.Connect.URL}})
}

func (s *server) login(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.FormValue("next"))
	token := strings.TrimSpace(r.FormValue("token"))
	if token == "" {
		s.showLogin(w, r, http.StatusUnprocessableEntity, next, "Enter the token first.")
		return
	}
	cookie, p, err := s.Sessions.SignIn(r.Context(), token)
	switch {
	case errors.Is(err, ErrBadToken):
		s.showLogin(w, r, http.StatusUnauthorized, next,
			"This token is not known here, or it has expired. Make another with “serin token create NAME --kind sign-in”.")
		return
	case err != nil:
		s.Logger.Error("sign in", "error", err)
		s.showLogin(w, r, http.StatusInternalServerError, next,
			"The session could not be opened. Try again; the command line works without this page.")
		return
	}
	s.Logger.Info("signed in", "person", p.Name)
	http.SetCookie(w, &http.Cookie{Name: CookieName, Value: cookie, Path: "/", HttpOnly: true,
		Secure: !s.PlainHTTP, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	if !s.checkCSRF(w, r) {
		return
	}
	if err := s.Sessions.SignOut(r.Context(), visitOf(r.Context()).Cookie); err != nil {
		s.fail(w, r, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: CookieName, Path: "/", MaxAge: -1, HttpOnly: true,
		Secure: !s.PlainHTTP, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// checkCSRF answers 403 and returns false unless the form carries the
// session's token.
func (s *server) checkCSRF(w http.ResponseWriter, r *http.Request) bool {
	if s.Sessions.CheckCSRF(visitOf(r.Context()).Cookie, r.FormValue("csrf")) {
		return true
	}
	s.problem(w, r, http.StatusForbidden, "This form is too old",
		"It belongs to another session, so nothing was done. Open the page again and repeat the action.")
	return false
}

// can reports whether the person's scopes allow any of the scopes asked for.
func (p Person) can(scopes ...string) bool {
	if slices.Contains(p.Scopes, "admin") {
		return true
	}
	return slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(p.Scopes, s) })
}
