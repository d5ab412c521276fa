package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The least that a queue of forwarding may be bounded to.
const (
	leastQueueBytes = 1 << 20
	leastKeep       = time.Hour
)

// Bounds are how much of a project's telemetry may wait for its upstream, in
// bytes, and how long; 0 = the default.
func (f Forward) Bounds() (queue int64, keep time.Duration, err error) {
	var errs []error
	if f.Queue != "" {
		if queue, err = ParseBytes(f.Queue); err != nil {
			errs = append(errs, fmt.Errorf("queue %w", err))
		} else if queue < leastQueueBytes {
			errs = append(errs, fmt.Errorf("queue %q: give it at least 1MiB", f.Queue))
		}
	}
	if f.Keep != "" {
		if keep, err = ParseAge(f.Keep); err != nil {
			errs = append(errs, fmt.Errorf("keep %w", err))
		} else if keep < leastKeep {
			errs = append(errs, fmt.Errorf("keep %q: give it at least 1h, and an end", f.Keep))
		}
	}
	return queue, keep, errors.Join(errs...)
}

// checkForward looks at what can be told without the upstream; the DSN is read
// by the server's start.
func (c Config) checkForward() error {
	var errs []error
	for _, project := range slices.Sorted(maps.Keys(c.Forward)) {
		f, at := c.Forward[project], "forward."+project
		if f.DSN == "" {
			errs = append(errs, fmt.Errorf("%s: dsn is missing: give it here or in %s", at, Variable(at+".dsn")))
		}
		if _, _, err := f.Bounds(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
		}
		for _, r := range project {
			if r < '0' || r > '9' {
				errs = append(errs, fmt.Errorf("%s: name the project by its id, the digits at the end of its DSN", at))
				break
			}
		}
	}
	return errors.Join(errs...)
}
