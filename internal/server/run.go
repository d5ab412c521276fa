package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"serin/internal/config"
)

// stopLimit is how long requests under way may take after the end was asked for.
const stopLimit = 5 * time.Second

// Run serves until ctx ends: then the doors close, requests under way get
// their answers, the engine commits what it holds, and the store is closed.
func (s *Server) Run(ctx context.Context) error {
	engine, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	defer stopEngine()
	var group errgroup.Group
	failed, fail := context.WithCancelCause(ctx)
	run := func(name string, f func(context.Context) error) {
		group.Go(func() error {
			if err := f(engine); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
				fail(err)
				return err
			}
			return nil
		})
	}
	run("evidence", s.evidence.Run)
	run("controller", s.control.Run)
	run("retention", s.retain)
	cautious := make(chan struct{})
	group.Go(func() error {
		select {
		case <-s.control.Running():
		case <-engine.Done():
			return nil
		}
		if err := s.afterRestore(engine); err != nil {
			fail(err)
			return err
		}
		close(cautious)
		return nil
	})
	for _, e := range s.entrances {
		group.Go(func() error {
			select {
			case <-cautious:
			case <-engine.Done():
				return nil
			}
			if err := e.http.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
				fail(err)
				return err
			}
			return nil
		})
	}
	<-failed.Done()
	s.endStreams() // they would outlast any limit
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer cancel()
	var closing errgroup.Group
	for _, e := range s.entrances {
		closing.Go(func() error {
			if err := e.http.Shutdown(limit); err != nil {
				_ = e.http.Close()
			}
			return nil
		})
	}
	_ = closing.Wait()
	stopEngine()
	return errors.Join(group.Wait(), s.Close())
}

// Reloaded names the keys of the configuration that Reload takes over.
var Reloaded = []string{"`slack`", "`webhooks`", "`trusted_proxies`", "`log.level`", "certificate files"}

// Reload takes over what of c needs no restart; the rest stays as it was until
// the next start. It is called by one goroutine at a time. After an error
// nothing has changed.
func (s *Server) Reload(c config.Config) error {
	trusted, err := c.Proxies()
	if err != nil {
		return err
	}
	if err := s.notifiers(c, s.o.Config); err != nil {
		return err
	}
	s.proxies.set(trusted)
	s.o.Config.Slack, s.o.Config.Webhooks, s.o.Config.TrustedProxies = c.Slack, c.Webhooks, c.TrustedProxies
	return nil
}
