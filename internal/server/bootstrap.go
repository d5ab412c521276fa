package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"serin/internal/auth"
)

// Bootstrap is what the first start prints and writes to DIR/bootstrap.json.
type Bootstrap struct {
	URL        string `json:"url"`
	AdminToken string `json:"admin_token"`
	Project    string `json:"project"`
	PublicKey  string `json:"public_key"`
	DSN        string `json:"dsn"`
	FlagKey    string `json:"flag_key"`
	// SignIn is a link that signs the first person in, once.
	SignIn string `json:"sign_in,omitempty"`
}

// BootstrapFile is the name of the file in the data directory that holds the
// first tokens. It is removed when the first person has signed in.
const BootstrapFile = "bootstrap.json"

// firstStart makes project, keys and the first sign-in link, once.
func (s *Server) firstStart(ctx context.Context, people *auth.Auth) error {
	if _, _, err := people.Bootstrap(ctx, s.keepBootstrap); err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	return nil
}

// keepBootstrap writes the first secrets to a new file that only its owner
// reads; one that an interrupted start, or anybody, left there goes first.
func (s *Server) keepBootstrap(b auth.Credentials) error {
	s.bootstrap = &Bootstrap{
		URL: s.DashboardURL(), AdminToken: b.AdminToken, Project: b.Project, PublicKey: b.PublicKey, FlagKey: b.FlagKey,
		DSN: DSN(s.URL(), b.PublicKey, b.Project), SignIn: s.DashboardURL() + "/login#token=" + b.SignIn,
	}
	data, err := json.MarshalIndent(s.bootstrap, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(s.o.Data, BootstrapFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("replace %s: %w", BootstrapFile, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", BootstrapFile, err)
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", BootstrapFile, err)
	}
	return nil
}

// forgetBootstrap removes the file with the first tokens.
func (s *Server) forgetBootstrap() {
	if err := os.Remove(filepath.Join(s.o.Data, BootstrapFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.o.Logger.Warn("remove first tokens", "file", BootstrapFile, "err", err)
	}
}

// DSN is the address that Sentry SDKs send to.
func DSN(url, key, project string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	return scheme + "://" + key + "@" + rest + "/" + project
}

// Bootstrap returns what the first start made; nil at every later start.
func (s *Server) Bootstrap() *Bootstrap { return s.bootstrap }
