package intake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// statusClientGone is counted, never sent: the client hung up before the
// answer, so nobody was told that its events are durable.
const statusClientGone = 499

// answer is what one request is told.
type answer struct {
	status         int
	id             string // of 200
	body           []byte // of 200; nil = {"id": id}; of a refusal: nil = {"detail": detail}
	contentType    string // of body; "" = application/json, and none if it is empty
	reason         string // of a refusal, a metric label
	detail         string // of a refusal: what to do
	cause          error  // of a 503, for the log only
	limits         []string
	acceptEncoding string
	allow          string
	cors           cors
}

// cors says who may read the answer.
type cors uint8

const (
	corsAny    cors = iota // any page
	corsOrigin             // the request's origin only: the key lists it
	corsNone               // no page: the key does not list it
)

func refuse(status int, reason, detail string) answer {
	return answer{status: status, reason: reason, detail: detail}
}

func unavailable(err error) answer {
	a := refuse(http.StatusServiceUnavailable, "unavailable", "nothing can be stored at the moment: send it again later")
	a.cause = err
	return a
}

// overloaded is a 429 for these categories. It is never sent without them:
// SDKs read a bare 429 as a limit on everything.
func overloaded(reason string, categories []string) answer {
	a := refuse(http.StatusTooManyRequests, reason, "too much at the moment: "+strings.Join(categories, ", ")+" were not stored, hold them back for a while")
	a.limits = categories
	return a
}

// with notes whether the key restricts origins, once it is known.
func (a answer) with(known bool, k Key) answer {
	if known && k.Origins && a.cors == corsAny {
		a.cors = corsOrigin
	}
	return a
}

// preflight answers OPTIONS. The key is looked at only if the query has one:
// a preflight carries no other headers.
func (d *door) preflight(r *http.Request, project, endpoint string) answer {
	a := answer{status: http.StatusOK, body: []byte{}}
	cred, err := requestCredentials(r, endpoint)
	if err != nil || cred.key == "" {
		return a
	}
	key, err := d.keys.IngestKey(r.Context(), cred.key, project, r.Header.Get("Origin"))
	if err != nil {
		return d.keyRefused(err)
	}
	return a.with(true, key)
}

// The CORS headers, from relay's middlewares/cors.rs, with the trace headers
// that browser SDKs add to requests of the page.
const (
	corsMethods = "POST, OPTIONS"
	corsAllowed = "x-sentry-auth, x-requested-with, origin, referer, accept, content-type, content-encoding, transfer-encoding, authentication, authorization, sentry-trace, baggage, traceparent"
	corsExposed = "x-sentry-error, x-sentry-rate-limits, retry-after"
	corsMaxAge  = "3600"
)

func (a answer) writeCORS(h http.Header, r *http.Request, endpoint string) {
	origin := r.Header.Get("Origin")
	if a.cors == corsNone {
		h.Add("Vary", "Origin")
		return
	}
	// navigator.sendBeacon sends credentials, and with those "*" is no answer
	// (Fetch standard, CORS check).
	echo := a.cors == corsOrigin || endpoint == endpointBeacon
	switch {
	case !echo:
		h.Set("Access-Control-Allow-Origin", "*")
	case origin == "":
		h.Add("Vary", "Origin")
		return
	default:
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", origin)
		if endpoint == endpointBeacon {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	}
	h.Set("Access-Control-Expose-Headers", corsExposed)
	if r.Method == http.MethodOptions {
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", corsAllowed)
		h.Set("Access-Control-Max-Age", corsMaxAge)
	}
}

func (a answer) write(w http.ResponseWriter, r *http.Request, endpoint string) {
	h := w.Header()
	a.writeCORS(h, r, endpoint)
	h.Set("X-Content-Type-Options", "nosniff")
	if a.allow != "" {
		h.Set("Allow", a.allow)
	}
	if a.acceptEncoding != "" {
		h.Set("Accept-Encoding", a.acceptEncoding)
	}
	seconds := strconv.Itoa(int(retryAfter.Seconds()))
	if len(a.limits) > 0 {
		h.Set("X-Sentry-Rate-Limits", fmt.Sprintf("%s:%s:project:%s", seconds, strings.Join(a.limits, ";"), a.reason))
	}
	if a.status == http.StatusTooManyRequests || a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", seconds)
	}
	body := a.payload()
	if a.status >= http.StatusBadRequest {
		h.Set("X-Sentry-Error", headerText(a.detail))
	}
	switch {
	case a.contentType != "":
		h.Set("Content-Type", a.contentType)
	case len(body) > 0:
		h.Set("Content-Type", "application/json")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}

// payload is the JSON body.
func (a answer) payload() []byte {
	var v any
	switch {
	case a.body != nil:
		return a.body
	case a.status >= http.StatusBadRequest:
		v = struct {
			Detail string `json:"detail"`
		}{a.detail}
	default:
		v = struct {
			ID string `json:"id"`
		}{a.id}
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic("intake: marshal of a string failed: " + err.Error())
	}
	return b
}

// headerText keeps what a header value may hold (RFC 9110, 5.5): visible
// ASCII and blanks.
func headerText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
