package sentry_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	sentrygo "github.com/getsentry/sentry-go"

	"serin/internal/intake"
	"serin/internal/telemetry"
)

// TestRealClient sends an error with Sentry's own Go SDK, over HTTP, to a DSN
// with a path prefix.
func TestRealClient(t *testing.T) {
	rec := &recorder{}
	server := httptest.NewServer(intake.New(intake.Options{
		Sink: rec, Keys: keys{}, Decoders: map[string]intake.Decoder{"envelope": rec},
	}))
	defer server.Close()
	client, err := sentrygo.NewClient(sentrygo.ClientOptions{
		Dsn:     strings.Replace(server.URL, "http://", "http://"+recordedKey+"@", 1) + "/prefix/" + recordedProject,
		Release: "shop@2", Environment: "production", Transport: sentrygo.NewHTTPSyncTransport(),
	})
	if err != nil {
		t.Fatal(err)
	}
	scope := sentrygo.NewScope()
	scope.SetUser(sentrygo.User{ID: "user-7", Data: map[string]string{"role": "admin"}})
	scope.SetTag("feature", "admin-workbench")
	scope.SetContext("flags", map[string]any{"values": []map[string]any{{"flag": "adminWorkBench", "result": true}}})
	id := client.CaptureException(errors.New("pool exhausted"), nil, scope)

	rec.mu.Lock()
	defer rec.mu.Unlock()
	if id == nil || len(rec.events) != 1 {
		t.Fatalf("got id %v and %d events, want one", id, len(rec.events))
	}
	e := rec.events[0]
	if e.Kind != telemetry.KindError || e.ID != string(*id) || e.User != "user-7" || e.Release != "shop@2" || e.Environment != "production" ||
		e.Tags["feature"] != "admin-workbench" || e.Flags["adminWorkBench"] != "true" || e.Attributes["user.role"] != "admin" ||
		e.Exception == nil || e.Exception.Value != "pool exhausted" || e.Late {
		t.Errorf("got %+v", e)
	}
}
