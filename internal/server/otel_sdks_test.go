package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// otelPlan also asks for what OpenTelemetry's metrics bring: the memory of the
// whole service, and the requests of a service that sends no spans.
var otelPlan = strings.NewReplacer(
	"criteria:\n  healthy: [", `metrics:
  stock_requests: { count: requests, where: "service.name:stock" }
  stock_all: { count: requests, where: "service.name:stock", scope: all }
criteria:
  healthy: [memory < 1GB, stock_requests > 0, stock_all > 0, `,
).Replace(sdkPlan)

// otel runs a program of each arm, whose exporters are set up as the guide says.
func (s *shop) otel(prepare func(context.Context) *exec.Cmd) {
	s.t.Helper()
	key := s.token(map[string]any{"name": "otel", "kind": "ingest", "secret": true}) // as for gauges
	s.both(s.boot.DSN, func(ctx context.Context) *exec.Cmd {
		cmd := prepare(ctx)
		cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+s.url, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
			"OTEL_EXPORTER_OTLP_HEADERS=Authorization="+url.PathEscape("Bearer "+key))
		return cmd
	})
}

// otelArrived expects in the API what the programs of both arms sent. Of the
// memory there is one value. Requests that came as spans and in a histogram
// count once; those in a histogram alone count in fixed rules.
func (s *shop) otelArrived(slow, broken string) {
	s.t.Helper()
	s.issues(map[string][2]int{slow: {1, 1}, broken: {1, 0}})
	s.found(want{"errors", 2, 1}, want{"http_5xx", 1, 0}, want{"requests", 2, 2}, want{"api_p95", positive, positive},
		want{"db_p95", positive, positive}, want{"memory", 256e6, absent})
	s.judged(map[string]float64{"memory": 256e6, "stock_requests": 2, "stock_all": 4})
	if n := s.counters()["point_twice"]; n != 2 {
		s.t.Errorf("point_twice: got %d, want 2: one histogram of each shop", n)
	}
}

// judged waits until the rules of the stage rest on these values.
func (s *shop) judged(values map[string]float64) {
	s.t.Helper()
	eventually(s.t, "the values of rules", func() error {
		left := len(values)
		for _, v := range s.view(s.id).Proceed {
			expected, asked := values[v.Metric]
			switch {
			case !asked:
			case v.Value == nil:
				return fmt.Errorf("%s has no value: %s", v.Metric, v.Why)
			case *v.Value != expected:
				return fmt.Errorf("%s: got %v, want %v", v.Metric, *v.Value, expected)
			default:
				left--
			}
		}
		if left > 0 {
			return errors.New("not judged yet")
		}
		return nil
	})
}

// TestGoOpenTelemetry sends with OpenTelemetry's SDK for Go.
func TestGoOpenTelemetry(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "sdk")
	out, err := command(t, filepath.Join(sdkFiles, "otel-go"), "go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil && noNetworkGo.Match(out) {
		t.Skipf("OpenTelemetry for Go is not here and cannot be fetched:\n%s", out)
	} else if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s := openShopWith(t, otelPlan)
	s.otel(func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, bin) })
	s.otelArrived("CartError: cart is slow", "PanicError: cart is broken")
}

// TestNodeOpenTelemetry sends with OpenTelemetry's SDK for Node.js.
func TestNodeOpenTelemetry(t *testing.T) {
	t.Parallel()
	node := inPath(t, "node")
	packages := filepath.Dir(installedAt(t, "otel/node_modules"))
	s := openShopWith(t, otelPlan)
	s.otel(func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, node, filepath.Join(sdkFiles, "otel.cjs"), packages)
	})
	s.otelArrived("RangeError: cart is slow", "TypeError: cart is broken")
}
