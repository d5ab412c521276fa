package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The bounds of a source's times, and what they are where nothing is given.
const (
	leastEvery, mostEvery, usualEvery       = 5 * time.Second, time.Hour, 30 * time.Second
	leastTimeout, mostTimeout, usualTimeout = 100 * time.Millisecond, time.Minute, 10 * time.Second
)

// Times are the period and the time-out with their defaults.
func (s Source) Times() (every, timeout time.Duration, err error) {
	every, err = within("every", s.Every, usualEvery, leastEvery, mostEvery)
	timeout, err2 := within("timeout", s.Timeout, usualTimeout, leastTimeout, mostTimeout)
	return every, timeout, errors.Join(err, err2)
}

func within(key, text string, usual, least, most time.Duration) (time.Duration, error) {
	if text == "" {
		return usual, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least || d > most {
		return usual, fmt.Errorf("%s %q: write a length of time from %s to %s, such as %s", key, text, least, most, usual)
	}
	return d, nil
}

// sourceKinds are the kinds that a source may have.
var sourceKinds = []string{"prometheus", "probe", "report"}

// check looks at what can be told without asking; the rest is the source's
// own, see the server's start.
func (s Source) check(at string) error {
	var errs []error
	say := func(text string, args ...any) { errs = append(errs, fmt.Errorf(at+": "+text, args...)) }
	if !slices.Contains(sourceKinds, s.Kind) {
		say("kind %q: write prometheus, probe or report", s.Kind)
	}
	if s.URL == "" {
		say("url is missing")
	} else if err := checkURL(at+".url", s.URL); err != nil {
		errs = append(errs, err)
	}
	if _, _, err := s.Times(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", at, err))
	}
	switch {
	case s.Token != "" && s.Username != "":
		say("token and username are two ways to the same: keep one")
	case s.Password != "" && s.Username == "":
		say("username is missing: a password needs one")
	}
	if s.Kind != "probe" && (s.Method != "" || s.Status != 0 || s.Body != "") {
		say("method, status and body are of probes: leave them out")
	}
	if s.Kind != "report" && len(s.Values) > 0 {
		say("values are of reports: leave them out")
	} else if s.Kind == "report" && len(s.Values) == 0 {
		say("values are missing: name at least one, such as bundle_size: /total/bytes")
	}
	return errors.Join(errs...)
}

// checkSources checks every source, and that no two Prometheus servers answer for the same project.
func (c Config) checkSources() error {
	var errs []error
	of := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		errs = append(errs, s.check("sources."+name))
		if s.Kind != "prometheus" {
			continue
		}
		if other, twice := of[s.Project]; twice {
			errs = append(errs, fmt.Errorf("sources.%s: sources.%s is the Prometheus of the same projects: give one of them another project, or keep one", name, other))
		}
		of[s.Project] = name
	}
	return errors.Join(errs...)
}
