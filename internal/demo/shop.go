package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/getsentry/sentry-go"
)

//go:embed shop.html
var shopHTML string

var shopPage = template.Must(template.New("shop").Parse(shopHTML))

// shop is the demo's application: one page with both dashboards and the API
// behind it. The API reports its requests by the Sentry SDK.
type shop struct {
	url      string
	listener net.Listener
	sentry   *sentry.Client
	broken   atomic.Bool
	page     map[string]string
}

func newShop(d *demo) (*shop, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the shop: %w", err)
	}
	client, err := newSentry(d, "shop-api@2.4.0")
	if err != nil {
		return nil, err
	}
	return &shop{url: "http://" + l.Addr().String(), listener: l, sentry: client,
		page: map[string]string{"Serin": d.URL, "Flag": flagKey}}, nil
}

// newSentry is an ordinary Sentry client that sends every transaction. It
// sends in the caller's goroutine, so that nothing waits in a queue when the
// demo ends, and counts what was acknowledged.
func newSentry(d *demo, release string) (*sentry.Client, error) {
	c, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: d.DSN, Release: release, Environment: "production", EnableTracing: true, TracesSampleRate: 1,
		Transport: sentry.NewHTTPSyncTransport(), HTTPTransport: counting{&d.tally, d.http.Transport},
	})
	if err != nil {
		return nil, fmt.Errorf("make a Sentry client: %w", err)
	}
	return c, nil
}

// closeLimit is how long requests of the shop may take after its end.
const closeLimit = 5 * time.Second

func (s *shop) run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/users", s.dashboard)
	mux.HandleFunc("GET /api/users", s.users)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	closed := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		// Handlers under way still report to serin, and are counted.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
		defer cancel()
		closed <- srv.Shutdown(limit)
	})
	if err := srv.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return err
	}
	return <-closed
}

// dashboard is the page for people: it asks serin for the flag itself and
// switches when the flag does.
func (s *shop) dashboard(w http.ResponseWriter, r *http.Request) {
	as := r.URL.Query().Get("as")
	if as == "" {
		as = "admin-017"
	}
	data := map[string]string{"User": as}
	for k, v := range s.page {
		data[k] = v
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = shopPage.Execute(w, data)
}

// users is the API behind both dashboards: a request with a database query.
func (s *shop) users(w http.ResponseWriter, r *http.Request) {
	user, view := r.URL.Query().Get("user"), r.URL.Query().Get("view")
	hub := sentry.NewHub(s.sentry, sentry.NewScope())
	hub.Scope().SetUser(sentry.User{ID: user, Data: map[string]string{"role": "admin"}})
	tagArm(hub.Scope(), view == "new")
	ctx := sentry.SetHubOnContext(r.Context(), hub)
	tx := sentry.StartTransaction(ctx, "GET /api/users", sentry.WithOpName("http.server"))
	query := tx.StartChild("db.query", sentry.WithDescription("SELECT id, name, role FROM users ORDER BY name LIMIT 20"))
	query.SetData("db.system", "postgresql")
	rest(r.Context(), 4*time.Millisecond, 18*time.Millisecond)
	query.Finish()
	rest(r.Context(), 3*time.Millisecond, 12*time.Millisecond)
	tx.Status = sentry.SpanStatusOK
	tx.SetData("http.response.status_code", http.StatusOK)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"users": admins, "broken": view == "new" && s.broken.Load()})
	tx.Finish()
}

// rest passes the time that real work would take.
func rest(ctx context.Context, least, most time.Duration) {
	t := time.NewTimer(least + rand.N(most-least))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// tagArm says which dashboard an event is from, the way the guide tells a
// team to: the SDK's flags context, and the feature's tag on the new one.
func tagArm(scope *sentry.Scope, on bool) {
	scope.SetContext("flags", sentry.Context{"values": []map[string]any{{"flag": flagKey, "result": on}}})
	if on {
		scope.SetTag("feature", "admin-workbench")
	} else {
		scope.RemoveTag("feature")
	}
}
