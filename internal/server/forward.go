package server

import (
	"fmt"
	"maps"
	"net"
	"slices"

	"serin/internal/config"
	"serin/internal/forward"
	"serin/internal/intake"
)

// forwardDir holds the queues of forwarding, below the data directory.
const forwardDir = "forward"

// passedOn gives the telemetry door's requests to the forwarder.
type passedOn struct{ *forward.Forwarder }

var _ intake.LargeForwarder = passedOn{}

func (p passedOn) Forward(f intake.Forwarded) {
	if !p.Forwards(f.Project) && f.File == "" {
		return
	}
	r := f.Request
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	p.Accept(forward.Request{
		Project: f.Project, Endpoint: f.Endpoint, Key: f.Key, Address: host,
		Header: r.Header, Query: r.URL.Query(), Body: f.Body, File: f.File, Received: f.Received,
	})
}

// forwardsOf makes the ways of a configuration.
func forwardsOf(c config.Config) ([]forward.Spec, error) {
	var out []forward.Spec
	for _, project := range slices.Sorted(maps.Keys(c.Forward)) {
		f := c.Forward[project]
		queue, keep, err := f.Bounds()
		if err != nil {
			return nil, fmt.Errorf("forward.%s: %w", project, err)
		}
		dsn, err := forward.ParseDSN(f.DSN)
		if err != nil {
			return nil, fmt.Errorf("forward.%s: %w", project, err)
		}
		out = append(out, forward.Spec{Project: project, DSN: dsn, QueueBytes: queue, Keep: keep, AllowPrivate: f.AllowPrivate})
	}
	return out, nil
}

// CheckForward says what is wrong with the forwarding of a configuration. It
// asks nobody.
func CheckForward(c config.Config) error {
	_, err := forwardsOf(c)
	return err
}
