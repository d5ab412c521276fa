//go:build !oldest

package main

import "github.com/getsentry/sentry-go"

// trace switches tracing on, which later releases ask for.
func trace(o *sentry.ClientOptions) { o.EnableTracing = true }
