package beacon_test

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"serin/internal/intake"
	"serin/internal/intake/beacon"
	"serin/internal/intake/intaketest"
	"serin/internal/telemetry"
)

// batch is the format's example.
const batch = `{"v":1,"user":"user-1042","page":"/admin/users","release":"web@1.4.2","environment":"production",
 "flags":{"adminWorkBench":"on"},"tags":{"feature":"admin-workbench"},
 "metrics":[{"name":"LCP","value":728,"id":"v6-1","rating":"good","navigationType":"navigate"},{"name":"TTI","value":2900,"id":"v6-2","tti_method":"mark"}],
 "surveys":[{"question":"csat","score":4,"max":10,"comment":"slow"}],
 "feedback":[{"kind":"complaint","message":"It broke.","critical":true},{"kind":"praise","message":"Nice"}],
 "actions":[{"feature":"admin-workbench","action":"open"},{"action":"login","ok":false,"user":"user-7"}],
 "exposures":[{"flag":"adminWorkBench","variant":"on","attributes":{"role":"admin"}}],"heartbeat":true,
 "values":{"bundle_size":421888}}`

func decode(t testing.TB, body string, change func(*intake.Request)) intake.Result {
	t.Helper()
	r := intaketest.Request("beacon", []byte(body))
	if change != nil {
		change(&r)
	}
	res, err := beacon.Decoder{}.Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// common is what all events of the example share.
func common(k telemetry.Kind, change func(*telemetry.Event)) telemetry.Event {
	e := telemetry.Event{
		Kind: k, Project: "42", Source: "beacon", Time: intaketest.Received, Received: intaketest.Received,
		User: "user-1042", Page: "/admin/users", Release: "web@1.4.2", Environment: "production",
		Flags: map[string]string{"adminWorkBench": "on"}, Tags: map[string]string{"feature": "admin-workbench"},
	}
	change(&e)
	return e
}

func TestBatch(t *testing.T) {
	res := decode(t, batch, nil)
	want := []telemetry.Event{
		common(telemetry.KindPage, func(e *telemetry.Event) {
			e.ID, e.Segment, e.SpanID, e.Op = "page-metric-v6-1", "metric-v6-1", "metric-v6-1", "pageload"
		}),
		common(telemetry.KindVital, func(e *telemetry.Event) {
			e.ID, e.Segment, e.Op, e.Measurements = "metric-v6-1=728", "metric-v6-1", "lcp", map[string]float64{"lcp": 728}
			e.Attributes = map[string]string{"rating": "good", "navigationType": "navigate"}
		}),
		common(telemetry.KindVital, func(e *telemetry.Event) {
			e.ID, e.Segment, e.Op, e.Measurements = "metric-v6-2=2900", "metric-v6-2", "tti", map[string]float64{"tti": 2900}
			e.Tags["tti_method"] = "mark"
		}),
		common(telemetry.KindSurvey, func(e *telemetry.Event) { e.Op, e.Value, e.Message = "csat", 2, "slow" }),
		common(telemetry.KindFeedback, func(e *telemetry.Event) {
			e.Message, e.Title = "It broke.", "It broke."
			e.Tags["kind"], e.Tags["sentiment"], e.Tags["severity"] = "complaint", "negative", "critical"
		}),
		common(telemetry.KindFeedback, func(e *telemetry.Event) {
			e.Message, e.Title = "Nice", "Nice"
			e.Tags["kind"], e.Tags["sentiment"] = "praise", "positive"
		}),
		common(telemetry.KindAction, func(e *telemetry.Event) { e.Action, e.OK = "open", true }),
		common(telemetry.KindAction, func(e *telemetry.Event) { e.Action, e.User = "login", "user-7" }),
		common(telemetry.KindExposure, func(e *telemetry.Event) { e.Attributes = map[string]string{"role": "admin"} }),
		common(telemetry.KindCheckIn, func(e *telemetry.Event) { e.Op, e.OK = "heartbeat", true }),
		common(telemetry.KindValue, func(e *telemetry.Event) { e.Op, e.Value = "bundle_size", 421888 }),
	}
	if diff := cmp.Diff(want, res.Events, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got, want := string(res.Answer), `{"accepted":10,"rejected":[]}`; got != want {
		t.Errorf("answer: got %s want %s", got, want)
	}
}

func TestRejections(t *testing.T) {
	publishable := func(r *intake.Request) { r.Publishable = true }
	for _, c := range []struct {
		name, body, in, reason string
		change                 func(*intake.Request)
	}{
		{"value from a page", `{"values":{"x":1}}`, "values.x", "server key", publishable},
		{"unknown metric", `{"metrics":[{"name":"XYZ","value":1}]}`, "metrics[0]", "unknown metric", nil},
		{"no name", `{"metrics":[{"value":1}]}`, "metrics[0]", "name is missing", nil},
		{"text value", `{"metrics":[{"name":"LCP","value":"1"}]}`, "metrics[0]", "not a number", nil},
		{"negative value", `[{"name":"LCP","value":-1}]`, "[0]", "out of range", nil},
		{"no object", `[7]`, "[0]", "not an object", nil},
		{"survey over max", `{"surveys":[{"score":6}]}`, "surveys[0]", "between 0 and max", nil},
		{"survey max 0", `{"surveys":[{"score":0,"max":0}]}`, "surveys[0]", "between 0 and max", nil},
		{"feedback kind", `{"feedback":[{"kind":"rant"}]}`, "feedback[0]", "unknown kind", nil},
		{"empty exposure", `{"exposures":[{"flag":"x"}]}`, "exposures[0]", "needed", nil},
		{"empty action", `{"actions":[{}]}`, "actions[0]", "missing", nil},
		{"list expected", `{"surveys":5}`, "surveys", "not a list", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var a struct {
				Accepted int
				Rejected []struct {
					Index      int
					In, Reason string
				}
			}
			res := decode(t, c.body, c.change)
			if err := json.Unmarshal(res.Answer, &a); err != nil {
				t.Fatal(err)
			}
			if a.Accepted != 0 || len(a.Rejected) != 1 || a.Rejected[0].In != c.in || !strings.Contains(a.Rejected[0].Reason, c.reason) || len(res.Events) != 0 {
				t.Errorf("got %s and %d events, want one rejection in %q for %q", res.Answer, len(res.Events), c.in, c.reason)
			}
		})
	}
}

func TestBareMetricTakesItsContextFromTheQuery(t *testing.T) {
	res := decode(t, `[{"name":"cls","value":0.05,"id":"v6-9","navigationURL":"http://host/www/page.html?a=b"},{"name":"INP","value":128}]`, func(r *intake.Request) {
		r.Query = map[string][]string{"user": {"u1"}, "release": {"web@2"}, "environment": {"staging"}, "flag.adminWorkBench": {"on"}}
		r.Header = http.Header{"Referer": {"http://host/from/referer"}}
	})
	if len(res.Events) != 2 {
		t.Fatalf("got %d events, want 2", len(res.Events))
	}
	for i, page := range []string{"/www/page.html", "/from/referer"} {
		e := res.Events[i]
		if e.Kind != telemetry.KindVital || e.Page != page || e.User != "u1" || e.Release != "web@2" || e.Environment != "staging" || e.Flags["adminWorkBench"] != "on" {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}

// TestOneLoadCountsOnce sends the metrics of one load in several beacons, one
// of them twice and one with a newer value, as browsers do.
func TestOneLoadCountsOnce(t *testing.T) {
	for _, c := range []struct{ name, load, segment string }{
		{"by its load id", `"load":{"id":"L1"},`, "load-L1"},
		{"by its LCP", ``, "metric-a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pages, values := map[string]int{}, map[string]float64{}
			for _, metric := range []string{`"name":"TTFB","value":5,"id":"t"`, `"name":"LCP","value":700,"id":"a"`, `"name":"LCP","value":700,"id":"a"`, `"name":"LCP","value":900,"id":"a"`} {
				for _, e := range decode(t, `{`+c.load+`"metrics":[{`+metric+`}]}`, nil).Events {
					switch e.Kind {
					case telemetry.KindPage:
						pages[e.ID]++
						if e.Segment != c.segment {
							t.Errorf("page segment: got %q want %q", e.Segment, c.segment)
						}
					case telemetry.KindVital:
						for name, x := range e.Measurements {
							values[e.Segment+" "+name] = x
						}
					}
				}
			}
			if len(pages) != 1 {
				t.Errorf("got %d different page loads, want 1: %v", len(pages), pages)
			}
			if got := values[c.segment+" lcp"]; got != 900 || len(values) != 2 {
				t.Errorf("got values %v, want one TTFB and LCP 900", values)
			}
		})
	}
}

func TestTooManyRecords(t *testing.T) {
	body := `[` + strings.Repeat(`{"name":"LCP","value":1},`, 1500) + `{"name":"LCP","value":1}]`
	res := decode(t, body, nil)
	if len(res.Events) != 1000 || res.Invalid["too_many"] != 501 {
		t.Errorf("got %d events and %v, want 1000 and 501 too_many", len(res.Events), res.Invalid)
	}
}

func TestNoJSON(t *testing.T) {
	for _, body := range []string{`not json`, `7`, `"x"`, strings.Repeat("[", 100)} {
		if _, err := (beacon.Decoder{}).Decode(intaketest.Request("beacon", []byte(body))); err == nil {
			t.Errorf("%.20q: no error", body)
		}
	}
}

// recorded are requests of the web-vitals library, version 6.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()
	archive, err := zip.OpenReader("testdata/fixtures.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	all := map[string][]byte{}
	for _, file := range archive.File {
		if name, ok := strings.CutSuffix(file.Name, ".body"); ok {
			f, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			if all[name], err = io.ReadAll(f); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
	}
	return all
}

func TestRecordedWebVitals(t *testing.T) {
	want := map[string][]string{
		"webvitals6-001": {"vital user= page=/www/pagevitals.html flag= map[fcp:132]"},
		"webvitals6-003": {
			"vital user=user-1042 page=/www/pagevitals.html flag=on map[fcp:132]",
			"vital user=user-1042 page=/www/pagevitals.html flag=on map[ttfb:4.5]",
		},
		"webvitals6-004": {"vital user= page=/www/pagevitals.html flag= map[cls:0.05809097142857143]"},
	}
	got := map[string][]string{}
	for name, body := range recorded(t) {
		for _, e := range decode(t, string(body), nil).Events {
			got[name] = append(got[name], fmt.Sprintf("%s user=%s page=%s flag=%s %v", e.Kind, e.User, e.Page, e.Flags["adminWorkBench"], e.Measurements))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestConformance(t *testing.T) {
	bodies := [][]byte{[]byte(batch), []byte(`[{"name":"LCP","value":1,"id":"x"},{"load":"l","metrics":[{"name":"FCP","value":2}]}]`)}
	for _, body := range recorded(t) {
		bodies = append(bodies, body)
	}
	intaketest.Run(t, beacon.Decoder{}, "beacon", bodies...)
}

func FuzzBeacon(f *testing.F) {
	f.Add([]byte(batch))
	f.Add([]byte(`[{"name":"LCP","value":1e308,"id":7},{"load":{"id":"x"}},[],null]`))
	for _, body := range recorded(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		intaketest.Check(t, beacon.Decoder{}, intaketest.Request("beacon", body))
	})
}

func BenchmarkDecode(b *testing.B) {
	r := intaketest.Request("beacon", []byte(batch))
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (beacon.Decoder{}).Decode(r); err != nil {
			b.Fatal(err)
		}
	}
}
