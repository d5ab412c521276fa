package server

import (
	"cmp"
	"net/url"
	"strings"

	"serin/internal/auth"
	"serin/internal/auth/oidc"
	"serin/internal/web"
)

// provider connects the identity provider of the configuration; nil = none.
func (s *Server) provider(people *auth.Auth) web.IdentityProvider {
	c := s.o.Config.OIDC
	if c.Issuer == "" {
		return nil
	}
	name := c.Name
	if u, err := url.Parse(c.Issuer); err == nil {
		name = cmp.Or(name, u.Hostname())
	}
	base := s.DashboardURL()
	return provider{
		Provider: oidc.New(oidc.Options{Issuer: c.Issuer, ClientID: c.ClientID, Secret: c.ClientSecret, Redirect: base + "/login/callback",
			Domains: c.Domains, Secure: strings.HasPrefix(base, "https://")}),
		people: people, name: name, create: c.Create,
	}
}
