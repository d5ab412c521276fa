package telemetry

import (
	"testing"
	"time"
)

func TestQueryWords(t *testing.T) {
	for _, tc := range []struct{ query, words, base string }{
		{"feature:x level:[error, fatal]", "events with feature:x level:[error, fatal]", "-"},
		{"measurements.lcp:<5000 url:/admin/users", "75th percentile of lcp of page loads with measurements.lcp:<5000 url.path:/admin/users", "-"},
		{"feature:x measurements.lcp:>=2500", "page loads with feature:x measurements.lcp:>=2500, grouped by url.path, and their share of all loads", "feature:x"},
		{"measurements.lcp:>=2500", "page loads with measurements.lcp:>=2500, grouped by url.path, and their share of all loads", ""},
		{"feature:x count_unique(user) GROUP BY tags.environment", "users of events with feature:x, grouped by environment", "-"},
		{"requests WHERE http.status_code:>=500 GROUP BY tags[tenant], environment", "requests with http.status_code:>=500, grouped by tag tenant and environment", "-"},
	} {
		q, err := ParseQuery(tc.query)
		if err != nil {
			t.Errorf("%s: %v", tc.query, err)
			continue
		}
		if got := q.Words(); got != tc.words {
			t.Errorf("%s reads %q, want %q", tc.query, got, tc.words)
		}
		base, ok := q.Base()
		if got := base.String(); !ok && tc.base != "-" || ok && got != tc.base {
			t.Errorf("%s: base %q %v, want %q", tc.query, got, ok, tc.base)
		}
	}
}

func TestBaseFindsWhatTheLimitLeavesOut(t *testing.T) {
	q, err := ParseQuery("feature:x measurements.lcp:>=2500")
	if err != nil {
		t.Fatal(err)
	}
	fast := &Event{Kind: KindPage, Tags: map[string]string{"feature": "x"}, Measurements: map[string]float64{"lcp": 900}}
	base, _ := q.Base()
	if q.Filter.Match(fast, time.Now()) || !base.Match(fast, time.Now()) {
		t.Errorf("a fast load: found %v, of all %v", q.Filter.Match(fast, time.Now()), base.Match(fast, time.Now()))
	}
}
