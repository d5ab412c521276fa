package evidence

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"serin/internal/intake"
	"serin/internal/intake/beacon"
	"serin/internal/intake/otlp"
	"serin/internal/intake/sentry"
	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/telemetry"
)

// serverKey opens the door of project 1, as a key that no page carries does.
type serverKey struct{}

func (serverKey) IngestKey(context.Context, string, string, string) (intake.Key, error) {
	return intake.Key{ID: "server", Project: "1"}, nil
}

// door is the intake in front of the rig's engine.
func (g *rig) door() http.Handler {
	spans := otlp.Decoder{}
	return intake.New(intake.Options{Sink: g.e, Keys: serverKey{}, Clock: g.clock, Decoders: map[string]intake.Decoder{
		"envelope": sentry.Decoder{}, "store": sentry.Decoder{}, "beacon": beacon.Decoder{},
		intake.EndpointTraces: spans, intake.EndpointMetrics: spans, intake.EndpointLogs: spans,
	}})
}

// wire sends what clients send, through the door.
type wire struct {
	*rig
	http.Handler
}

func (w *wire) post(path, body string) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path+"?sentry_key=k", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	got := httptest.NewRecorder()
	w.ServeHTTP(got, r)
	if body := got.Body.String(); got.Code != http.StatusOK || strings.Contains(body, "reason") || strings.Contains(body, "rejected") && !strings.Contains(body, `"rejected":[]`) {
		w.t.Fatalf("%s answers %d %s", path, got.Code, body)
	}
}

// item sends an envelope with one item.
func (w *wire) item(kind, payload string) {
	w.t.Helper()
	w.seq++
	w.post("/api/1/envelope/", fmt.Sprintf("{\"event_id\":\"%032x\"}\n{\"type\":%q}\n%s\n", w.seq, kind, payload))
}

// failed sends an error event; more are further fields.
func (w *wire) failed(user, more string) {
	w.t.Helper()
	w.item("event", fmt.Sprintf(`{"user":{"id":%q},%s}`, user, more))
}

// request sends a transaction of a server.
func (w *wire) request(user string, status int) {
	w.t.Helper()
	w.item("transaction", fmt.Sprintf(`{"user":{"id":%q},"start_timestamp":%d,"timestamp":%d.2,"contexts":{"trace":{"op":"http.server"},"response":{"status_code":%d}}}`,
		user, t0.Unix(), t0.Unix(), status))
}

// hundred sends spans of k, 2k ... 100k ms in one container.
func (w *wire) hundred(user, op string, segment bool, k int) {
	w.t.Helper()
	begin := float64(t0.Unix())
	spans := make([]string, 100)
	for i := range spans {
		w.seq++
		spans[i] = fmt.Sprintf(`{"span_id":"%016x","trace_id":"%032x","is_segment":%v,"start_timestamp":%.3f,"end_timestamp":%.3f,"status":"ok","attributes":{"sentry.op":{"value":%q},"user.id":{"value":%q}}}`,
			w.seq, w.seq, segment, begin, begin+float64((i+1)*k)/1000, op, user)
	}
	w.post("/api/1/envelope/", "{}\n{\"type\":\"span\",\"content_type\":\"application/vnd.sentry.items.span.v2+json\"}\n"+
		fmt.Sprintf(`{"version":2,"items":[%s]}`, strings.Join(spans, ","))+"\n")
}

// beacon sends a batch of a user.
func (w *wire) beacon(user, fields string) {
	w.t.Helper()
	w.post("/api/1/beacon/", fmt.Sprintf(`{"v":1,"user":%q,%s}`, user, fields))
}

// loads sends a hundred page loads with a web vital of step, 2 step ... 100 step.
func (w *wire) loads(user, vital string, step float64) {
	w.t.Helper()
	all := make([]string, 100)
	for i := range all {
		w.seq++
		all[i] = fmt.Sprintf(`{"v":1,"user":%q,"page":"/x","load":{"id":"l%d"},"metrics":[{"name":%q,"value":%g,"id":"m%d"}]}`, user, w.seq, vital, float64(i+1)*step, w.seq)
	}
	w.post("/api/1/beacon/", "["+strings.Join(all, ",")+"]")
}

