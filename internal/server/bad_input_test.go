package server_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"serin/internal/rollout"
	"serin/internal/store"
)

// badInput is one thing that a client does wrong.
type badInput struct {
	name   string
	send   func() answer
	status int
	says   string // part of the sentence that tells what to do
	counts string // beginning of the line of /metrics that goes up; "" = none
}

// TestBadInput sends what is wrong to every door of a running server: each is
// refused with a sentence that says what to do, is counted, and leaves what
// was there before as it was.
func TestBadInput(t *testing.T) {
	s := start(t, 1)
	id := s.create(checkoutPlan)
	s.do(id, rollout.Complete, "item", "sign-off")
	s.do(id, rollout.Start)
	s.traffic("newCheckout", 20)
	before := remember(s, id)

	for _, c := range append(append(s.badTelemetry(), s.badFlags()...), s.badCommands(id)...) {
		t.Run(c.name, func(t *testing.T) {
			counted := 0.0
			if c.counts != "" {
				counted = s.metric(c.counts)
			}
			a := c.send()
			if a.status != c.status {
				t.Errorf("status: got %d, want %d; it said %s", a.status, c.status, a.body)
			}
			if !strings.Contains(a.detail(), c.says) {
				t.Errorf("sentence: got %q, want %q in it", a.detail(), c.says)
			}
			if c.counts != "" && s.metric(c.counts) <= counted {
				t.Errorf("%s did not go up from %g", c.counts, counted)
			}
		})
	}
	t.Run("body cut off", func(t *testing.T) { cutOff(t, s) })

	if on, variant := s.flagOf("newCheckout", ""); on || variant != "old" {
		t.Errorf("flag of nobody: got %v %q, want the default", on, variant)
	}

	after := remember(s, id)
	if !maps.Equal(before, after) {
		t.Errorf("what was there has changed:\nbefore %v\nafter  %v", before, after)
	}
}

// remember is what must stay as it was.
func remember(s *site, id string) map[string]any {
	s.t.Helper()
	c := s.counters()
	v := s.view(id)
	var issues []store.Issue
	s.ask(http.MethodGet, "/issues", nil, &issues)
	var flag struct{ Definition json.RawMessage }
	s.ask(http.MethodGet, "/flags/newCheckout", nil, &flag)
	m := map[string]any{"acknowledged": c["acknowledged"], "counted": c["counted"], "version": v.Version, "status": v.State.Status,
		"exposure": v.Exposure, "flag": string(flag.Definition), "issues": len(issues)}
	for _, i := range issues {
		m["issue "+i.ID] = i.Events
	}
	return m
}

func zipped(plain io.Reader) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.Copy(z, plain) // into memory
	_ = z.Close()
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// badTelemetry is for the telemetry door.
func (s *site) badTelemetry() []badInput {
	good := errorEnvelope(eventID(90_000), "admin-001", "newCheckout", true)
	const rejected = `serin_intake_rejected_total{reason=`
	envelope := func(body []byte, header ...string) func() answer {
		return func() answer { return s.envelope(body, header...) }
	}
	with := func(project, key string) func() answer {
		return func() answer {
			return s.must(http.MethodPost, "/api/"+project+"/envelope/?sentry_key="+key, good)
		}
	}
	return []badInput{
		{"malformed envelope", envelope([]byte("not an envelope\n{}\n")), 400, "envelope", rejected + `"malformed"`},
		{"length beyond the end", envelope(bytes.Replace(good, []byte(`"length":`), []byte(`"length":9`), 1)), 400, "length", rejected + `"malformed"`},
		{"broken gzip", envelope([]byte("no gzip at all"), "Content-Encoding", "gzip"), 400, "Content-Encoding", rejected + `"undecodable"`},
		{"gzip bomb", envelope(zipped(io.LimitReader(zeros{}, 4<<20)), "Content-Encoding", "gzip"), 400, "less compression", rejected + `"bomb"`},
		{"unknown encoding", envelope(good, "Content-Encoding", "rot13"), 415, "use one of", rejected + `"encoding"`},
		{"too large", envelope(bytes.Repeat([]byte("x"), 9<<20)), 413, "send less at once", rejected + `"too_large"`},
		{"empty", envelope(nil), 400, "send an envelope", rejected + `"empty"`},
		{"unknown key", with(s.boot.Project, strings.Repeat("f", 32)), 403, "copy the DSN", rejected + `"unknown_key"`},
		{"no key", with(s.boot.Project, ""), 403, "send sentry_key", rejected + `"no_key"`},
		{"key of another project", with("77", s.boot.PublicKey), 403, "copy the DSN", rejected + `"unknown_key"`},
		{"flag key at the telemetry door", with(s.boot.Project, s.boot.FlagKey), 403, "copy the DSN", rejected + `"unknown_key"`},
		{"no such endpoint", func() answer { return s.must(http.MethodPost, "/api/1/minidump/", good) }, 404, "send to /api/", rejected + `"not_found"`},
	}
}

