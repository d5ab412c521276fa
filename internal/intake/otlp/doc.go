// Package otlp reads OpenTelemetry's protocol OTLP/HTTP: traces, metrics and
// logs in protobuf or JSON. Decoder implements intake.Decoder for the endpoints
// v1/traces, v1/metrics and v1/logs; it is stateless and does no I/O. JSON is
// read into the messages of protobuf (json.go), so that both encodings mean the
// same; what is decoded from them is:
//
//	span, kind SERVER                     KindRequest, Op "http.server"
//	span, kind CLIENT with db.system      KindSpan, Op "db"
//	span or log event
//	  feature_flag.evaluation             KindExposure
//	any other span with a user and flags  KindExposure
//	span event exception                  Exception of its span, no second error
//	log, severity 17 or more, or with
//	  exception.type                      KindError, unless Decoder.NoErrors
//	http.server.request.duration          KindMetric, Op "http.server"
//	db.client.operation.duration          KindMetric, Op "db"
//	process.memory.usage, go.memory.used,
//	  jvm.memory.used,
//	  v8js.memory.heap.used               KindMetric, Op "memory"
//	db.client.connection.count, .max      KindMetric, Op "pool.used", "pool.max"
//	any other gauge with one point        KindMetric, Op "gauge"
//
// Everything else is skipped and counted. Who and which flags: a span's
// attributes user.id (else enduser.id, else feature_flag.context.id) and
// feature_flag.*, those of its evaluation events, else those of other spans of
// its trace in the same request. Metrics name no user; a point's
// feature_flag.key and feature_flag.result.variant say its arm.
//
// Histograms mostly count since their start. The decoder hands them on as they
// are, with hashes that tell the series apart; the evidence, which knows the
// point before, takes the difference when it makes it durable.
//
// The answers are the protocol's: an empty message, one with partial_success
// where records were rejected, or a Status, each in the encoding of the request.
//
// Sources: opentelemetry-proto docs/specification.md (OTLP/HTTP, JSON encoding)
// and its .proto files, version 1.11; OpenTelemetry semantic conventions for
// HTTP, databases, feature flags, exceptions and runtimes.
package otlp
