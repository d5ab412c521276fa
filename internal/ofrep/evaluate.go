package ofrep

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"serin/internal/flag"
)

// invalidContext is the protocol's code for a body that cannot be read.
const invalidContext flag.ErrorCode = "INVALID_CONTEXT"

// buffers are for bodies and answers.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

const maxPooledBytes = 64 << 10

func release(p *[]byte, b []byte) {
	if cap(b) <= maxPooledBytes {
		*p = b[:0]
		buffers.Put(p)
	}
}

func (d *Door) single(w http.ResponseWriter, r *http.Request, key string) {
	who, ok := d.admit(w, r, sentKey(r))
	if !ok {
		return
	}
	ctx, ok := d.context(w, r, key)
	if !ok {
		return
	}
	rs := d.opt.Hub.Current()
	e := d.evaluate(r, rs, who, key, ctx)
	p := buffers.Get().(*[]byte)
	b := appendEvaluation(*p, &e)
	d.metrics.single.Inc()
	writeJSON(w, status(e.Code), b)
	release(p, b)
	if e.Code != flag.FlagNotFound {
		d.opt.Hub.Served(rs, key)
	}
}

// evaluate answers for one flag as the caller sees it, and tells the observer.
func (d *Door) evaluate(r *http.Request, rs *flag.Ruleset, who caller, key string, ctx flag.Context) flag.Evaluation {
	var e flag.Evaluation
	if who.sees(rs, key) {
		e = rs.EvaluateAt(key, ctx, d.opt.Now().Unix())
	} else {
		var nothing *flag.Ruleset // says of every flag that it does not exist
		e = nothing.Evaluate(key, nil)
	}
	if d.opt.Observer != nil {
		d.opt.Observer.Evaluated(r.Context(), key, ctx, e, who.Server)
	}
	return e
}

func (d *Door) bulk(w http.ResponseWriter, r *http.Request) {
	who, ok := d.admit(w, r, sentKey(r))
	if !ok {
		return
	}
	ctx, ok := d.context(w, r, "")
	if !ok {
		return
	}
	rs := d.opt.Hub.Current()
	now := d.opt.Now().Unix()
	etag := entityTag(rs, who, ctx, now)
	w.Header()["Etag"] = []string{etag}
	if matches(r.Header.Values("If-None-Match"), etag) && !d.ahead(r, rs) {
		d.metrics.unchanged.Inc()
		d.unchanged(rs, who)
		w.WriteHeader(http.StatusNotModified)
		d.served(rs, who) // the client says that it has these very answers
		return
	}
	p := buffers.Get().(*[]byte)
	b := append(*p, `{"flags":[`...)
	first := true
	for _, key := range rs.Keys() {
		if !who.sees(rs, key) {
			continue
		}
		e := rs.EvaluateAt(key, ctx, now)
		if d.opt.Observer != nil {
			d.opt.Observer.Evaluated(r.Context(), key, ctx, e, who.Server)
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendEvaluation(b, &e)
	}
	b = appendMetadata(append(b, ']'), rs.Metadata())
	b = append(b, `,"eventStreams":[{"type":"sse","endpoint":{"requestUri":"`+streamPath+`?token=`...)
	b = append(b, url.QueryEscape(d.streamToken(who))...)
	b = append(b, `"},"inactivityDelaySec":120}]}`...)
	d.metrics.bulk.Inc()
	writeJSON(w, http.StatusOK, b)
	release(p, b)
	d.served(rs, who)
}

// served tells the hub that a client has the answers of rs for all flags it sees.
func (d *Door) served(rs *flag.Ruleset, who caller) {
	d.opt.Hub.ServedAll(rs, func(key string) bool { return who.sees(rs, key) })
}

// unchanged tells the observer of a 304: the client goes on using its flags.
func (d *Door) unchanged(rs *flag.Ruleset, who caller) {
	if d.opt.Observer == nil {
		return
	}
	for _, key := range rs.Keys() {
		if who.sees(rs, key) {
			d.opt.Observer.Unchanged(key)
		}
	}
}

// ahead reports whether the client was told of a configuration that this
// instance does not serve: a replica that lags must not answer 304
// (open-feature/protocol, pull request 84).
func (d *Door) ahead(r *http.Request, rs *flag.Ruleset) bool {
	if !strings.Contains(r.URL.RawQuery, "flagConfigEtag") {
		return false
	}
	told := strings.Trim(r.URL.Query().Get("flagConfigEtag"), `"`)
	return told != "" && told != rs.ETag()
}

// context reads the evaluation context; a missing body or context is an empty
// one. When it returns false it has answered.
func (d *Door) context(w http.ResponseWriter, r *http.Request, key string) (flag.Context, bool) {
	p := buffers.Get().(*[]byte)
	body, err := readAll(*p, http.MaxBytesReader(w, r.Body, maxBodyBytes))
	defer func() { release(p, body) }()
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			details(w, http.StatusRequestEntityTooLarge, "the body is larger than 1 MB")
		} else {
			failed(w, http.StatusBadRequest, key, invalidContext, "the body could not be read")
		}
		return nil, false
	}
	if len(body) == 0 {
		return nil, true
	}
	var request struct {
		Context flag.Context `json:"context"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		failed(w, http.StatusBadRequest, key, invalidContext, `the body is not {"context": {…}}: `+err.Error())
		return nil, false
	}
	return request.Context, true
}

func readAll(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// streamToken is what opens the stream for the caller: a publishable key
// itself, which pages carry anyway, or a signed name of a server key. It is
// the same in every answer, because clients reconnect when the URL changes.
func (d *Door) streamToken(who caller) string {
	if !who.Server {
		return who.sent
	}
	return streamTokenPrefix + d.sign(who.ID) + "." + who.ID
}

const streamTokenPrefix = "stream."

func (d *Door) sign(id string) string {
	mac := hmac.New(sha256.New, d.opt.StreamSecret)
	mac.Write([]byte(id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:18])
}

// signed reports whether a token is one that streamToken signed.
func (d *Door) signed(token string) bool {
	rest, ok := strings.CutPrefix(token, streamTokenPrefix)
	mac, id, found := strings.Cut(rest, ".")
	return ok && found && hmac.Equal([]byte(mac), []byte(d.sign(id)))
}
