// Package ofrep is the HTTP door for flag clients: the OpenFeature Remote
// Evaluation Protocol 0.3.0 (open-feature/protocol, service/openapi.yaml and
// service/event-streams.yaml) with server-sent events.
//
//	POST /ofrep/v1/evaluate/flags/{key}   one flag
//	POST /ofrep/v1/evaluate/flags         all flags, with ETag
//	GET  /ofrep/v1/stream?token=…         "fetch again" whenever flags change
//
// It promises: a body over 1 MB is refused with 413; a publishable key sees
// only flags whose metadata has client: true, as if the others did not exist;
// a bulk request whose If-None-Match fits is answered 304 without evaluating
// a flag, and never when it could be wrong; every answer but 204 and 304 is
// JSON. It stores nothing.
package ofrep

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/flag"
	"serin/internal/hub"
)

// Path is the prefix of everything the door serves.
const Path = "/ofrep/v1/"

const (
	evaluatePath = Path + "evaluate/flags"
	streamPath   = Path + "stream"
	maxBodyBytes = 1 << 20

	defaultHeartbeat  = 20 * time.Second
	defaultMaxStreams = 20_000
)

// What a KeyChecker may answer besides a Key; a *LimitedError gives 429, any
// other error 500.
var (
	ErrUnknownKey = errors.New("ofrep: unknown key") // 401: missing, wrong or revoked
	ErrForbidden  = errors.New("ofrep: forbidden")   // 403: not for this door, or not from this origin
)

// LimitedError says that a key asks too often.
type LimitedError struct{ RetryAfter time.Duration }

// Error implements error.
func (e *LimitedError) Error() string { return "ofrep: too many requests" }

// Key is who asks.
type Key struct {
	Server bool   // sees all flags; else only those with client: true
	ID     string // names the key without revealing it
	// Place is the project and the environment that the key is for: flags of
	// others do not exist for it.
	Place flag.Place
}

// KeyChecker knows the keys. key is "" when none was sent; origin is the
// Origin header. It may be called at the same time and on every request, so
// it answers from memory.
type KeyChecker interface {
	FlagKey(ctx context.Context, key, origin string) (Key, error)
}

// Observer is told of each flag in an answer. It is called before the answer
// leaves, at the same time by many requests: it returns at once and keeps
// nothing of c, which it must not change.
type Observer interface {
	// Evaluated: the flag was evaluated; an e with FlagNotFound says that there
	// is none, or that this caller may not see it.
	Evaluated(ctx context.Context, flagKey string, c flag.Context, e flag.Evaluation, server bool)
	// Unchanged: a client was told by 304 to go on with what it has of the flag.
	Unchanged(flagKey string)
}

// Options are the parts of a door. Hub and Keys are needed; without Keys
// everybody is refused.
type Options struct {
	Hub      *hub.Hub
	Keys     KeyChecker
	Observer Observer         // nil = nobody
	Now      func() time.Time // server time for $flagd.timestamp; nil = time.Now
	Logger   *slog.Logger     // nil = discarded
	Registry prometheus.Registerer

	// AllowOrigins are the origins browsers may call from; empty = all.
	AllowOrigins []string
	// Heartbeat is between comment lines of a silent stream; 0 = 20 s.
	Heartbeat time.Duration
	// MaxStreams bounds open streams; 0 = 20,000.
	MaxStreams int
	// StreamSecret signs the stream tokens given to server keys, so that
	// those keys stay out of URLs. nil = random; replicas share one.
	StreamSecret []byte
}

// Door serves the protocol. Make one with New.
type Door struct {
	opt     Options
	metrics *metrics
	frame   atomic.Pointer[frame]
	streams atomic.Int64
}

// New returns the handler of everything under Path.
func New(opt Options) *Door {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	if opt.Heartbeat <= 0 {
		opt.Heartbeat = defaultHeartbeat
	}
	if opt.MaxStreams <= 0 {
		opt.MaxStreams = defaultMaxStreams
	}
	if opt.StreamSecret == nil {
		opt.StreamSecret = make([]byte, 32)
		_, _ = rand.Read(opt.StreamSecret) // never fails (crypto/rand)
	}
	return &Door{opt: opt, metrics: newMetrics(opt.Registry)}
}

