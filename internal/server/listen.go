package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"serin/internal/api"
	"serin/internal/health"
	"serin/internal/intake"
)

// entrance is one listener with what answers behind it.
type entrance struct {
	name     string
	listener net.Listener
	http     *http.Server
}

// listen opens the listeners of the configuration: one for everything, or one
// for clients and one for people. What answers comes later, by serve.
func (s *Server) listen() error {
	secured, err := secure(s.o.Config.TLS, s.o.Data, s.o.Logger)
	if err != nil {
		return err
	}
	if secured != nil {
		s.certificates = health.WatchCertificates(secured, s.o.Config.TLS.ACME.Hosts, nil)
	}
	for _, e := range []struct{ name, address string }{{"clients", s.o.Listen}, {"operators", s.o.Config.OperatorListen}} {
		if e.address == "" {
			continue
		}
		l, err := net.Listen("tcp", e.address)
		if err != nil {
			return fmt.Errorf("listen on %s for %s: %w", e.address, e.name, err)
		}
		if secured != nil {
			l = tls.NewListener(l, secured)
		}
		s.entrances = append(s.entrances, &entrance{name: e.name, listener: l})
		s.onClose("listener for "+e.name, l.Close)
	}
	return nil
}

// serve puts the doors behind the listeners: clients is what applications
// talk to, operators what people and pipelines do. With one listener a
// request that is not for clients goes to operators; with two, neither
// listener answers what is the other's.
func (s *Server) serve(clients *http.ServeMux, operators, telemetry http.Handler) {
	apart := len(s.entrances) > 1
	if !apart {
		clients.Handle("/", operators)
	}
	for i, e := range s.entrances {
		h := operators
		if i == 0 {
			h = route(clients, telemetry)
		}
		e.http = &http.Server{
			Handler:           s.stage.hold(s.proxies.resolve(limitBody(h, bodyLimit))),
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       2 * time.Minute,
			ErrorLog:          slog.NewLogLogger(s.o.Logger.Handler(), slog.LevelDebug),
		}
	}
}

// bodyLimit is how long a client may take to send a request's body, so that
// those who send slowly cannot hold all connections.
const bodyLimit = 30 * time.Second

// limitBody gives a body limit to arrive; streams, which outlast it, lift it
// themselves.
func limitBody(next http.Handler, limit time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Not every ResponseWriter can: then the idle limits have to do.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(limit))
		next.ServeHTTP(w, r)
	})
}

// hooksPrefix begins the paths by which other systems tell of their alerts;
// some end as those of the Sentry protocol do.
const hooksPrefix = "/hooks/"

// route gives the Sentry protocol's paths, which may have any prefix (a DSN
// may), to telemetry and the rest to mux. The operator API's own paths have
// the same shape and come first.
func route(mux, telemetry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := intake.Match(r.URL.Path); ok && !strings.HasPrefix(r.URL.Path, api.Prefix+"/") && !strings.HasPrefix(r.URL.Path, hooksPrefix) {
			telemetry.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// URL is where clients reach the server, without a final slash.
func (s *Server) URL() string {
	if u := s.o.Config.PublicURL; u != "" {
		return strings.TrimSuffix(u, "/")
	}
	return s.address(s.entrances[0])
}

// DashboardURL is where people and the operator API are reached, without a final slash.
func (s *Server) DashboardURL() string {
	switch u := s.o.Config.OperatorURL; {
	case u != "":
		return strings.TrimSuffix(u, "/")
	case len(s.entrances) > 1:
		return s.address(s.entrances[1])
	}
	return s.URL()
}

func (s *Server) address(e *entrance) string {
	if s.o.Config.TLS.On() {
		return "https://" + e.listener.Addr().String()
	}
	return "http://" + e.listener.Addr().String()
}