func (w *wire) gauge(name, attributes string, value float64) {
	w.t.Helper()
	w.post("/v1/metrics", fmt.Sprintf(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeMetrics":[{"metrics":[{"name":%q,"gauge":{"dataPoints":[{"asDouble":%g,"attributes":[%s]}]}}]}]}]}`,
		name, value, attributes))
}

// measured is a built-in metric, what is sent of it, and what it is then.
type measured struct {
	metric string // of Builtin
	// send is called for the new arm with k = 2 and for the old with k = 1.
	// Metrics of the system are sent once, with k = 2.
	send     func(w *wire, user func(n int) string, k int)
	new, old float64
	near     bool    // quantiles: within the sketch's resolution
	exposed  float64 // 0 = new
}

func times(k int, f func(i int)) {
	for i := range k {
		f(i)
	}
}

// vital is the row of a web vital: p75 of a hundred loads.
func vital(name string, step float64) measured {
	return measured{metric: name, send: func(w *wire, user func(int) string, k int) { w.loads(user(0), strings.ToUpper(name), step*float64(k)) }, new: 150 * step, old: 75 * step, near: true}
}

// errorsLike is the row of a count of errors: k that count and one that does not.
func errorsLike(metric, counted, other string) measured {
	return measured{metric: metric, send: func(w *wire, user func(int) string, k int) {
		times(k, func(int) { w.failed(user(0), counted) })
		w.failed(user(0), other)
	}, new: 2, old: 1}
}

// told is the row of a count of feedback or surveys: k that count and one that does not.
func told(metric, counted, other string) measured {
	return measured{metric: metric, send: func(w *wire, user func(int) string, k int) {
		times(k, func(int) { w.beacon(user(0), counted) })
		w.beacon(user(0), other)
	}, new: 2, old: 1}
}

func latency(metric, op string, segment bool, q float64) measured {
	return measured{metric: metric, send: func(w *wire, user func(int) string, k int) { w.hundred(user(0), op, segment, 10*k) }, new: 2000 * q, old: 1000 * q, near: true}
}

func system(metric string, value float64, send func(w *wire)) measured {
	return measured{metric: metric, send: func(w *wire, _ func(int) string, _ int) { send(w) }, new: value}
}

