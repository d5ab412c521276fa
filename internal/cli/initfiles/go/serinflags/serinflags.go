// Package serinflags connects this app with serin: errors by Sentry's SDK,
// flags by OpenFeature's with serin's provider, whose source is in openfeature/.
//
// Call Connect once at the start. It needs SERIN_URL, SERIN_SERVER_KEY and
// SERIN_DSN in the environment. SERIN_OFF lists flags (comma between) that are
// false whatever serin says, for the day on which it cannot be asked.
package serinflags

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/getsentry/sentry-go"
	of "github.com/open-feature/go-sdk/openfeature"

	serin "serin/openfeature"
)

// timeout is the longest that a request waits for serin.
const timeout = 800 * time.Millisecond

// flush is how long Connect's end waits for errors that are under way.
const flush = 2 * time.Second

// Connect starts both SDKs; it does not wait for serin, and without it every
// flag has its default. Call the returned function before the app ends.
func Connect() (end func(), err error) {
	if err := sentry.Init(sentry.ClientOptions{
		Dsn: os.Getenv("SERIN_DSN"), Release: os.Getenv("RELEASE"), Environment: cmp.Or(os.Getenv("ENVIRONMENT"), "production"),
	}); err != nil {
		return nil, fmt.Errorf("start Sentry's SDK: %w", err)
	}
	provider := serin.NewProvider(serin.Options{
		BaseURL: cmp.Or(os.Getenv("SERIN_URL"), "http://127.0.0.1:8750"), Key: os.Getenv("SERIN_SERVER_KEY"), Timeout: timeout,
	})
	if err := of.SetProvider(provider); err != nil {
		return nil, fmt.Errorf("set the flag provider: %w", err)
	}
	return func() { of.Shutdown(); sentry.Flush(flush) }, nil
}

// Enabled evaluates a boolean flag for a user. The context it returns carries a
// Sentry hub of this request, whose errors say who the user is and which
// variant it was: use sentry.GetHubFromContext(ctx).CaptureException. The
// user's id is the targeting key and the telemetry's user id: they must be the
// same. Without an answer it is false.
func Enabled(ctx context.Context, flag, user string, attributes map[string]any) (context.Context, bool) {
	hub := sentry.GetHubFromContext(ctx)
	if hub == nil {
		hub = sentry.CurrentHub().Clone()
		ctx = sentry.SetHubOnContext(ctx, hub)
	}
	hub.Scope().SetUser(sentry.User{ID: user})
	if slices.Contains(strings.Split(os.Getenv("SERIN_OFF"), ","), flag) {
		return ctx, false
	}
	details, err := of.NewDefaultClient().BooleanValueDetails(ctx, flag, false, of.NewEvaluationContext(user, attributes))
	if err == nil {
		hub.Scope().SetTag("flag."+flag, cmp.Or(details.Variant, fmt.Sprint(details.Value)))
	}
	return ctx, details.Value
}
