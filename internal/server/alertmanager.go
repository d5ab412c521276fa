package server

import (
	"context"
	"fmt"
	"slices"

	"serin/internal/config"
	"serin/internal/notify"
	"serin/internal/notify/alertmanager"
	"serin/internal/store"
)

// resumed bounds the notices that are read at a start to know what fires at an
// Alertmanager.
const resumed = 5000

// useAlertmanagers connects the Alertmanagers of a configuration, takes away
// those of the one before, and tells new ones what was firing there.
func (s *Server) useAlertmanagers(c, before config.Config) error {
	endpoints := make(map[string]alertmanager.Endpoint, len(c.Alertmanagers))
	for name, a := range c.Alertmanagers {
		endpoints[name] = alertmanager.Endpoint{URL: a.URL, Token: a.Token, Username: a.Username, Password: a.Password, AllowPrivate: a.AllowPrivate}
	}
	if err := s.alertmanager.Set(endpoints); err != nil {
		return err
	}
	courier := s.control.Courier()
	for name := range before.Alertmanagers {
		if _, still := c.Alertmanagers[name]; !still {
			courier.Use("alertmanager:"+name, nil)
		}
	}
	for name := range c.Alertmanagers {
		address := "alertmanager:" + name
		if _, was := before.Alertmanagers[name]; !was {
			if err := s.resumeAlertmanager(context.Background(), address); err != nil {
				return err
			}
		}
		courier.Use(address, s.alertmanager)
	}
	return nil
}

// resumeAlertmanager reads what was firing from the notices that arrived there.
func (s *Server) resumeAlertmanager(ctx context.Context, address string) error {
	told, err := s.store.NoticesIn(ctx, store.StateTold, address, resumed)
	if err != nil {
		return fmt.Errorf("read what fires at %s: %w", address, err)
	}
	list := make([]notify.Notice, 0, len(told))
	for _, o := range slices.Backward(told) {
		list = append(list, o.Notice)
	}
	s.alertmanager.Resume(list)
	return nil
}
