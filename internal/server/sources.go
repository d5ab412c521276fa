package server

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"serin/internal/config"
	"serin/internal/evidence"
	"serin/internal/outbound"
	"serin/internal/poll"
	"serin/internal/source"
	"serin/internal/source/probe"
	"serin/internal/source/prometheus"
	"serin/internal/source/report"
)

// measured gives the evidence engine to the poller.
type measured struct{ *evidence.Engine }

func (m measured) Pulls() []poll.Ask {
	found := m.Engine.Pulls()
	out := make([]poll.Ask, len(found))
	for i, p := range found {
		out[i] = poll.Ask(p)
	}
	return out
}

func (m measured) ProbeKey(name string) string { return evidence.ProbeKey(name) }

func (m measured) Fetched(ctx context.Context, answers []poll.Got) error {
	out := make([]evidence.Fetched, len(answers))
	for i, a := range answers {
		out[i] = evidence.Fetched(a)
	}
	return m.Engine.Fetched(ctx, out)
}

// sourcesOf makes the sources of a configuration.
func sourcesOf(c config.Config) ([]poll.Spec, error) {
	var out []poll.Spec
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		spec, err := sourceOf(name, c.Sources[name])
		if err != nil {
			return nil, fmt.Errorf("sources.%s: %w", name, err)
		}
		out = append(out, spec)
	}
	return out, nil
}

func sourceOf(name string, s config.Source) (poll.Spec, error) {
	every, timeout, err := s.Times()
	if err != nil {
		return poll.Spec{}, err
	}
	o := outbound.Options{Timeout: timeout, CA: s.CA, Token: s.Token, Username: s.Username, Password: s.Password, Headers: s.Headers}
	if s.AllowPrivate {
		o.Guard.Allow = outbound.Private
	}
	client, err := outbound.NewClient(o)
	if err != nil {
		return poll.Spec{}, err
	}
	spec := poll.Spec{Name: name, Kind: s.Kind, Project: s.Project, Address: shownAddress(s.URL), Every: every, Timeout: timeout, Values: s.Values}
	spec.Source, err = adapterOf(s, client)
	return spec, err
}

func adapterOf(s config.Source, client *outbound.Client) (source.Source, error) {
	switch s.Kind {
	case poll.Prometheus:
		return prometheus.New(prometheus.Options{URL: s.URL, Client: client})
	case poll.Probe:
		return probe.New(probe.Options{URL: s.URL, Method: s.Method, Status: s.Status, Body: s.Body, Client: client})
	case poll.Report:
		for _, pointer := range s.Values {
			if err := report.CheckPointer(pointer); err != nil {
				return nil, err
			}
		}
		return report.New(report.Options{URL: s.URL, Client: client})
	}
	return nil, fmt.Errorf("kind %q: write prometheus, probe or report", s.Kind)
}

// shownAddress leaves out what of an address may be secret.
func shownAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// CheckSources says what is wrong with the sources of a configuration: their
// settings, a file of certificates that cannot be read. It asks nobody.
func CheckSources(c config.Config) error {
	_, err := sourcesOf(c)
	return err
}
