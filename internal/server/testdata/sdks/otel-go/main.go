// Command sdk is an ordinary Go service with OpenTelemetry's SDK and its
// exporters over HTTP: it serves two requests of one user, asks a database in
// one of them, logs an error, counts the requests in a histogram, tells its
// memory, and ends. A second service, which sends no spans, counts its requests
// in a histogram alone.
//
// Environment: OTEL_EXPORTER_OTLP_*, read by the exporters; USER_ID, VARIANT
// (new or old; only new breaks).
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// memoryBytes is what the service says of its memory.
const memoryBytes = 256_000_000

var (
	user    = attribute.String("user.id", os.Getenv("USER_ID"))
	variant = os.Getenv("VARIANT")
	flag    = []attribute.KeyValue{attribute.String("feature_flag.key", "newCheckout"), attribute.String("feature_flag.result.variant", variant)}
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// run sends spans before histograms, so that the requests of the shop are known
// as spans when they come again.
func run(ctx context.Context) error {
	shop, stock := service("shop"), service("stock")
	spans, err := otlptracehttp.New(ctx)
	if err != nil {
		return err
	}
	records, err := otlploghttp.New(ctx)
	if err != nil {
		return err
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithResource(shop), sdktrace.WithBatcher(spans))
	logs := sdklog.NewLoggerProvider(sdklog.WithResource(shop), sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))
	tracer := traces.Tracer("shop")
	serveCart(ctx, tracer, logs.Logger("shop"))
	servePay(ctx, tracer)
	return errors.Join(traces.Shutdown(ctx), logs.Shutdown(ctx), count(ctx, shop, true), count(ctx, stock, false))
}

// service is the resource of one service of this process.
func service(name string) *resource.Resource {
	return resource.NewSchemaless(attribute.String("service.name", name), attribute.String("service.version", "1.0.0"),
		attribute.String("service.instance.id", name+"-"+variant), attribute.String("deployment.environment.name", "production"))
}

// serveCart answers a request that evaluates the flag and asks the database.
// For new it fails.
func serveCart(ctx context.Context, tracer trace.Tracer, logger otellog.Logger) {
	status := http.StatusOK
	if variant == "new" {
		status = http.StatusInternalServerError
	}
	ctx, span := tracer.Start(ctx, "POST /cart", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(user,
		attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", "/cart"), attribute.String("url.path", "/cart")))
	defer span.End()
	span.AddEvent("feature_flag.evaluation", trace.WithAttributes(append(flag, attribute.String("feature_flag.context.id", os.Getenv("USER_ID")))...))
	_, query := tracer.Start(ctx, "SELECT cart", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system.name", "postgresql"), attribute.String("db.operation.name", "SELECT")))
	time.Sleep(2 * time.Millisecond) // the database at work
	query.End()
	report(ctx, logger)
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status == http.StatusInternalServerError {
		span.SetStatus(codes.Error, "cart is slow")
	}
}

// servePay answers a request that names the flag on its span.
func servePay(ctx context.Context, tracer trace.Tracer) {
	_, span := tracer.Start(ctx, "POST /pay", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(append(flag, user,
		attribute.String("http.request.method", http.MethodPost), attribute.String("http.route", "/pay"), attribute.Int("http.response.status_code", http.StatusOK))...))
	span.End()
}

// report logs an error that both arms handle and one that only new has.
func report(ctx context.Context, logger otellog.Logger) {
	titles := map[string]string{"CartError": "cart is slow"}
	if variant == "new" {
		titles["PanicError"] = "cart is broken"
	}
	for kind, message := range titles {
		var r otellog.Record
		r.SetTimestamp(time.Now())
		r.SetSeverity(otellog.SeverityError)
		r.SetBody(attribute.StringValue("request failed"))
		r.AddAttributes(append(flag, user, attribute.String("exception.type", kind), attribute.String("exception.message", message))...)
		logger.Emit(ctx, r)
	}
}

// count sends a histogram of two requests and, where asked, the memory.
func count(ctx context.Context, of *resource.Resource, memory bool) error {
	exporter, err := otlpmetrichttp.New(ctx)
	if err != nil {
		return err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithResource(of), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter)))
	meter := provider.Meter("shop")
	duration, err := meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(0.1, 0.25, 0.5, 1))
	if err != nil {
		return err
	}
	for _, seconds := range []float64{0.2, 0.4} {
		duration.Record(ctx, seconds, metric.WithAttributes(append(flag, attribute.String("http.route", "/cart"), attribute.Int("http.response.status_code", http.StatusOK))...))
	}
	if memory {
		usage, err := meter.Int64Gauge("process.memory.usage", metric.WithUnit("By"))
		if err != nil {
			return err
		}
		usage.Record(ctx, memoryBytes)
	}
	return provider.Shutdown(ctx)
}
