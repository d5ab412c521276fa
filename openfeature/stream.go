package openfeature

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	of "github.com/open-feature/go-sdk/openfeature"
)

const (
	streamPath   = "/ofrep/v1/stream"
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 15 * time.Second
	noStreamWait = time.Minute // before asking again a server without this stream
	// silence is how long a stream may say nothing; servers send a comment
	// every 15 to 30 s.
	silence = 75 * time.Second
)

// stream listens for changes, on one goroutine.
type stream struct {
	p       *Provider
	first   chan error  // takes the outcome of the first attempt, for Init
	decided atomic.Bool // Init has its outcome, or waits no longer
	lastID  string
	ready   bool // the SDK believes the provider ready
	again   bool // there was a connection before
}

// run listens until ctx ends, connecting again and again.
func (s *stream) run(ctx context.Context) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		connected, err := s.listen(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := backoff
		switch {
		case connected:
			backoff, wait = firstBackoff, firstBackoff
			s.lost(err)
		case unsupported(err):
			s.settle(nil) // no stream here: answers live for TTL
			wait = noStreamWait
		default:
			s.settle(initError(err))
			backoff = min(2*backoff, lastBackoff)
		}
		s.p.opt.Logger.DebugContext(ctx, "flag stream", "error", err, "retry", wait)
		if !pause(ctx, wait/2+rand.N(wait/2+1)) {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// statusError is an answer that is no stream.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("serin: stream: status %d", int(e)) }

func unsupported(err error) bool {
	var code statusError
	return errors.As(err, &code) && (code == http.StatusNotFound || code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented)
}

// initError is what Init says of a first attempt that failed; a refused key
// is fatal.
func initError(err error) error {
	code := of.GeneralCode
	var status statusError
	if errors.As(err, &status) && (status == http.StatusUnauthorized || status == http.StatusForbidden) {
		code = of.ProviderFatalCode
	}
	return &of.ProviderInitError{ErrorCode: code, Message: err.Error()}
}

// settle tells Init, the first time, and the SDK when a provider that was in
// error has become usable.
func (s *stream) settle(err error) {
	if s.decided.CompareAndSwap(false, true) {
		s.ready = err == nil
		s.first <- err
		return
	}
	if err == nil && !s.ready {
		s.ready = true
		s.p.emit(of.ProviderReady, "connected")
	}
}

// lost marks the stream as down.
func (s *stream) lost(err error) {
	s.p.streamUp.Store(false)
	s.ready = false
	message := "stream ended"
	if err != nil {
		message = err.Error()
	}
	s.p.emit(of.ProviderStale, message)
}

// listen reads one connection until it ends; connected is true when there was
// one.
func (s *stream) listen(ctx context.Context) (connected bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()
	req, err := s.p.request(ctx, http.MethodGet, streamPath, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("Accept", "text/event-stream")
	if s.lastID != "" {
		req.Header.Set("Last-Event-ID", s.lastID)
	}
	res, err := s.p.streaming.Do(req)
	if err != nil {
		return false, fmt.Errorf("serin: stream: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		if res.StatusCode == http.StatusOK {
			return false, statusError(http.StatusNotImplemented)
		}
		return false, statusError(res.StatusCode)
	}
	s.p.generation.Add(1) // what changed while nobody listened is not known
	s.p.pausedTill.Store(0)
	s.p.streamUp.Store(true)
	s.settle(nil)
	if s.again && s.lastID == "" { // with an id the server says whether something changed
		s.p.emit(of.ProviderConfigChange, "connected again, flags may have changed")
	}
	s.again = true
	return true, s.read(bufio.NewScanner(res.Body), watchdog)
}

// read takes events (WHATWG HTML, 9.2.6) until the stream ends.
func (s *stream) read(lines *bufio.Scanner, watchdog *time.Timer) error {
	var data strings.Builder
	for lines.Scan() {
		watchdog.Reset(silence)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			s.handle(data.String())
			data.Reset()
		case name == "data":
			data.WriteString(value)
		case name == "id":
			s.lastID = value
		}
	}
	return lines.Err()
}

// handle takes one event's data; types nobody knows are ignored.
func (s *stream) handle(data string) {
	var event struct {
		Type string `json:"type"`
	}
	if data == "" || json.Unmarshal([]byte(data), &event) != nil || event.Type != "refetchEvaluation" {
		return
	}
	s.p.generation.Add(1)
	s.p.emit(of.ProviderConfigChange, "flags changed")
}
