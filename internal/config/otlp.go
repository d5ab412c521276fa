package config

import "fmt"

// The values of OTLP.Errors.
const (
	errorsOn  = "on"
	errorsOff = "off"
)

// TakesErrors reports whether error events are made of log records.
func (o OTLP) TakesErrors() bool { return o.Errors != errorsOff }

func (o OTLP) check() error {
	switch o.Errors {
	case "", errorsOn, errorsOff:
		return nil
	}
	return fmt.Errorf("otlp.errors %q: write on or off", o.Errors)
}
