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
	run("alerts", s.alerts.Run)
	run("paging", s.paging.Run)
	run("incidents", s.incidents.Run)
	run("panels", s.panels.Run)
	run("reports", s.reports.Run)
	run("alertmanager", s.alertmanager.Run)
	run("retention", s.keeper.Run)
	run("slack", s.slack.Run)
	run("sources", s.poller.Run)
	run("forwarding", s.forward.Run)
	group.Go(func() error {
		select {
		case <-s.control.Running():
		case <-engine.Done():
			return nil
		}
		if err := s.afterRestore(engine); err != nil {
			if engine.Err() != nil {
				return nil // it was told to stop meanwhile
			}
			fail(err)
			return err
		}
		s.stage.serve()
		_ = s.verify(engine) // logged, and told by the check of the store
		return nil
	})
	for _, e := range s.entrances {
		group.Go(func() error {
			if err := e.http.Serve(e.listener); !errors.Is(err, http.ErrServerClosed) {
				fail(err)
				return err
			}
			return nil
		})
	}
	<-failed.Done()
	s.stage.stop()
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
var Reloaded = []string{"`limits`", "`retention`", "`disk`", "`slack`", "`slackhook`", "`webhooks`", "`pagerduty`", "`jira`", "`email`", "`alertmanager`", "`deploy_hooks`", "`sources`", "`forward`", "`trusted_proxies`", "`log.level`", "certificate files"}

// Reload takes over what of c needs no restart and logs which keys those were;
// the rest stays as it was until the next start, and the log names what of it
// c changes. log.level is the caller's to set. It is called by one goroutine at
// a time. After an error nothing has changed.
func (s *Server) Reload(c config.Config) error {
	trusted, err := c.Proxies()
	if err != nil {
		return err
	}
	keeping, err := policy(c)
	if err != nil {
		return err
	}
	sources, err := sourcesOf(c)
	if err != nil {
		return err
	}
	forwards, err := forwardsOf(c)
	if err != nil {
		return err
	}
	if err := s.notifiers(c, s.o.Config); err != nil {
		return err
	}
	if err := s.forward.Set(forwards); err != nil {
		return err
	}
	s.poller.Set(sources)
	s.proxies.set(trusted)
	s.keeper.SetPolicy(keeping)
	before := s.o.Config
	if c.Limits.Flags != before.Limits.Flags {
		s.limits.flags.set(c.Limits.Flags)
	}
	if c.Limits.Telemetry != before.Limits.Telemetry {
		s.limits.telemetry.set(c.Limits.Telemetry)
	}
	next := &s.o.Config
	next.Slack, next.SlackHooks, next.Webhooks, next.DeployHooks, next.TrustedProxies = c.Slack, c.SlackHooks, c.Webhooks, c.DeployHooks, c.TrustedProxies
	next.Sources, next.Forward = c.Sources, c.Forward
	next.PagerDuty, next.Jira, next.Email = c.PagerDuty, c.Jira, c.Email
	next.Alertmanagers = c.Alertmanagers
	next.Limits, next.Retention, next.Disk, next.Log.Level = c.Limits, c.Retention, c.Disk, c.Log.Level
	attrs := []any{"taken over", config.Changed(before, *next)}
	if waiting := config.Changed(*next, c); len(waiting) > 0 {
		attrs = append(attrs, "restart to apply", waiting)
	}
	s.o.Logger.Info("configuration read again", attrs...)
	return nil
}
