package baseline_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"serin/internal/baseline"
	"serin/internal/plan"
)

// noon is when the tests import: Monday, 2 February 2026.
var noon = time.Date(2026, 2, 2, 12, 20, 0, 0, time.UTC)

// checkout is a plan that compares a metric of each kind with the baseline.
func checkout(t *testing.T) *plan.Plan {
	t.Helper()
	p, err := plan.Parse([]byte(`serin: 1
plan: checkout
timezone: UTC
flag: { key: newCheckout }
stages:
  - { stage: full, traffic: 100%, bake: 24h }
rollback:
  - errors > +50% vs baseline over 2h
  - lcp > +30% vs baseline over 2h
  - crash_free < -1% vs baseline over 2h
  - memory > +15% vs baseline over 2h
`))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func file(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// hour is an hour of that Monday.
func hour(h int) int64 { return time.Date(2026, 2, 2, h, 0, 0, 0, time.UTC).Unix() / 3600 }

func TestImports(t *testing.T) {
	type hours = map[string][]baseline.Hour
	for _, c := range []struct {
		name    string
		file    baseline.File
		want    hours
		skipped int
	}{
		{"CSV of several metrics", baseline.File{Format: baseline.CSV, Data: []byte("time,metric,value,count\n" +
			"2026-02-02T09:00:00Z,errors,9,120\n2026-02-02T11:00:00+01:00,errors,4,150\n2026-02-02T09:00:00Z,lcp,2100,800\n2026-02-02T09:00:00Z,memory,4.5e8,\n2026-02-02T10:00:00Z,memory,,\n")},
			hours{"errors": {{hour(9), 9, 120}, {hour(10), 4, 150}}, "lcp": {{hour(9), 2100, 800}}, "memory": {{hour(9), 4.5e8, 0}}}, 1},
		{"CSV of samples within the hour", baseline.File{Format: baseline.CSV, Data: []byte("time,metric,value,count\n" +
			"2026-02-02T09:00:00Z,memory,100,\n2026-02-02T09:30:00Z,memory,300,\n2026-02-02T09:00:00Z,crash_free,1,300\n2026-02-02T09:30:00Z,crash_free,0.9,100\n")},
			hours{"memory": {{hour(9), 200, 0}}, "crash_free": {{hour(9), 0.975, 400}}}, 0},
		{"CSV in Unix seconds without counts", baseline.File{Format: baseline.CSV, Data: []byte("\ufefftime,metric,value\n1770022800,memory,7\n")},
			hours{"memory": {{hour(9), 7, 0}}}, 0},
		{"hours in which nobody was there", baseline.File{Format: baseline.CSV, Data: []byte("time,metric,value,count\n1770022800,errors,0,0\n1770026400,errors,0,3\n")},
			hours{"errors": {{hour(10), 0, 3}}}, 0},
		{"Prometheus, seconds to milliseconds, of the hour before", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Scale: 1000, Data: file(t, "matrix.json"), Counts: file(t, "matrix-count.json")},
			hours{"lcp": {{hour(9), 512, 1204}, {hour(10), 498, 1388}}}, 1},
		{"Prometheus, a system metric", baseline.File{Format: baseline.Prometheus, Metric: "memory", Data: file(t, "matrix.json")},
			hours{"memory": {{hour(9), 0.512, 0}, {hour(10), 0.498, 0}}}, 1},
		{"Sentry's errors", baseline.File{Format: baseline.SentryEvents, Data: file(t, "events-stats.json"), Counts: file(t, "sessions.json")},
			hours{"errors": {{hour(9), 9, 120}, {hour(10), 4, 150}}}, 0},
		{"Sentry's sessions", baseline.File{Format: baseline.SentrySessions, Data: file(t, "sessions.json")},
			hours{"crash_free": {{hour(9), 0.99, 400}, {hour(10), 0.98, 500}}}, 1},
		{"Sentry's sessions by status", baseline.File{Format: baseline.SentrySessions, Data: file(t, "sessions-by-status.json")},
			hours{"crash_free": {{hour(9), 0.99, 400}, {hour(10), 0.98, 500}}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			points, skipped, err := baseline.Read(c.file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := baseline.Gather(checkout(t), points, noon)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" || skipped != c.skipped {
				t.Errorf("%d skipped, want %d; (-want +got)\n%s", skipped, c.skipped, d)
			}
		})
	}
}

// TestRefusals: what would have to be guessed is refused with line and reason.
func TestRefusals(t *testing.T) {
	const head = "time,metric,value,count\n"
	matrix := func(result string) []byte {
		return []byte(`{"status":"success","data":{"resultType":"matrix","result":[` + result + `]}}`)
	}
	for _, c := range []struct {
		name string
		file baseline.File
		want string // each line a part of the error
	}{
		{"other columns", baseline.File{Format: baseline.CSV, Data: []byte("when,what,much\n1,2,3\n")}, "line 1: write the columns time,metric,value"},
		{"an empty file", baseline.File{Format: baseline.CSV}, "the file is empty"},
		{"a header alone", baseline.File{Format: baseline.CSV, Data: []byte(head)}, "no value in the file"},
		{"an open quote", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,\"errors,1,2\n")}, "no CSV"},
		{"no zone", baseline.File{Format: baseline.CSV, Data: []byte(head + "2026-02-02 09:00,errors,1,2\n")}, `line 2: time "2026-02-02 09:00" names no zone`},
		{"milliseconds", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800000,errors,1,2\n")}, "line 2: time"},
		{"a unit", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,lcp,2s,2\n")}, `line 2: value "2s" is no number`},
		{"columns that miss", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,lcp\n")}, "line 2: 2 columns"},
		{"the future", baseline.File{Format: baseline.CSV, Data: []byte(head + "2026-02-02T13:00:00Z,errors,1,2\n")}, "line 2: 2026-02-02 13:00Z lies in the future"},
		{"the hour that is not over", baseline.File{Format: baseline.CSV, Data: []byte(head + "2026-02-02T12:00:00Z,errors,1,2\n")}, "line 2: the hour from 2026-02-02 12:00Z is not over"},
		{"long ago", baseline.File{Format: baseline.CSV, Data: []byte(head + "2025-11-02T12:00:00Z,errors,1,2\n")}, "line 2: 2025-11-02 12:00Z is more than 60 days ago"},
		{"twice the same hour", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,errors,1,2\n1770026400,errors,1,2\n1770022800,errors,1,2\n")}, "line 4: errors has a value for the hour from 2026-02-02 09:00Z already (line 2)"},
		{"two quantiles of an hour", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,lcp,1,2\n1770022800,lcp,3,2\n")}, "line 3: lcp has a value"},
		{"no whole hour", baseline.File{Format: baseline.CSV, Data: []byte(head + "2026-02-02T09:30:00Z,errors,1,2\n")}, "line 2: 2026-02-02 09:30Z is no whole hour"},
		{"no count", baseline.File{Format: baseline.CSV, Data: []byte("time,metric,value\n1770022800,errors,1\n")}, "line 2: errors needs a count: how many users were active"},
		{"events, not users", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,errors,31,20\n")}, "line 2: 31 users of 20 active ones"},
		{"percents", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,crash_free,99.5,20\n")}, "line 2: value 99.5 of crash_free: shares are 0 to 1"},
		{"below 0", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,memory,-1,\n")}, "line 2: value -1 of memory"},
		{"a stranger", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,latency,1,2\n1770026400,latency,1,2\n")}, "line 2: latency is no metric of the plan"},
		{"never compared", baseline.File{Format: baseline.CSV, Data: []byte(head + "1770022800,adoption,1,2\n")}, "line 2: adoption is never compared"},
		{"all problems at once", baseline.File{Format: baseline.CSV, Data: []byte(head + "x,errors,1,2\n1770022800,errors,y,2\n1770022800,errors,1,z\n")}, "line 2: time \"x\"\nline 3: value \"y\"\nline 4: count \"z\""},
		{"too many", baseline.File{Format: baseline.CSV, Data: []byte("time,metric,value\n" + strings.Repeat("1770022800,memory,1\n", 25_001))}, "25001 values are too many"},

		{"no metric", baseline.File{Format: baseline.Prometheus, Data: file(t, "matrix.json")}, "--metric NAME"},
		{"no JSON", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: []byte("<html>")}, "no answer of Prometheus"},
		{"an error", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: []byte(`{"status":"error","error":"parse error"}`)}, "parse error"},
		{"an instant query", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: []byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`)}, `of type "vector": ask /api/v1/query_range`},
		{"no series", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: matrix("")}, "found nothing"},
		{"two series", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: matrix(`{"metric":{"a":"1"},"values":[]},{"metric":{"a":"2"},"values":[]}`)}, "2 series, such as map[a:1] and map[a:2]"},
		{"histograms", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: matrix(`{"metric":{},"histograms":[[1,{}]]}`)}, "histogram_quantile"},
		{"broken samples", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: matrix(`{"metric":{},"values":[["x","1"],[1770026400,"y"],[1770026400,3]]}`)}, "value 1: its time\nvalue 2: its value \"y\"\nvalue 3: its value is no text"},
		{"counts of another step", baseline.File{Format: baseline.Prometheus, Metric: "lcp", Data: file(t, "matrix.json"), Counts: matrix(`{"metric":{},"values":[[1770026401,"3"]]}`)}, "value 1: lcp needs a count"},

		{"events by no user", baseline.File{Format: baseline.SentryEvents, Data: []byte(`{"data":[[1770022800,[{"count":3}]]],"meta":{"fields":{"count":"integer"}}}`), Counts: file(t, "sessions.json")}, "does not say that it counts users"},
		{"no series of users", baseline.File{Format: baseline.SentryEvents, Data: []byte(`{"count()":{"data":[]}}`), Counts: file(t, "sessions.json")}, "no series count_unique(user)"},
		{"no sessions", baseline.File{Format: baseline.SentryEvents, Data: file(t, "events-stats.json")}, "send the answer of /sessions/"},
		{"users in groups", baseline.File{Format: baseline.SentryEvents, Data: file(t, "events-stats.json"), Counts: file(t, "sessions-by-status.json")}, "cannot be added up"},
		{"buckets of five minutes", baseline.File{Format: baseline.SentryEvents, Data: []byte(`{"count_unique(user)":{"data":[[1770022800,[{"count":3}]],[1770023100,[{"count":3}]]]}}`), Counts: file(t, "sessions.json")}, "data 2: it begins 5m0s after"},
		{"days", baseline.File{Format: baseline.SentrySessions, Data: []byte(`{"intervals":["2026-02-01T00:00:00Z","2026-02-02T00:00:00Z"],"groups":[{"by":{},"series":{}}]}`)}, "interval 2: it begins 24h0m0s after"},
		{"a series that is too short", baseline.File{Format: baseline.SentrySessions, Data: []byte(`{"intervals":["2026-02-01T00:00:00Z"],"groups":[{"by":{},"series":{"sum(session)":[]}}]}`)}, "has 0 values for 1 intervals"},
		{"other fields", baseline.File{Format: baseline.SentrySessions, Data: []byte(`{"intervals":["2026-02-01T00:00:00Z"],"groups":[{"by":{"project":1},"series":{"sum(session)":[1]}}]}`)}, "groupBy=session.status"},
		{"no form", baseline.File{Format: "xml"}, "csv, prometheus, sentry-events, sentry-sessions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			points, _, err := baseline.Read(c.file)
			if err == nil {
				_, err = baseline.Gather(checkout(t), points, noon)
			}
			if err == nil {
				t.Fatal("it was taken")
			}
			for want := range strings.Lines(c.want) {
				if !strings.Contains(err.Error(), strings.TrimSpace(want)) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			}
		})
	}
}

func TestExtent(t *testing.T) {
	for _, c := range []struct {
		e    baseline.Extent
		want string
	}{
		{baseline.Extent{Want: 168, Measured: 36}, "1.5 of 7 d"},
		{baseline.Extent{Want: 168, Measured: 36, Imported: 24}, "2.5 of 7 d, 1 d of it imported"},
		{baseline.Extent{Want: 168, Measured: 167}, "7 d"},
		{baseline.Extent{Want: 168, Imported: 168}, "7 d, 7 d of it imported"},
		{baseline.Extent{Want: 168}, "0 of 7 d"},
	} {
		if got := c.e.Text(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.e, got, c.want)
		}
	}
}

// FuzzRead: whatever a file holds, hours are whole, finite and not of the future.
func FuzzRead(f *testing.F) {
	for _, seed := range []struct {
		format baseline.Format
		name   string
	}{{baseline.Prometheus, "matrix.json"}, {baseline.SentryEvents, "events-stats.json"}, {baseline.SentrySessions, "sessions.json"}, {baseline.SentrySessions, "sessions-by-status.json"}} {
		data, err := os.ReadFile(filepath.Join("testdata", seed.name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(seed.format), data, data)
	}
	f.Add("csv", []byte("time,metric,value,count\n1770022800,errors,1,20\n"), []byte(nil))
	p, err := plan.Parse([]byte("serin: 1\nplan: checkout\ntimezone: UTC\nflag: { key: newCheckout }\nstages:\n  - { stage: full, traffic: 100%, bake: 24h }\n"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, format string, data, counts []byte) {
		points, _, err := baseline.Read(baseline.File{Format: baseline.Format(format), Metric: "errors", Data: data, Counts: counts})
		if err != nil {
			return
		}
		hours, err := baseline.Gather(p, points, noon)
		if err != nil {
			return
		}
		for name, list := range hours {
			for i, h := range list {
				if h.Begin().Add(time.Hour).After(noon) || !(h.Value >= 0) || !(h.Count >= 0) || i > 0 && h.Hour <= list[i-1].Hour {
					t.Errorf("%s: hour %+v", name, h)
				}
			}
		}
	})
}