var vocabulary = []measured{
	errorsLike("errors", `"level":"error","message":"m"`, `"level":"warning","message":"m"`),
	errorsLike("p1", `"level":"fatal","message":"m"`, `"level":"error","message":"m"`),
	errorsLike("p2", `"level":"error","exception":[{"type":"E","mechanism":{"handled":false}}]`, `"level":"fatal","tags":{"severity":"p2"},"message":"graded p1 first"`),
	{metric: "new_issues", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) {
			times(2, func(int) { w.failed(user(i), fmt.Sprintf(`"fingerprint":["%d of %d"]`, i, k)) })
		})
	}, new: 2, old: 1},
	{metric: "affected_users", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) { times(2, func(int) { w.failed(user(i), `"message":"m"`) }) })
	}, new: 2, old: 1},
	{metric: "requests", send: func(w *wire, user func(int) string, k int) { times(k, func(int) { w.request(user(0), 200) }) }, new: 2, old: 1},
	{metric: "error_rate", send: func(w *wire, user func(int) string, k int) {
		times(4, func(int) { w.request(user(0), 200) })
		times(k, func(int) { w.failed(user(0), `"message":"m"`) })
	}, new: 0.5, old: 0.25},
	{metric: "http_5xx", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) { w.request(user(0), 500+i*99) })
		w.request(user(0), 499)
	}, new: 2, old: 1},
	errorsLike("timeouts", `"exception":[{"type":"ReadTimeoutError"}]`, `"exception":[{"type":"Error","value":"Timeout"}]`),
	errorsLike("db_conn_errors", `"exception":[{"type":"ConnectionRefused"}],"contexts":{"trace":{"data":{"db.system":"postgresql"}}}`, `"exception":[{"type":"ConnectionRefused"}]`),
	errorsLike("console_errors", `"platform":"javascript","message":"m"`, `"platform":"python","message":"m"`),
	{metric: "sessions", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) {
			for _, status := range []string{"ok", "exited"} {
				w.item("session", fmt.Sprintf(`{"sid":"%s-%d","did":%q,"status":%q,"attrs":{"release":"r"}}`, user(0), i, user(0), status))
			}
		})
	}, new: 2, old: 1},
	{metric: "crash_free", send: func(w *wire, user func(int) string, k int) {
		for i, status := range []string{"crashed", []string{"exited", "unhandled"}[k-1], "errored", "abnormal"} {
			w.item("session", fmt.Sprintf(`{"sid":"%s-%d","did":%q,"status":%q,"attrs":{"release":"r"}}`, user(0), i, user(0), status))
		}
	}, new: 0.5, old: 0.75},
	vital("lcp", 10), vital("fcp", 10), vital("cls", 0.001), vital("tti", 50), vital("inp", 4), vital("ttfb", 5),
	latency("api_p50", "http.server", true, 0.5), latency("api_p95", "http.server", true, 0.95), latency("api_p99", "http.server", true, 0.99),
	latency("db_p95", "db.query", false, 0.95),
	{metric: "adoption", send: func(w *wire, user func(int) string, k int) {
		times(4, func(i int) { w.failed(user(i), `"message":"active"`) })
		times(k, func(i int) {
			times(2, func(int) { w.beacon(user(i), `"actions":[{"feature":"x","action":"open"}]`) })
		})
	}, new: 0.5, exposed: 0.25},
	{metric: "concurrent", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) { times(2, func(int) { w.failed(user(i), `"message":"m"`) }) })
	}, new: 2, old: 1},
	{metric: "logins", send: func(w *wire, user func(int) string, k int) {
		times(4, func(i int) { w.beacon(user(0), fmt.Sprintf(`"actions":[{"action":"login","ok":%v}]`, i >= k)) })
		w.beacon(user(0), `"actions":[{"feature":"x","action":"open"}]`)
	}, new: 0.5, old: 0.75},
	told("complaints", `"feedback":[{"kind":"complaint","message":"m"}]`, `"feedback":[{"kind":"praise","message":"m"}]`),
	{metric: "failure_reports", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) {
			times(2, func(int) { w.beacon(user(i), `"feedback":[{"kind":"failure","message":"m"}]`) })
		})
		w.beacon(user(2), `"feedback":[{"kind":"complaint","message":"m"}]`)
	}, new: 2, old: 1},
	told("critical_complaints", `"feedback":[{"kind":"complaint","message":"m","critical":true}]`, `"feedback":[{"kind":"complaint","message":"m"}]`),
	told("escalations", `"feedback":[{"kind":"escalation","message":"m"}]`, `"feedback":[{"kind":"failure","message":"m"}]`),
	told("revert_requests", `"feedback":[{"kind":"revert_request","message":"m"}]`, `"feedback":[{"kind":"failure","message":"m"}]`),
	told("survey_negative", `"surveys":[{"question":"csat","score":4,"max":10}]`, `"surveys":[{"question":"csat","score":5,"max":10}]`),
	{metric: "satisfaction", send: func(w *wire, user func(int) string, k int) {
		times(k, func(i int) {
			w.beacon(user(0), fmt.Sprintf(`"surveys":[{"question":"csat","score":%d,"max":10}]`, 10-2*i))
		})
	}, new: 4.5, old: 5},
	system("uptime", 0.75, func(w *wire) {
		for i := range 4 {
			answer := Fetched{Key: ProbeKey("site"), Number: 1}
			if i == 2 {
				answer = Fetched{Key: ProbeKey("site"), Note: "it answers 503"}
			}
			w.fetched(answer)
			w.clock.Advance(time.Second)
		}
	}),
	system("memory", 9e6, func(w *wire) { w.gauge("process.memory.usage", "", 9e6) }),
	// 101 ... 106, one more an hour, of a mean of 103.5; the first is 6 h old and out.
	system("memory_trend", 1.0/103.5, func(w *wire) {
		for i := range 7 {
			w.gauge("process.memory.usage", "", float64(100+i))
			if i < 6 {
				w.clock.Advance(time.Hour)
			}
		}
	}),
	system("pool", 0.8, func(w *wire) {
		w.gauge("db.client.connection.max", "", 10)
		w.gauge("db.client.connection.count", `{"key":"db.client.connection.state","value":{"stringValue":"used"}}`, 8)
		w.gauge("db.client.connection.count", `{"key":"db.client.connection.state","value":{"stringValue":"idle"}}`, 2)
	}),
	system("bundle_size", 421_888, func(w *wire) { w.post("/api/1/beacon/", `{"v":1,"values":{"bundle_size":421888}}`) }),
	system("backup_age", 3_600_000, func(w *wire) {
		if err := w.e.Push(context.Background(), "1", "backup", "ok"); err != nil {
			w.t.Fatal(err)
		}
		w.clock.Advance(time.Hour)
	}),
	system("telemetry_age", 60_000, func(w *wire) {
		w.failed(w.userOf(telemetry.New, 0), `"message":"m"`)
		w.clock.Advance(time.Minute)
	}),
}

