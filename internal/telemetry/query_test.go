package telemetry

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestQueriesOfTheSourcePlan reads the six loose queries as they were written,
// line breaks and comments included.
func TestQueriesOfTheSourcePlan(t *testing.T) {
	tests := []struct {
		name, text, want string
		dataset          Dataset
		aggregate        string
		by               []string
		earlier          time.Duration
		from             []string
	}{
		{
			name: "errors over time", text: "# Query 1: AdminWorkBench Errors Over Time\ntags.feature:admin-workbench level:[error, fatal]\nCompare: Last 7 days vs Now\n",
			want: "tags[feature]:admin-workbench level:[error, fatal] Compare: 1w", dataset: Events, aggregate: "count()",
			earlier: 7 * day, from: []string{"tags.feature:admin-workbench", "Compare: Last 7 days vs Now"},
		},
		{
			name: "page load", text: "# Query 2: Page Load Performance (LCP)\nmeasurements.largest_contentful_paint:[0 to 5000]\nAND url:/admin/users\n",
			want: "measurements.lcp:>=0 measurements.lcp:<=5000 url.path:/admin/users", dataset: PageLoads, aggregate: "p75(measurements.lcp)",
			from: []string{"measurements.largest_contentful_paint:[0 to 5000]"},
		},
		{
			name: "by component", text: "# Query 3: User Errors by Component\ntags.feature:admin-workbench\nGroup by: tags.component",
			want: "tags[feature]:admin-workbench count() group by tags[component]", dataset: Events, aggregate: "count()",
			by: []string{"tags[component]"}, from: []string{"tags.feature:admin-workbench", "Group by: tags.component"},
		},
		{
			name: "critical issues", text: "# Critical Issues\nissues_that_need_review\nWHERE\n  tags.feature:\"admin-workbench\"\n  AND level:error\n  AND firstSeen:\"1 day\"\n",
			want: "is:unresolved is:for_review tags[feature]:admin-workbench level:error firstSeen:-1d", dataset: IssueList, aggregate: "count()",
			from: []string{"issues_that_need_review", `tags.feature:"admin-workbench"`, `firstSeen:"1 day"`},
		},
		{
			name: "performance regression", text: "performance\nWHERE\n  tags.feature:\"admin-workbench\"\n  AND measurements.largest_contentful_paint:[2500 TO *]",
			want: "tags[feature]:admin-workbench measurements.lcp:>=2500", dataset: PageLoads, aggregate: "count()", by: []string{"url.path"},
			from: []string{"performance", `tags.feature:"admin-workbench"`, "measurements.largest_contentful_paint:[2500 TO *]"},
		},
		{
			name: "user impact", text: "# User Impact\nissue:admin-workbench\nGROUP BY tags.environment",
			want: "tags[feature]:admin-workbench count() group by environment", dataset: Events, aggregate: "count()", by: []string{"environment"},
			from: []string{"issue:admin-workbench", "GROUP BY tags.environment"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			q, err := ParseQuery(test.text)
			if err != nil {
				t.Fatal(err)
			}
			var from []string
			for _, n := range q.Notes {
				from = append(from, n.From)
			}
			got := []any{q.String(), q.Dataset, q.Aggregate.String(), q.By, q.Earlier, from}
			want := []any{test.want, test.dataset, test.aggregate, test.by, test.earlier, test.from}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("ParseQuery (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseQuery(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", ""},
		{"level:error", "level:error"},
		{"issue:SERIN-12", "issue:SERIN-12"},
		{"group by: release, tags[\"my tag\"]", `count() group by release, tags["my tag"]`},
		{"feature:x p95(duration) Compare: canary vs control", "feature:x p95(duration) Compare: canary vs control"},
		{"requests where http.status_code:>=500 group by url.path count_unique(user)", "requests WHERE http.status_code:>=500 count_unique(user.id) group by url.path"},
		{"compare: 36h", "Compare: 36h"},
		{"feature:x COMPARE: last 2 weeks vs now GROUP BY component", "feature:x count() group by tags[component] Compare: 2w"},
		{`"group by" level:error`, `"group by" level:error`},
		{"session.status:crashed", "session.status:crashed"},
		{"measurements.lcp:<5000 count()", "measurements.lcp:<5000 count()"},
		{"score:<3", "score:<3"},
		{"issues where level:error or level:fatal", "issues WHERE (level:error OR level:fatal)"},
	}
	for _, test := range tests {
		q, err := ParseQuery(test.text)
		if err != nil || q.String() != test.want {
			t.Errorf("ParseQuery(%q) = %q, %v; want %q", test.text, q, err, test.want)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	tests := []struct {
		text, what string
		column     int
	}{
		{"visitors WHERE level:error", `"visitors" is no dataset`, 1},
		{"level:error Compare: yesterday", `Compare: "yesterday" is not understood`, 22},
		{"level:error GROUP BY", "GROUP BY needs a key", 21},
		{"GROUP BY release level:error", "the search goes on behind GROUP BY", 18},
		{"é level:[error GROUP BY release", "a comma is missing in the list", 16},
		{"GROUP BY a GROUP BY b", "a second GROUP BY", 12},
		{"Compare: 7d Compare: 1d", "a second Compare:", 13},
		{"count() count()", "a second aggregate", 9},
		{"level:error count(user)", "count() takes no field", 13},
		{"p75(release)", "p75 of release", 1},
		{"level:error AND GROUP BY release", "it ends where a term is expected", 33},
		{"session.status:ok measurements.lcp:>5", "measurements.lcp is a field of pageloads, but session.status is a field of sessions", 19},
		{"events WHERE level:error is:unresolved", "is is a field of issues, but the dataset is events", 26},
		{"issues WHERE level:error GROUP BY release", "issues are listed", 1},
		{"Compare: 400d", "Compare: 400d", 10},
	}
	for _, test := range tests {
		_, err := ParseQuery(test.text)
		var bad *SyntaxError
		if !errors.As(err, &bad) || bad.What != test.what || bad.Column != test.column || bad.Text != test.text {
			t.Errorf("ParseQuery(%q): %+v, want %q at %d", test.text, err, test.what, test.column)
		}
	}
}

// FuzzQuery: what is read has a canonical form that is read to the same query.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"tags.feature:x level:[error, fatal]\nCompare: Last 7 days vs Now", "performance WHERE measurements.largest_contentful_paint:[2500 TO *]",
		"issue:admin-workbench GROUP BY tags.environment", `p75(measurements.lcp) "group by" (a or b)`, "issues_that_need_review WHERE a OR b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseQuery(text)
		if err != nil {
			var bad *SyntaxError
			if !errors.As(err, &bad) || bad.Column < 1 || bad.Column > len(text)+1 {
				t.Fatalf("%q: %v is no error with a position", text, err)
			}
			return
		}
		canonical := q.String()
		if len(canonical) > maxFilterBytes {
			return
		}
		again, err := ParseQuery(canonical)
		if err != nil || again.String() != canonical || again.Dataset != q.Dataset {
			t.Fatalf("%q is written %q, which is read as %q, %v", text, canonical, again, err)
		}
	})
}
