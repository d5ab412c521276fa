package health

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"serin/internal/clock"
)

// TestAnswers: errors come first and make the difference, in text, JSON and
// as metrics.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found []Reason
		code  int
		text  string
	}{
		{"well", nil, 200, "ready\n"},
		{"a warning", []Reason{{Outbox, Warning, "two\nlines"}}, 200, "ready\nwarning outbox_stuck: two lines\n"},
		{"both", []Reason{{Outbox, Warning, "a"}, {DiskFull, Error, "b"}, {Starting, Error, "c"}}, 503,
			"not ready\nerror starting: c\nerror disk_full: b\nwarning outbox_stuck: a\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			c := New(reg, func(context.Context) []Reason { return nil }, func(context.Context) []Reason { return tt.found })
			w := httptest.NewRecorder()
			c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if d := cmp.Diff(tt.text, w.Body.String()); w.Code != tt.code || d != "" {
				t.Errorf("%d (-want +got)\n%s", w.Code, d)
			}
			r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
			r.Header.Set("Accept", "application/json")
			w = httptest.NewRecorder()
			c.ServeHTTP(w, r)
			var report Report
			if err := json.Unmarshal(w.Body.Bytes(), &report); err != nil || w.Code != tt.code || report.Ready != (tt.code == 200) || len(report.Reasons) != len(tt.found) || report.Reasons == nil {
				t.Errorf("JSON: %d %s, %v", w.Code, w.Body, err)
			}
			families, err := reg.Gather()
			if err != nil {
				t.Fatal(err)
			}
			sum, series := map[string]float64{}, map[string]int{}
			for _, f := range families {
				for _, m := range f.GetMetric() {
					sum[f.GetName()] += m.GetGauge().GetValue()
					series[f.GetName()]++
				}
			}
			if sum["serin_health_reason"] != float64(len(tt.found)) || series["serin_health_reason"] != len(Names) || (sum["serin_health_ready"] == 1) != report.Ready {
				t.Errorf("metrics: %v, %v series", sum, series)
			}
		})
	}
}

// TestAskedOnce: a flood of questions is one question to the checks.
func TestAskedOnce(t *testing.T) {
	asked := 0
	c := New(nil, func(context.Context) []Reason { asked++; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nor does one who went away spoil it for the others
	for range 1000 {
		if !c.Report(ctx).Ready {
			t.Fatal("not ready")
		}
	}
	if asked > 10 {
		t.Errorf("asked %d times", asked)
	}
}

// TestWall steps the clock.
func TestWall(t *testing.T) {
	noon := time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)
	c := clock.NewManual(noon)
	w := NewWall(c, noon.Add(-time.Hour))
	for i, step := range []struct {
		advance, step time.Duration
		back          bool
	}{
		{advance: time.Minute},
		{step: -time.Second},                                            // nobody has to know
		{advance: time.Hour, step: time.Hour},                           // the machine slept
		{advance: 10 * time.Minute, step: -5 * time.Minute, back: true}, // 13:56 for 14:11, though never seen
		{advance: 4 * time.Minute, back: true},
		{advance: 2 * time.Minute},                                // it has passed it
		{step: -time.Minute, back: true}, {step: 2 * time.Minute}, // set right again
		{advance: time.Hour},
	} {
		c.Advance(step.advance)
		c.Step(step.step)
		if got := w.Check(t.Context()); (len(got) == 1) != step.back {
			t.Errorf("step %d, %v: %v", i, c.Now(), got)
		}
	}
	// A time of the journal that is still to come.
	w = NewWall(c, c.Now().Add(time.Hour))
	if len(w.Check(t.Context())) != 1 {
		t.Error("a clock behind the journal is not noticed")
	}
	c.Advance(time.Hour + time.Second)
	if got := w.Check(t.Context()); got != nil {
		t.Errorf("an hour later: %v", got)
	}
}
