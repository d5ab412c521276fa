// Command go is a small shop whose checkout is behind a flag: net/http, serin's
// provider for OpenFeature, and Sentry's SDK for the errors. See
// docs/guide/go.md.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/getsentry/sentry-go"
	of "github.com/open-feature/go-sdk/openfeature"

	serin "serin/openfeature"
)

const (
	flagKey = "newCheckout"
	release = "go-example@1.0.0"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	// Errors go to serin by the DSN; an empty DSN sends nothing.
	if err := sentry.Init(sentry.ClientOptions{Dsn: os.Getenv("SERIN_DSN"), Release: release, Environment: "production"}); err != nil {
		return fmt.Errorf("start Sentry's SDK: %w", err)
	}
	defer sentry.Flush(2 * time.Second)

	// Flags come from serin, and the provider hears of changes by a stream. If
	// serin is away, evaluations give the last answer, later the old checkout.
	provider := serin.NewProvider(serin.Options{BaseURL: os.Getenv("SERIN_URL"), Key: os.Getenv("SERIN_SERVER_KEY"), Timeout: 500 * time.Millisecond})
	if err := of.SetProvider(provider); err != nil { // does not wait: the shop starts without serin, too
		return fmt.Errorf("set the flag provider: %w", err)
	}
	defer of.Shutdown()

	server := &http.Server{
		Addr:              "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "3000"),
		Handler:           &shop{flags: of.NewClient("shop")},
		ReadHeaderTimeout: 5 * time.Second,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	log.Printf("shop at http://%s/?user=ada", server.Addr)
	select {
	case err := <-ended:
		return fmt.Errorf("serve the shop: %w", err)
	case <-ctx.Done():
		return server.Shutdown(context.WithoutCancel(ctx)) // waits for the requests that run
	}
}

// shop answers GET /?user=ID with that user's checkout. Its requests may come
// at the same time.
type shop struct{ flags *of.Client }

// ServeHTTP implements http.Handler.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The targeting key and the telemetry's user id are the same value. A real
	// shop takes it from the session; the query stands in for that.
	user := cmp.Or(r.URL.Query().Get("user"), "anonymous")
	hub := sentry.CurrentHub().Clone()
	hub.Scope().SetUser(sentry.User{ID: user})
	hub.Scope().SetTag("feature", "checkout")

	// The error says why the default was given; the checkout works either way.
	details, err := s.flags.BooleanValueDetails(r.Context(), flagKey, false, of.NewEvaluationContext(user, map[string]any{"role": "admin"}))
	if err != nil {
		log.Printf("flag %s: %v; the old checkout is shown", flagKey, err)
	} else {
		hub.Scope().SetTag("flag."+flagKey, details.Variant) // which arm its errors count for
	}

	text, err := checkout(details.Value, r.URL.Query().Get("cart"))
	if err != nil {
		hub.CaptureException(err)
		http.Error(w, "The checkout did not work.", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, text)
}

// checkout renders the old or the new checkout. The new one cannot cope with
// a broken cart, so that there is something for serin to notice.
func checkout(renewed bool, cart string) (string, error) {
	switch {
	case !renewed:
		return "old checkout", nil
	case cart == "broken":
		return "", errors.New("new checkout: cart is broken")
	}
	return "new checkout", nil
}
