package evidence

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/judge"
	"serin/internal/plan"
	"serin/internal/store/memory"
	"serin/internal/telemetry"
)

// durations sends one point of http.server.request.duration of the new arm.
func (w *wire) durations(kind string, temporality int, start, at time.Time, point string) {
	w.t.Helper()
	split := w.target.Split
	w.post("/v1/metrics", fmt.Sprintf(`{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeMetrics":[{"metrics":[{"name":"http.server.request.duration","unit":"s",%q:{"aggregationTemporality":%d,"dataPoints":[{
"startTimeUnixNano":"%d","timeUnixNano":"%d","attributes":[{"key":"feature_flag.key","value":{"stringValue":%q}},{"key":"feature_flag.result.variant","value":{"stringValue":%q}}],%s}]}}]}]}]}`,
		kind, temporality, start.UnixNano(), at.UnixNano(), split.Flag, split.New, point))
}

const (
	sinceLast  = 1 // AggregationTemporality of OTLP
	sinceStart = 2
)

// TestTemporalities: however a sender counts, and though it sends again, starts
// anew or changes the scale of its buckets, each request counts once.
func TestTemporalities(t *testing.T) {
	explicit := func(a, b int) string {
		return fmt.Sprintf(`"count":%d,"explicitBounds":[0.2],"bucketCounts":["%d",%d]`, a+b, a, b)
	}
	exponential := func(scale, offset int, counts string) string {
		return fmt.Sprintf(`"scale":%d,"zeroCount":0,"positive":{"offset":%d,"bucketCounts":[%s]}`, scale, offset, counts)
	}
	// step is one export, a minute after the one before.
	type step struct {
		start int // minute at which counting began
		point string
		again bool // it is sent a second time
		want  int64
	}
	for _, c := range []struct {
		name, kind  string
		temporality int
		steps       []step
		counters    map[string]int64
	}{
		{"since the last, sent again", "histogram", sinceLast, []step{{0, explicit(3, 1), true, 4}, {1, explicit(2, 0), false, 6}}, map[string]int64{}},
		{"since the last, the sender starts anew", "histogram", sinceLast, []step{{0, explicit(3, 1), false, 4}, {2, explicit(5, 0), false, 9}}, map[string]int64{}},
		{"since the start, sent again", "histogram", sinceStart, []step{{0, explicit(3, 1), true, 4}, {0, explicit(5, 1), true, 6}}, map[string]int64{}},
		{"since the start, the sender starts anew", "histogram", sinceStart, []step{{0, explicit(30, 1), false, 31}, {2, explicit(31, 5), false, 67}, {2, explicit(32, 5), false, 68}}, map[string]int64{}},
		{"a new start is not told", "histogram", sinceStart, []step{{0, explicit(30, 1), false, 31}, {0, explicit(2, 0), false, 33}, {0, explicit(3, 0), false, 34}}, map[string]int64{countPointReset: 1}},
		{"exponential, since the last", "exponentialHistogram", sinceLast, []step{{0, exponential(1, -4, "2,1"), false, 3}, {1, exponential(0, -2, "4"), false, 7}}, map[string]int64{}},
		// At scale 1 bucket i ends at 2^((i+1)/2); two of them are one of scale 0.
		{"exponential, a coarser scale", "exponentialHistogram", sinceStart, []step{{0, exponential(1, -4, "2,1,3,1"), false, 7}, {0, exponential(0, -2, "3,6"), false, 9}, {0, exponential(0, -2, "3,6,2"), false, 11}}, map[string]int64{}},
		{"exponential, a finer scale is a new count", "exponentialHistogram", sinceStart, []step{{0, exponential(0, -2, "3,6"), false, 9}, {0, exponential(1, -4, "2,2,3,3"), false, 19}}, map[string]int64{countPointReset: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newRig(t, nil)
			w := &wire{g, g.door()}
			for i, s := range c.steps {
				g.clock.Advance(time.Minute)
				for range 1 + map[bool]int{true: 1}[s.again] {
					w.durations(c.kind, c.temporality, t0.Add(time.Duration(s.start)*time.Minute), g.clock.Now(), s.point)
				}
				if got := g.window("requests", judge.Exposed, time.Hour).Count; got != s.want {
					t.Errorf("export %d: %d requests, want %d", i, got, s.want)
				}
			}
			got := map[string]int64{}
			for _, name := range []string{countPointBegin, countPointReset, countPointFull, countPointTwice, countPointDrop} {
				if n := g.e.Counters()[name]; n > 0 {
					got[name] = n
				}
			}
			if diff := cmp.Diff(c.counters, got); diff != "" {
				t.Errorf("counters (-want +got)\n%s", diff)
			}
		})
	}
}

