// An ordinary Node.js service with OpenTelemetry's SDK and its exporters over
// HTTP: it serves two requests of one user, asks a database in one of them,
// logs an error, counts the requests in a histogram, tells its memory, and
// ends. A second service, which sends no spans, counts its requests in a
// histogram alone.
//
// Argument: the folder whose packages are used. Environment:
// OTEL_EXPORTER_OTLP_*, read by the exporters; USER_ID, VARIANT (new or old;
// only new breaks).
const { createRequire } = require("node:module");
const { join } = require("node:path");
const { setTimeout: sleep } = require("node:timers/promises");

const packages = createRequire(join(process.argv[2], "package.json"));
const api = packages("@opentelemetry/api");
const { resourceFromAttributes } = packages("@opentelemetry/resources");
const { TracerProvider, BatchSpanProcessor } = packages("@opentelemetry/sdk-trace");
const { LoggerProvider, BatchLogRecordProcessor } = packages("@opentelemetry/sdk-logs");
const { MeterProvider, PeriodicExportingMetricReader } = packages("@opentelemetry/sdk-metrics");
const { OTLPTraceExporter } = packages("@opentelemetry/exporter-trace-otlp-proto");
const { OTLPLogExporter } = packages("@opentelemetry/exporter-logs-otlp-proto");
const { OTLPMetricExporter } = packages("@opentelemetry/exporter-metrics-otlp-proto");
const { SeverityNumber } = packages("@opentelemetry/api-logs");

const memoryBytes = 256_000_000;
const variant = process.env.VARIANT;
const isNew = variant === "new";
const user = { "user.id": process.env.USER_ID };
const flag = { "feature_flag.key": "newCheckout", "feature_flag.result.variant": variant };

function service(name) {
  return resourceFromAttributes({
    "service.name": name,
    "service.version": "1.0.0",
    "service.instance.id": `${name}-${variant}`,
    "deployment.environment.name": "production",
  });
}

// serveCart answers a request that evaluates the flag and asks the database.
// For new it fails.
async function serveCart(tracer, logger) {
  const span = tracer.startSpan("POST /cart", {
    kind: api.SpanKind.SERVER,
    attributes: { ...user, "http.request.method": "POST", "http.route": "/cart", "url.path": "/cart" },
  });
  const context = api.trace.setSpan(api.context.active(), span);
  span.addEvent("feature_flag.evaluation", { ...flag, "feature_flag.context.id": process.env.USER_ID });
  const query = tracer.startSpan(
    "SELECT cart",
    { kind: api.SpanKind.CLIENT, attributes: { "db.system.name": "postgresql", "db.operation.name": "SELECT" } },
    context,
  );
  await sleep(2); // the database at work
  query.end();
  const errors = [new RangeError("cart is slow"), ...(isNew ? [new TypeError("cart is broken")] : [])];
  for (const error of errors) {
    logger.emit({
      context,
      severityNumber: SeverityNumber.ERROR,
      body: "request failed",
      attributes: { ...user, ...flag, "exception.type": error.name, "exception.message": error.message },
    });
  }
  span.setAttribute("http.response.status_code", isNew ? 500 : 200);
  if (isNew) span.setStatus({ code: api.SpanStatusCode.ERROR, message: "cart is slow" });
  span.end();
}

// servePay answers a request that names the flag on its span.
function servePay(tracer) {
  const attributes = { ...user, ...flag, "http.request.method": "POST", "http.route": "/pay", "http.response.status_code": 200 };
  tracer.startSpan("POST /pay", { kind: api.SpanKind.SERVER, attributes }).end();
}

// count sends a histogram of two requests and, where asked, the memory.
async function count(resource, memory) {
  const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() });
  const provider = new MeterProvider({ resource, readers: [reader] });
  const meter = provider.getMeter("shop");
  const advice = { explicitBucketBoundaries: [0.1, 0.25, 0.5, 1] };
  const duration = meter.createHistogram("http.server.request.duration", { unit: "s", advice });
  for (const seconds of [0.2, 0.4]) duration.record(seconds, { ...flag, "http.route": "/cart", "http.response.status_code": 200 });
  if (memory) meter.createGauge("process.memory.usage", { unit: "By" }).record(memoryBytes);
  await provider.shutdown();
}

// Spans go before histograms, so that the requests of the shop are known as
// spans when they come again.
async function main() {
  const shop = service("shop");
  const traces = new TracerProvider({ resource: shop, spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })] });
  const logs = new LoggerProvider({ resource: shop, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
  await serveCart(traces.getTracer("shop"), logs.getLogger("shop"));
  servePay(traces.getTracer("shop"));
  await traces.shutdown();
  await logs.shutdown();
  await count(shop, true);
  await count(service("stock"), false);
}

api.diag.setLogger(new api.DiagConsoleLogger(), api.DiagLogLevel.WARN); // what an exporter could not send
main();