// badFlags is for the flag door.
func (s *site) badFlags() []badInput {
	evaluate := func(path, key, body string) func() answer {
		return func() answer {
			return s.must(http.MethodPost, "/ofrep/v1/evaluate/flags"+path, []byte(body), "X-API-Key", key, "Content-Type", "application/json")
		}
	}
	const user = `{"context":{"targetingKey":"admin-001","role":"admin"}}`
	return []badInput{
		{"unknown flag", evaluate("/nobodysFlag", s.boot.FlagKey, user), 404, "nobodysFlag", `serin_ofrep_answers_total{kind="single"}`},
		{"context that is no JSON", evaluate("/newCheckout", s.boot.FlagKey, `{"context":`), 400, "JSON", ""},
		{"unknown flag key", evaluate("", strings.Repeat("f", 32), user), 401, "send a flags key", `serin_ofrep_answers_total{kind="refused"}`},
		{"flag request too large", evaluate("", s.boot.FlagKey, `{"context":{"targetingKey":"`+strings.Repeat("x", 2<<20)+`"}}`), 413, "MB", ""},
	}
}

// badCommands is for the operator API. id is a rollout under way.
func (s *site) badCommands(id string) []badInput {
	call := func(method, path string, body any) func() answer {
		return func() answer { return s.api(method, path, body) }
	}
	plan := func(old, new string) func() answer {
		return call(http.MethodPost, "/rollouts", strings.Replace(strings.Replace(checkoutPlan, "newCheckout", "otherFlag", 1), old, new, 1))
	}
	counts := func(code int) string { return fmt.Sprintf(`serin_server_answers_total{code="%d",door="api"}`, code) }
	return []badInput{
		{"unknown token", func() answer {
			return s.must(http.MethodGet, "/api/v1/rollouts", nil, "Authorization", "Bearer serin_op_unknown")
		}, 401, "serin token create", counts(401)},
		{"no token", func() answer { return s.must(http.MethodGet, "/api/v1/rollouts", nil) }, 401, "Authorization: Bearer", counts(401)},
		{"ingest key as token", func() answer {
			return s.must(http.MethodGet, "/api/v1/rollouts", nil, "Authorization", "Bearer "+s.boot.PublicKey)
		}, 401, "serin token create", counts(401)},
		{"unknown rollout", call(http.MethodGet, "/rollouts/nobody-1", nil), 404, "nobody-1", counts(404)},
		{"unknown flag at the API", call(http.MethodGet, "/flags/nobodysFlag", nil), 404, "nobodysFlag", counts(404)},
		{"no such path", call(http.MethodGet, "/rollout", nil), 404, "openapi.json", counts(404)},
		{"plan that is no YAML", call(http.MethodPost, "/rollouts", "serin: [1\n"), 422, "E01", counts(422)},
		{"plan with an unknown key", plan("title:", "titel:"), 422, "E02", counts(422)},
		{"plan with an unknown metric", plan("lcp < 10s", "lpc < 10s"), 422, "did you mean lcp", counts(422)},
		{"plan with a wrong unit", plan("lcp < 10s", "lcp < 10kB"), 422, "E06", counts(422)},
		{"plan with 101 %", plan("traffic: 100%", "traffic: 101%"), 422, "101%", counts(422)},
		{"two plans on one flag", func() answer {
			second := s.create(strings.Replace(checkoutPlan, "plan: checkout", "plan: another", 1))
			s.do(second, rollout.Complete, "item", "sign-off")
			return s.api(http.MethodPost, "/rollouts/"+second+"/start", map[string]any{"version": s.view(second).Version})
		}, 409, "owned by rollout " + id, counts(409)},
		{"flag of a rollout by hand", call(http.MethodPut, "/flags/newCheckout", `{"state":"ENABLED","variants":{"new":true,"old":false},"defaultVariant":"new"}`), 409, "owned by rollout " + id, counts(409)},
		{"flag that is none", call(http.MethodPut, "/flags/other", `{"state":"PERHAPS"}`), 422, "state", counts(422)},
		{"stale version", call(http.MethodPost, "/rollouts/"+id+"/promote", map[string]any{"version": 1, "reason": "in a hurry"}), 409, "version", counts(409)},
		{"command with an unknown field", call(http.MethodPost, "/rollouts/"+id+"/pause", map[string]any{"becuase": "typo"}), 422, "becuase", counts(422)},
		{"share over 100 %", call(http.MethodPost, "/rollouts/"+id+"/reduce", map[string]any{"percent": 101}), 422, "100", counts(422)},
		{"API body too large", call(http.MethodPost, "/rollouts", strings.Repeat("# x\n", 1<<19)), 413, "", counts(413)},
	}
}

// cutOff promises more bytes than it sends and hangs up.
func cutOff(t *testing.T, s *site) {
	const gone = `serin_intake_rejected_total{reason="c` // client_gone or cut_off, whichever is seen first
	before := s.metric(gone)
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := errorEnvelope(eventID(91_000), "admin-001", "newCheckout", true)
	fmt.Fprintf(c, "POST /api/%s/envelope/?sentry_key=%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", s.boot.Project, s.boot.PublicKey, 2*len(body), body)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cut-off request is counted", func() error {
		if n := s.metric(gone); n <= before {
			return fmt.Errorf("%s: %g", gone, n)
		}
		return nil
	})
}
