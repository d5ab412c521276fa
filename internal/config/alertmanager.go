package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// checkAlertmanagers says what is wrong with them.
func (c Config) checkAlertmanagers() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(c.Alertmanagers)) {
		at, a := "alertmanager."+name, c.Alertmanagers[name]
		if a.URL == "" {
			errs = append(errs, fmt.Errorf("%s: url is missing: write where it is, such as http://alertmanager:9093", at))
		}
		if a.Token != "" && a.Username != "" {
			errs = append(errs, fmt.Errorf("%s: token and username are both set: keep one", at))
		}
		errs = append(errs, checkURL(at+".url", a.URL))
	}
	return errors.Join(errs...)
}
