package intake

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
)

// Limits bound one request. A zero field means its default.
type Limits struct {
	WireBytes    int64 // body as sent: 8 MiB
	DecodedBytes int64 // body after decompression: 32 MiB
	BeaconBytes  int64 // body of a beacon, as sent and decompressed: 64 KiB
}

// Defaults of Limits, and the guard against decompression bombs: a body over
// ratioAfterBytes may not be more than maxRatio times what was sent.
const (
	defaultWireBytes    = 8 << 20
	defaultDecodedBytes = 32 << 20
	defaultBeaconBytes  = 64 << 10
	ratioAfterBytes     = 1 << 20
	maxRatio            = 200
)

func (l Limits) withDefaults() Limits {
	if l.WireBytes <= 0 {
		l.WireBytes = defaultWireBytes
	}
	if l.DecodedBytes <= 0 {
		l.DecodedBytes = defaultDecodedBytes
	}
	if l.BeaconBytes <= 0 {
		l.BeaconBytes = defaultBeaconBytes
	}
	return l
}

// of is the limits of one endpoint.
func (l Limits) of(endpoint string) (wire, decoded int64) {
	if endpoint == endpointBeacon {
		return l.BeaconBytes, l.BeaconBytes
	}
	return l.WireBytes, l.DecodedBytes
}

// Endpoints with rules of their own.
const (
	endpointEnvelope = "envelope"
	endpointBeacon   = "beacon"
)

// Options of New. Sink, Keys and Decoders are required.
type Options struct {
	Sink     Sink
	Keys     KeyChecker
	Decoders map[string]Decoder    // by endpoint: "envelope", "store", "security", "beacon"
	Clock    clock.Clock           // nil: the machine's
	Logger   *slog.Logger          // nil: silent
	Registry prometheus.Registerer // nil: metrics are kept but not registered
	Limits   Limits
	Forward  Forwarder // who else gets the requests; nil = nobody
}

type door struct {
	sink     Sink
	keys     KeyChecker
	decoders map[string]Decoder
	clock    clock.Clock
	log      *slog.Logger
	limits   Limits
	metrics  *metrics
	forward  Forwarder
	large    chan struct{} // holds a token for each large body that is read
}

