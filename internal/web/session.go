package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"serin/internal/auth"
	"serin/internal/rollout"
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
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, visit{Person: p, Cookie: c.Value}))
		if !s.seesPage(r, p.Principal) {
			s.missing(w, r)
			return
		}
		next(w, r)
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
	Next     string
	Error    string
	Project  string
	Provider string // what "Continue with" names; "" = no identity provider
	Name     string // typed before
	Token    bool   // the error is about a link's token
}

func (s *server) loginPage(w http.ResponseWriter, r *http.Request) {
	s.showLogin(w, r, http.StatusOK, loginBody{Next: localPath(r.URL.Query().Get("next"))})
}

func (s *server) showLogin(w http.ResponseWriter, r *http.Request, status int, b loginBody) {
	b.Project = s.Connect.Project
	if s.Provider != nil {
		b.Provider = s.Provider.Name()
	}
	s.render(w, r, status, "login", page{Title: "Sign in", Body: b})
}

// login signs in with the token of a link, or with name and password.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	b := loginBody{Next: localPath(r.FormValue("next")), Name: strings.TrimSpace(r.FormValue("name")), Token: r.Form.Has("token")}
	ctx := auth.WithAgent(r.Context(), r.UserAgent())
	var cookie string
	var p Person
	var err error
	if b.Token {
		token := strings.TrimSpace(r.FormValue("token"))
		if token == "" {
			b.Error = "Enter the token first."
			s.showLogin(w, r, http.StatusUnprocessableEntity, b)
			return
		}
		cookie, p, err = s.Sessions.SignIn(ctx, token)
	} else {
		cookie, p, err = s.Sessions.SignInPassword(ctx, b.Name, r.FormValue("password"))
	}
	if err != nil {
		s.refuseLogin(w, r, b, err)
		return
	}
	s.enter(w, r, cookie, p, b.Next)
}

// refuseLogin shows the page again with the reason.
func (s *server) refuseLogin(w http.ResponseWriter, r *http.Request, b loginBody, err error) {
	status := http.StatusUnauthorized
	var slow *SlowDownError
	switch {
	case errors.As(err, &slow):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(slow.After.Seconds())+1))
		b.Error = fmt.Sprintf("Too many wrong tries. Try again in %s, or use a sign-in link.", duration(slow.After.Round(time.Second)))
	case errors.Is(err, ErrBadToken) && b.Token:
		b.Error = "This token is not known here, or it has expired. Make another with “serin token create NAME --kind sign-in”."
	case errors.Is(err, ErrBadToken):
		b.Error = "Name and password do not match."
	default:
		s.Logger.Error("sign in", "error", err)
		status = http.StatusInternalServerError
		b.Error = "The session could not be opened. Try again; the command line works without this page."
	}
	s.showLogin(w, r, status, b)
}

// enter sets the session's cookie and goes on to where the person was going.
func (s *server) enter(w http.ResponseWriter, r *http.Request, cookie string, p Person, next string) {
	s.Logger.Info("signed in", "person", p.Name)
	http.SetCookie(w, &http.Cookie{Name: CookieName, Value: cookie, Path: "/", HttpOnly: true,
		Secure: !s.PlainHTTP, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// toProvider sends the browser to the identity provider.
func (s *server) toProvider(w http.ResponseWriter, r *http.Request) {
	next := localPath(r.FormValue("next"))
	if s.Provider == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	if err := s.Provider.Begin(w, r, next); err != nil {
		s.Logger.Error("identity provider", "error", err)
		s.showLogin(w, r, http.StatusBadGateway, loginBody{Next: next, Error: s.Provider.Name() + " does not answer. Sign in with a local account or a link, or try again."})
	}
}

// fromProvider takes the browser back from it.
func (s *server) fromProvider(w http.ResponseWriter, r *http.Request) {
	if s.Provider == nil {
		http.Redirect(w, r, "/login", http.StatusSeeOther)
		return
	}
	cookie, p, next, err := s.Provider.Finish(w, r)
	var refused *RefusedError
	switch {
	case errors.As(err, &refused):
		s.showLogin(w, r, http.StatusForbidden, loginBody{Next: "/", Error: refused.Why})
	case err != nil:
		s.Logger.Error("identity provider", "error", err)
		s.showLogin(w, r, http.StatusBadGateway, loginBody{Next: "/", Error: s.Provider.Name() + " could not say who you are. Try again; serin’s log says more."})
	default:
		s.enter(w, r, cookie, p, localPath(next))
	}
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

// can reports whether the person holds one of the scopes, or one above it.
func (p Person) can(scopes ...auth.Scope) bool {
	return slices.ContainsFunc(scopes, auth.Principal{Scopes: p.Scopes}.Can)
}

// may reports whether the person's scope is enough for a command.
func (p Person) may(v rollout.Verb) bool { return p.can(auth.VerbScope(v)) }

// PersonOf returns who is asking, for those behind the pages that carry out
// what a page asks for; the zero Person outside of a signed-in request.
func PersonOf(ctx context.Context) Person { return visitOf(ctx).Person }
