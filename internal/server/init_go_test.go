package server_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/getsentry/sentry-go"
	sdk "github.com/open-feature/go-sdk/openfeature"

	"serin/internal/cli/initfiles/go/serinflags"
	"serin/internal/clock"
	"serin/internal/server"
)

// TestInitGoFileConnects runs what "serin init" writes into a Go app against a
// server: the flag is read, the error arrives with its arm, and SERIN_OFF is
// stronger than the server.
func TestInitGoFileConnects(t *testing.T) {
	s := startWith(t, server.Options{Clock: clock.Real()})
	s.ask(http.MethodPut, "/flags/own", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"new"}`, nil)
	for name, value := range map[string]string{"SERIN_URL": s.url, "SERIN_SERVER_KEY": s.boot.FlagKey, "SERIN_DSN": s.boot.DSN, "RELEASE": "shop@1.0.0", "SERIN_OFF": "a,b"} {
		t.Setenv(name, value)
	}
	end, err := serinflags.Connect()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{}) // until then every flag has its default
	listen := func(sdk.EventDetails) { close(ready) }
	sdk.AddHandler(sdk.ProviderReady, &listen)
	<-ready
	ctx, on := serinflags.Enabled(t.Context(), "own", "u-1", map[string]any{"role": "admin"})
	if !on {
		t.Error("the flag is off, the server has it on")
	}
	sentry.GetHubFromContext(ctx).CaptureException(errors.New("cart is broken"))
	t.Setenv("SERIN_OFF", "a,own")
	if _, on := serinflags.Enabled(t.Context(), "own", "u-1", nil); on {
		t.Error("SERIN_OFF names the flag, and it is on")
	}
	end()
	var d struct {
		Steps []struct{ Step, State, What string }
	}
	s.ask(http.MethodPost, "/doctor", map[string]any{"flag": "own", "user": "u-1"}, &d)
	var ok []string
	for _, step := range d.Steps {
		if step.State == "ok" {
			ok = append(ok, step.Step)
		}
	}
	if want := []string{"flag", "fetch", "event", "clock", "release"}; !slices.Equal(ok, want) {
		t.Errorf("steps that are ok: %v, want %v\n%+v", ok, want, d.Steps)
	}
}