// New makes the door. It panics if two doors register with one registry, as
// prometheus.MustRegister does.
func New(o Options) http.Handler {
	if o.Clock == nil {
		o.Clock = clock.Real()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &door{
		sink: o.Sink, keys: o.Keys, decoders: o.Decoders, clock: o.Clock,
		log: o.Logger, limits: o.Limits.withDefaults(), metrics: newMetrics(o.Registry), forward: o.Forward,
		large: make(chan struct{}, maxLarge),
	}
}

// Match splits PREFIX/api/{project}/{endpoint}[/]. The last such part of the
// path counts, as a prefix may itself contain /api/. It does not say whether
// the endpoint is served. The paths of OTLP may name no project: then it is "".
func Match(path string) (project, endpoint string, ok bool) {
	path = strings.TrimSuffix(path, "/")
	if project, endpoint, ok := matchOTLP(path); ok {
		return project, endpoint, true
	}
	rest, endpoint, ok := cutLast(path, "/")
	if !ok || endpoint == "" {
		return "", "", false
	}
	rest, project, ok = cutLast(rest, "/")
	if !ok || !validProject(project) || !strings.HasSuffix(rest, "/api") {
		return "", "", false
	}
	return project, endpoint, true
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// maxProjectBytes bounds what is looked up and logged as a project.
const maxProjectBytes = 64

func validProject(s string) bool {
	if s == "" || len(s) > maxProjectBytes {
		return false
	}
	for _, c := range s {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// ServeHTTP implements http.Handler.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := d.clock.Mono()
	project, endpoint, ok := Match(r.URL.Path)
	decoder := d.decoders[endpoint]
	if !ok || decoder == nil {
		endpoint = "unknown"
		d.finish(w, r, endpoint, refuse(http.StatusNotFound, "not_found",
			"no telemetry is taken here: send to /api/{project}/envelope/, /store/, /security/ or /beacon/, or OTLP to /v1/traces, /v1/metrics or /v1/logs"))
		return
	}
	var a answer
	switch r.Method {
	case http.MethodOptions:
		a = d.preflight(r, project, endpoint)
	case http.MethodPost:
		a = d.take(r, project, endpoint, decoder)
	default:
		a = refuse(http.StatusMethodNotAllowed, "method", "use POST")
		a.allow = "POST, OPTIONS"
	}
	if replier, ok := decoder.(Replier); ok && a.status >= http.StatusBadRequest {
		a.body, a.contentType = replier.Reply(r.Header, a.status, a.detail)
	}
	d.finish(w, r, endpoint, a)
	d.metrics.seconds.WithLabelValues(endpoint).Observe((d.clock.Mono() - began).Seconds())
}

// take does one POST: auth, body, decode, accept.
func (d *door) take(r *http.Request, project, endpoint string, decoder Decoder) answer {
	cred, err := requestCredentials(r, endpoint)
	if err != nil {
		return d.forbidden(err)
	}
	var key Key
	// The key is checked before the body is read, so that strangers cost
	// little; only an envelope may carry it in its body alone.
	if cred.key != "" {
		if key, err = d.keys.IngestKey(r.Context(), cred.key, project, r.Header.Get("Origin")); err != nil {
			return d.keyRefused(err)
		}
	} else if endpoint != endpointEnvelope {
		return d.keyRefused(errNoKey)
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer giveBack(buf)
	b, dir := body{close: func() {}}, ""
	if cred.key != "" {
		dir = d.roomFor(project, endpoint, decoder)
	}
	if dir == "" {
		err = d.readBody(buf, r, endpoint)
	} else {
		b, err = d.readStart(buf, r)
	}
	if err != nil {
		return d.bodyRefused(err).with(cred.key != "", key)
	}
	defer b.close()
	if endpoint == endpointEnvelope {
		known := cred.key != ""
		if err := cred.addDSN(buf.Bytes(), project); err != nil {
			return d.forbidden(err)
		}
		if !known {
			if cred.key == "" {
				return d.keyRefused(errNoKey)
			}
			if key, err = d.keys.IngestKey(r.Context(), cred.key, project, r.Header.Get("Origin")); err != nil {
				return d.keyRefused(err)
			}
		}
	}
	if project == "" {
		project = key.Project
	}
	if b.rest != nil {
		return d.takeLarge(r, project, key, cred.key, decoder, b, dir).with(true, key)
	}
	a := d.decodeAndAccept(r, project, endpoint, decoder, key, buf.Bytes())
	if d.forward != nil && a.forwarded() {
		d.forward.Forward(Forwarded{Project: project, Endpoint: endpoint, Key: cred.key, Body: buf.Bytes(), Request: r, Received: d.clock.Now()})
	}
	return a.with(true, key)
}

func (d *door) decodeAndAccept(r *http.Request, project, endpoint string, decoder Decoder, key Key, body []byte) answer {
	res, err := decoder.Decode(d.request(r, project, endpoint, key, body))
	return d.acceptResult(r, res, err, key)
}

// request is what a Decoder gets.
func (d *door) request(r *http.Request, project, endpoint string, key Key, body []byte) Request {
	return Request{
		Project: project, Endpoint: endpoint, Body: body, Header: r.Header, Query: r.URL.Query(),
		Received: d.clock.Now(), Age: d.clock.Age, Publishable: key.Publishable,
	}
}

// acceptResult makes durable what a Decoder found.
func (d *door) acceptResult(r *http.Request, res Result, err error, key Key) answer {
	d.metrics.skipped(res)
	if err != nil {
		return refuse(http.StatusBadRequest, "malformed", err.Error())
	}
	if key.Environment != "" {
		for i := range res.Events {
			res.Events[i].Environment = key.Environment
		}
	}
	return d.accept(r.Context(), res)
}

// finish counts and writes the answer.
func (d *door) finish(w http.ResponseWriter, r *http.Request, endpoint string, a answer) {
	d.metrics.answered(endpoint, a)
	if a.status >= http.StatusInternalServerError {
		d.log.Error("telemetry not accepted", "endpoint", endpoint, "status", a.status, "err", a.cause)
	} else if a.status >= http.StatusBadRequest {
		d.log.Debug("telemetry refused", "endpoint", endpoint, "status", a.status, "reason", a.reason, "detail", a.detail)
	}
	if a.status != statusClientGone {
		a.write(w, r, endpoint)
	}
}

var errNoKey = errors.New("no key")
