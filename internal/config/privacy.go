package config

import (
	"errors"
	"fmt"
	"slices"
)

// The ways to store ids of users.
const (
	UserIDsPlain = "plain"
	UserIDsHash  = "hash"
)

// personal are the kinds of personal data that privacy.keep may name.
var personal = []string{"email", "username", "ip_address"}

func (p Privacy) check() error {
	var errs []error
	for _, key := range p.Scrub {
		if len(key) < 2 {
			errs = append(errs, fmt.Errorf("privacy.scrub %q: write at least two characters: it is looked for in every key", key))
		}
	}
	for _, kind := range p.Keep {
		if !slices.Contains(personal, kind) {
			errs = append(errs, fmt.Errorf("privacy.keep %q: write email, username or ip_address", kind))
		}
	}
	if !slices.Contains([]string{"", UserIDsPlain, UserIDsHash}, p.UserIDs) {
		errs = append(errs, fmt.Errorf("privacy.user_ids %q: write plain or hash", p.UserIDs))
	}
	return errors.Join(errs...)
}
