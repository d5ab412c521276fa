// Package intaketest is the conformance suite of the intake.Decoder port: what
// the door and the evidence rely on, whatever the protocol.
//
// A decoder answers any body without panic, answers the same body with the
// same events, keeps no reference to the body, which the door reuses, and gives
// each event maps of its own, which scrubbing changes in place. It may be used
// by many goroutines.
package intaketest

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"reflect"
	"sync"
	"testing"
	"time"

	"serin/internal/intake"
	"serin/internal/telemetry"
)

// Received is the arrival time of the requests that Request makes.
var Received = time.Date(2026, 11, 22, 17, 56, 17, 0, time.UTC)

// Request is a request of project 42 with this body, by a server key.
func Request(endpoint string, body []byte) intake.Request {
	return intake.Request{
		Project: "42", Endpoint: endpoint, Body: body, Header: http.Header{}, Query: map[string][]string{},
		Received: Received, Age: func(t time.Time) time.Duration { return Received.Sub(t) },
	}
}

// Run checks d with good bodies of an endpoint, and with each of them cut and
// corrupted.
func Run(t *testing.T, d intake.Decoder, endpoint string, bodies ...[]byte) {
	t.Helper()
	t.Run("keeps no body", func(t *testing.T) { keepsNothing(t, d, endpoint, bodies) })
	t.Run("own maps", func(t *testing.T) { ownMaps(t, d, endpoint, bodies) })
	t.Run("concurrent", func(t *testing.T) { concurrent(t, d, endpoint, bodies) })
	t.Run("broken bodies", func(t *testing.T) {
		for _, body := range bodies {
			for _, broken := range damaged(body) {
				Check(t, d, Request(endpoint, broken))
			}
		}
	})
}

// Check decodes r twice and fails if results differ or break the contract of
// telemetry.Event. It is the body of fuzz targets.
func Check(t *testing.T, d intake.Decoder, r intake.Request) {
	t.Helper()
	first, err1 := d.Decode(r)
	second, err2 := d.Decode(r)
	if (err1 == nil) != (err2 == nil) || !bytes.Equal(dump(t, first), dump(t, second)) {
		t.Fatalf("two decodes of %q differ:\n%s\n%s", r.Body, dump(t, first), dump(t, second))
	}
	for _, e := range first.Events {
		if problem := Invalid(e, r); problem != "" {
			t.Fatalf("body %q: %s in %+v", r.Body, problem, e)
		}
	}
	if first.Answer != nil && (first.AnswerType == "" || first.AnswerType == "application/json") && !json.Valid(first.Answer) {
		t.Fatalf("answer is no JSON: %q", first.Answer)
	}
}

// Invalid says what breaks the contract of telemetry.Event, "" for nothing.
func Invalid(e telemetry.Event, r intake.Request) string {
	switch {
	case e.Kind == 0:
		return "no kind"
	case e.Project != r.Project:
		return "wrong project"
	case e.Source == "":
		return "no source"
	case !e.Received.Equal(r.Received):
		return "wrong arrival time"
	case e.Claimed != r.Publishable:
		return "claimed does not follow the key"
	case e.Time.After(r.Received.Add(time.Minute)) || e.Time.Before(r.Received.Add(-30*24*time.Hour)):
		return "time is not clamped"
	case !finite(e.DurationMS) || e.DurationMS < 0 || !finite(e.Value):
		return "a number is not finite"
	case e.Kind == telemetry.KindSession && (e.Session == nil || e.Session.Count < 1):
		return "no session"
	case e.Kind == telemetry.KindVital && len(e.Measurements) == 0:
		return "no measurement"
	}
	for _, x := range e.Measurements {
		if !finite(x) {
			return "a measurement is not finite"
		}
	}
	return ""
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

func dump(t *testing.T, r intake.Result) []byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatalf("the result cannot be written as JSON: %v", err)
	}
	return b
}

func keepsNothing(t *testing.T, d intake.Decoder, endpoint string, bodies [][]byte) {
	for _, body := range bodies {
		work := bytes.Clone(body)
		res, err := d.Decode(Request(endpoint, work))
		if err != nil {
			t.Fatalf("good body refused: %v", err)
		}
		want := dump(t, res)
		for i := range work {
			work[i] = 'X'
		}
		if got := dump(t, res); !bytes.Equal(got, want) {
			t.Errorf("the result changed with the body:\n%s\n%s", want, got)
		}
	}
}

func ownMaps(t *testing.T, d intake.Decoder, endpoint string, bodies [][]byte) {
	for _, body := range bodies {
		res, err := d.Decode(Request(endpoint, body))
		if err != nil {
			t.Fatal(err)
		}
		seen := map[uintptr]bool{}
		for _, e := range res.Events {
			for _, m := range []map[string]string{e.Tags, e.Flags, e.Attributes} {
				if m == nil {
					continue
				}
				at := reflect.ValueOf(m).Pointer()
				if seen[at] {
					t.Errorf("two events share a map: %v", m)
				}
				seen[at] = true
			}
		}
	}
}

func concurrent(t *testing.T, d intake.Decoder, endpoint string, bodies [][]byte) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, body := range bodies {
				if _, err := d.Decode(Request(endpoint, body)); err != nil {
					t.Errorf("good body refused: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// damaged are cut and corrupted forms of a body.
func damaged(body []byte) [][]byte {
	var all [][]byte
	const places = 16 // in each body
	step := max(1, len(body)/places)
	for i := 0; i < len(body); i += step {
		all = append(all, body[:i])
		for _, c := range []byte{0, '"', '{', '\n', 0xff} {
			b := bytes.Clone(body)
			b[i] = c
			all = append(all, b)
		}
	}
	return all
}
