package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"

	"serin/internal/config"
)

// secure is how connections are encrypted; nil = not by serin.
func secure(c config.TLS, data string, log *slog.Logger) (*tls.Config, error) {
	switch {
	case c.Cert != "":
		pair := &certificate{cert: c.Cert, key: c.Key, log: log, now: time.Now}
		if err := pair.load(); err != nil {
			return nil, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: pair.get}, nil
	case len(c.ACME.Hosts) > 0:
		m := &autocert.Manager{
			Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(filepath.Join(data, "acme")),
			HostPolicy: autocert.HostWhitelist(c.ACME.Hosts...), Email: c.ACME.Email,
		}
		if c.ACME.Directory != "" {
			m.Client = &acme.Client{DirectoryURL: c.ACME.Directory}
		}
		secured := m.TLSConfig()
		secured.MinVersion = tls.VersionTLS12
		return secured, nil
	}
	return nil, nil
}

// lookAgain is how long a certificate is served before its files are looked
// at again.
const lookAgain = 10 * time.Second

// certificate is a pair of files that are read again when they change, so
// that a renewed certificate needs no restart. While the new files cannot be
// read, the certificate of before is served.
type certificate struct {
	cert, key string
	log       *slog.Logger
	now       func() time.Time

	mu     sync.Mutex
	pair   *tls.Certificate
	stamp  [2]time.Time // modification times of the pair
	looked time.Time
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.looked) >= lookAgain {
		if err := c.reload(); err != nil {
			c.log.Error("certificate cannot be read again: the one of before is served", "err", err)
		}
	}
	return c.pair, nil
}

func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reload()
}

func (c *certificate) reload() error {
	c.looked = c.now()
	var stamp [2]time.Time
	for i, file := range []string{c.cert, c.key} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		stamp[i] = info.ModTime()
	}
	if c.pair != nil && stamp == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("tls: %s and %s: %w", c.cert, c.key, err)
	}
	c.pair, c.stamp = &pair, stamp
	return nil
}
