// Command sdk is an ordinary Go service with Sentry's SDK: it serves two
// requests of one user, reports an error that it handled and one that it did
// not, and ends. It builds with the newest and, by oldest.mod and the build
// tag oldest, with the oldest release.
//
// Environment: DSN, USER_ID, VARIANT (new or old; only new breaks).
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/getsentry/sentry-go"
	sentryhttp "github.com/getsentry/sentry-go/http"
)

func main() {
	isNew := os.Getenv("VARIANT") == "new"
	options := sentry.ClientOptions{Dsn: os.Getenv("DSN"), Release: "shop@1.0.0", Environment: "production", TracesSampleRate: 1}
	trace(&options)
	if err := sentry.Init(options); err != nil {
		log.Fatal(err)
	}
	sentry.ConfigureScope(func(scope *sentry.Scope) {
		scope.SetUser(sentry.User{ID: os.Getenv("USER_ID")})
		scope.SetContext("flags", map[string]interface{}{
			"values": []map[string]interface{}{{"flag": "newCheckout", "result": isNew}},
		})
	})
	serve(isNew)
	if !sentry.Flush(10 * time.Second) {
		log.Fatal("not all was sent")
	}
}

// serve answers /cart, whose error is handled, and /pay, which panics for new.
func serve(isNew bool) {
	mux := http.NewServeMux()
	mux.HandleFunc("/cart", func(w http.ResponseWriter, r *http.Request) {
		sentry.GetHubFromContext(r.Context()).CaptureException(fmt.Errorf("load cart: %w", errors.New("cart is slow")))
		if isNew {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprintln(w, "cart")
	})
	mux.HandleFunc("/pay", func(w http.ResponseWriter, _ *http.Request) {
		if isNew {
			panic("cart is broken")
		}
		fmt.Fprintln(w, "paid")
	})
	app := httptest.NewUnstartedServer(sentryhttp.New(sentryhttp.Options{Repanic: true}).Handle(mux))
	app.Config.ErrorLog = log.New(io.Discard, "", 0) // the panic of /pay
	app.Start()
	defer app.Close()
	for _, path := range []string{"/cart", "/pay"} {
		resp, err := http.Post(app.URL+path, "text/plain", nil)
		if err != nil {
			continue // the connection of a request that panicked
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}