// TestVocabulary measures each built-in metric by what clients really send. It
// is unknown, with its source named, before; then it has its exact value in
// each arm, also after a restart.
func TestVocabulary(t *testing.T) {
	rows := map[string]bool{}
	for _, row := range vocabulary {
		rows[row.metric] = true
		t.Run(row.metric, func(t *testing.T) {
			g := newRig(t, nil)
			m := g.target.Plan.Metrics[row.metric]
			unknownBefore(t, g, m)
			w := &wire{g, g.door()}
			row.send(w, func(n int) string { return g.userOf(telemetry.New, n) }, 2)
			want := map[judge.Group]float64{judge.Exposed: row.new}
			if row.exposed != 0 {
				want[judge.Exposed] = row.exposed
			}
			if m.User {
				row.send(w, func(n int) string { return g.userOf(telemetry.Old, n) }, 1)
				want[judge.AssignedNew], want[judge.AssignedOld] = row.new, row.old
			}
			for range 2 {
				for group, value := range want {
					got := g.window(row.metric, group, 7*time.Hour)
					off := math.Abs(got.Value - value)
					if !got.Known || off > 1e-12 && !row.near || off > 0.02*value && row.near {
						t.Errorf("group %d: %v, known %v, want %v", group, got.Value, got.Known, value)
					}
				}
				if s := g.view().Source(row.metric); s.State != judge.Delivering || s.Name != m.Source {
					t.Errorf("source %+v, want %s delivering", s, m.Source)
				}
				g.restart()
			}
		})
	}
	for _, name := range plan.BuiltinNames() {
		if !rows[name] {
			t.Errorf("%s is in the vocabulary and has no row here", name)
		}
	}
}

// unknownBefore fails unless a rule on the metric is unknown before anything
// arrived, and says what is missing.
func unknownBefore(t *testing.T, g *rig, m *plan.Metric) {
	t.Helper()
	if w := g.window(m.Name, judge.Exposed, time.Hour); w.Known {
		t.Errorf("before: known as %v", w.Value)
	}
	rule := &plan.Rule{Text: m.Name, Metric: m.Name, Op: plan.LE, Value: 1e12, Over: plan.Span{Dur: time.Hour}, Given: true}
	got, _ := judge.Judge(g.target.Plan, []*plan.Rule{rule}, judge.Gate, judge.Place{Planned: 2, Exposure: 0.5, ControlShare: 0.5}, g.view(), nil, g.clock.Now())
	cause, missing := judge.CauseNoSource, m.Source
	switch {
	case m.Kind == plan.Age && m.Source == "telemetry": // silence is what it measures
		cause, missing = judge.CauseEvidence, m.Name
	case m.Source == "telemetry":
		cause, missing = judge.CauseNoData, "no data"
	}
	if v := got[0]; v.Status != judge.Unknown || v.Cause != cause || !strings.Contains(v.Why, missing) {
		t.Errorf("before: %s, cause %q: %q; want unknown, %q with %q", v.Status, v.Cause, v.Why, cause, missing)
	}
	if s := g.view().Source(m.Name); s.Name != m.Source {
		t.Errorf("before: the source is called %q, want %q", s.Name, m.Source)
	}
}