// TestPointsAreForgotten: the series and gauges of a process that fell silent
// make room, and are counted; without room a new series is refused and counted.
func TestPointsAreForgotten(t *testing.T) {
	g := newRig(t, nil)
	w := &wire{g, g.door()}
	one := func(start time.Time) {
		w.durations("histogram", sinceStart, start, g.clock.Now(), `"explicitBounds":[0.2],"bucketCounts":[1,0]`)
	}
	one(t0)
	w.gauge("process.memory.usage", "", 7)
	w.gauge("db.client.connection.max", "", 10)
	if g.e.points.series != 3 {
		t.Fatalf("%d series, want 3", g.e.points.series)
	}
	g.clock.Advance(fromMS(idlePoint).Sub(fromMS(0)))
	w.item("check_in", "{}")
	if n := g.e.Counters()[countPointDrop]; n != 3 || g.e.points.series != 0 {
		t.Errorf("%d forgotten, %d left; want 3 and none", n, g.e.points.series)
	}
	g.e.mu.Lock()
	g.e.points.series = maxSeries
	g.e.mu.Unlock()
	one(g.clock.Now())
	w.gauge("process.memory.usage", "", 7)
	if n := g.e.Counters()[countPointFull]; n != 2 {
		t.Errorf("%d refused for want of room, want 2", n)
	}
}

// TestPoolWithoutLimit: connections in use say nothing unless it is told how
// many there may be, before or after.
func TestPoolWithoutLimit(t *testing.T) {
	const used = `{"key":"state","value":{"stringValue":"used"}}`
	g := newRig(t, nil)
	w := &wire{g, g.door()}
	w.gauge("db.client.connections.usage", used, 8)
	if s, got := g.view().Source("pool"), g.window("pool", judge.Exposed, time.Hour); s.State != judge.NeverDelivered || got.Known {
		t.Errorf("without a limit: %+v %+v", s, got)
	}
	rule := &plan.Rule{Text: "pool < 90%", Metric: "pool", Op: plan.LT, Value: 0.9, Given: true}
	verdict := func() judge.Verdict {
		v, _ := judge.Judge(g.target.Plan, []*plan.Rule{rule}, judge.Gate, judge.Place{Planned: 2}, g.view(), nil, g.clock.Now())
		return v[0]
	}
	w.item("check_in", "{}")
	if v := verdict(); v.Status != judge.Unknown || !strings.Contains(v.Why, "pool") {
		t.Errorf("without a limit: %+v", v)
	}
	w.gauge("db.client.connections.max", "", 10)
	if v := verdict(); v.Status != judge.Met || *v.Value != 0.8 {
		t.Errorf("with a limit: %+v", v)
	}
	w.gauge("db.client.connections.max", "", 0)
	if v := verdict(); v.Status == judge.NotMet {
		t.Errorf("a limit of none: %+v", v)
	}
}

// TestSamplesAreIssues sends error events of many SDKs, some of which break the
// documented schema, from a directory that is not part of the project. Each is
// an issue that remembers it; as they stand they are years old, which is counted.
func TestSamplesAreIssues(t *testing.T) {
	dir := os.Getenv("SERIN_SAMPLES")
	if dir == "" {
		dir = "../../../shared/telemetry/samples"
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no samples in %s: set SERIN_SAMPLES to a copy of bugsink/event-samples", dir)
	}
	g := newRig(t, nil)
	w := &wire{g, g.door()}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before := g.e.Counters()
			w.post("/api/1/store/", string(body))
			after := g.e.Counters()
			for _, why := range []string{countCounted, countLate, countDuplicate} {
				after[why] -= before[why]
			}
			if after[countCounted]+after[countDuplicate] != 1 {
				t.Errorf("neither counted nor known: %v", after)
			}
			w.freshSample(t, body)
		})
	}
	t.Logf("%d samples are %d issues", len(files), len(g.e.issues.byID))
}

// freshSample sends a sample as if it had happened now, and looks for its issue.
func (w *wire) freshSample(t *testing.T, body []byte) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		t.Fatal(err)
	}
	w.seq++
	id := fmt.Sprintf("%032x", w.seq)
	delete(fields, "timestamp")
	fields["event_id"] = json.RawMessage(strconv.Quote(id))
	fresh, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	had := map[string]int64{}
	for of, it := range w.e.issues.byID {
		had[of] = it.Events
	}
	w.post("/api/1/store/", string(fresh))
	grown := 0
	for of, it := range w.e.issues.byID {
		if it.Events == had[of] {
			continue
		}
		grown++
		if it.Events != had[of]+1 || it.Title == "" || it.Level != "error" || it.Status != Unresolved || !it.LastSeen.Equal(w.clock.Now()) {
			t.Errorf("issue %+v had %d events before", it.Issue, had[of])
		}
		samples, err := w.store.(*memory.Store).Events(t.Context(), of, 100)
		if err != nil || len(samples) == 0 || !slices.ContainsFunc(samples, func(s telemetry.Event) bool { return s.ID == id }) {
			t.Errorf("issue %s does not remember the event: %v", of, err)
		}
	}
	if grown != 1 {
		t.Errorf("%d issues grew by it, want 1", grown)
	}
}