// ServeHTTP implements http.Handler. It routes on the escaped path, so that a
// key may hold a slash, escaped or not.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.allowOrigin(w.Header(), r)
	if r.Method == http.MethodOptions {
		preflight(w)
		return
	}
	path := r.URL.EscapedPath()
	if strings.TrimSuffix(path, "/") == streamPath {
		if method(w, r, http.MethodGet) {
			d.stream(w, r)
		}
		return
	}
	rest, ok := strings.CutPrefix(path, evaluatePath)
	if !ok || rest != "" && rest[0] != '/' {
		details(w, http.StatusNotFound, "no such endpoint: use "+evaluatePath+"[/{key}] or "+streamPath)
		return
	}
	if !method(w, r, http.MethodPost) {
		return
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		d.bulk(w, r)
		return
	}
	key, err := url.PathUnescape(rest[1:])
	if err != nil {
		details(w, http.StatusBadRequest, "the flag key in the path is not escaped correctly")
		return
	}
	d.single(w, r, key)
}

func method(w http.ResponseWriter, r *http.Request, want string) bool {
	if r.Method == want {
		return true
	}
	w.Header().Set("Allow", want+", OPTIONS")
	details(w, http.StatusMethodNotAllowed, "use "+want)
	return false
}

var (
	originAny    = []string{"*"}
	varyOrigin   = []string{"Origin"}
	exposed      = []string{"ETag, Retry-After"}
	allowMethods = []string{"POST, GET, OPTIONS"}
	allowHeaders = []string{"Content-Type, If-None-Match, Authorization, X-API-Key, Flagd-Selector"}
	jsonType     = []string{"application/json"}
)

func (d *Door) allowOrigin(h http.Header, r *http.Request) {
	h["Vary"] = varyOrigin
	origin := originAny
	if len(d.opt.AllowOrigins) > 0 {
		origin = nil
		for _, allowed := range d.opt.AllowOrigins {
			if sent := r.Header.Get("Origin"); allowed == sent || allowed == "*" {
				origin = []string{allowed}
			}
		}
	}
	if origin != nil {
		h["Access-Control-Allow-Origin"] = origin
		h["Access-Control-Expose-Headers"] = exposed
	}
}

func preflight(w http.ResponseWriter) {
	h := w.Header()
	h["Access-Control-Allow-Methods"] = allowMethods
	h["Access-Control-Allow-Headers"] = allowHeaders
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// caller is an authenticated request.
type caller struct {
	Key
	sent     string // the key as sent
	selector string // flagSetId, "" = all
}

// admit checks the key and the selector; when it refuses it has answered.
func (d *Door) admit(w http.ResponseWriter, r *http.Request, sent string) (caller, bool) {
	if d.opt.Keys == nil {
		d.refuse(w, r, ErrUnknownKey)
		return caller{}, false
	}
	key, err := d.opt.Keys.FlagKey(r.Context(), sent, r.Header.Get("Origin"))
	if err != nil {
		d.refuse(w, r, err)
		return caller{}, false
	}
	selector, err := flagSet(r.Header.Get("Flagd-Selector"))
	if err != nil {
		failed(w, http.StatusBadRequest, "", flag.General, err.Error())
		return caller{}, false
	}
	return caller{Key: key, sent: sent, selector: selector}, true
}

// sees reports whether the flag exists for the caller.
func (c caller) sees(rs *flag.Ruleset, key string) bool {
	return (c.Server || rs.Client(key)) && rs.Admits(key, c.Place) && (c.selector == "" || rs.InSet(key, c.selector))
}

// sentKey reads `Authorization: Bearer …` or `X-API-Key`.
func sentKey(r *http.Request) string {
	const scheme = "bearer "
	if a := r.Header.Get("Authorization"); len(a) > len(scheme) && strings.EqualFold(a[:len(scheme)], scheme) {
		return strings.TrimSpace(a[len(scheme):])
	}
	return r.Header.Get("X-API-Key")
}

// flagSet reads a Flagd-Selector: `flagSetId=x` selects a set; `source=x` and
// a bare source name serin's one source.
func flagSet(selector string) (string, error) {
	name, value, ok := strings.Cut(selector, "=")
	switch {
	case !ok || name == "source":
		return "", nil
	case name == "flagSetId":
		return value, nil
	}
	return "", errors.New("Flagd-Selector: unknown key " + strconv.Quote(name) + ", use flagSetId or source")
}

func (d *Door) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var limited *LimitedError
	switch {
	case errors.Is(err, ErrUnknownKey):
		w.Header().Set("WWW-Authenticate", "Bearer")
		details(w, http.StatusUnauthorized, "unknown key: send a flags key as Authorization: Bearer or X-API-Key")
	case errors.Is(err, ErrForbidden):
		details(w, http.StatusForbidden, "this key may not read flags here")
	case errors.As(err, &limited):
		seconds := max(1, int64((limited.RetryAfter+time.Second-1)/time.Second))
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
		details(w, http.StatusTooManyRequests, "too many requests")
	default:
		d.opt.Logger.ErrorContext(r.Context(), "check flag key", "error", err)
		details(w, http.StatusInternalServerError, "the key could not be checked, try again")
	}
	d.metrics.refused.Inc()
}
