package config

import (
	"errors"
	"fmt"
	"time"
)

// Length is the timeout as a duration; 0 = not given.
func (h DeployHook) Length() (time.Duration, error) {
	if h.Timeout == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(h.Timeout)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("timeout %q: write a length of time such as 10m", h.Timeout)
	}
	return d, nil
}

// check looks at what can be told without running anything; the limits of the
// values are the hook's own, see the server's start.
func (h DeployHook) check(at string) error {
	var errs []error
	if len(h.Command) == 0 {
		errs = append(errs, fmt.Errorf("%s: command is missing: write program and arguments as a list, such as [vercel, deploy, --prod]", at))
	}
	if _, err := h.Length(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", at, err))
	}
	return errors.Join(errs...)
}
