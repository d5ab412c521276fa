package plan

import "time"

// Filters that several built-in metrics share.
const (
	whereError   = "level:[error, fatal]"
	whereRequest = "op:http.server"
)

// The default grading of errors: the filters of p1 and p2.
const (
	defaultP1 = "level:fatal or tags[severity]:p1"
	defaultP2 = "tags[severity]:p2 or (level:error and error.unhandled:true)"
)

// DefaultSeverity is the grading of errors of a plan that has none of its own.
func DefaultSeverity() []Severity { return []Severity{{"p1", defaultP1}, {"p2", defaultP2}} }

// Builtin returns the metrics that every plan may name, by name. The map and
// its metrics are fresh copies that the caller may change.
//
// Units: durations are milliseconds, sizes bytes, shares 0..1; a survey's
// score is scaled to 5. The computed metrics are defined by their name:
//
//   - adoption: distinct users of the new variant on the pages of the scope,
//     or with the action "open", over the audience's active users;
//   - concurrent: the highest five-minute count of active exposed users;
//   - crash_free: the share of sessions that did not crash;
//   - logins: actions "login" that went well over all actions "login";
//   - uptime: probes answered over probes sent.
func Builtin() map[string]*Metric {
	all := make(map[string]*Metric, len(vocabulary))
	for _, m := range vocabulary {
		m.BuiltIn, m.Weight = true, 1
		if m.Source == "" {
			m.Source = "telemetry"
		}
		all[m.Name] = &m
	}
	return all
}

// BuiltinNames returns the names of the built-in metrics in the order of the
// documentation.
func BuiltinNames() []string {
	names := make([]string, len(vocabulary))
	for i, m := range vocabulary {
		names[i] = m.Name
	}
	return names
}

// vocabulary is in the order of docs/reference/plan.md, which is generated
// from it.
var vocabulary = []Metric{
	{Name: "errors", Title: "Errors", Kind: Count, Of: "events", Where: whereError, User: true},
	{Name: "p1", Title: "P1 errors", Kind: Count, Of: "events", Where: defaultP1, User: true},
	{Name: "p2", Title: "P2 errors", Kind: Count, Of: "events", Where: secondGrade(defaultP1, defaultP2), User: true},
	{Name: "new_issues", Title: "New issues", Kind: Count, Of: "issues", Where: "is:unresolved", User: true},
	{Name: "affected_users", Title: "Users with an error", Kind: Users, Of: "events", Where: whereError, User: true},
	{Name: "requests", Title: "Requests", Kind: Count, Of: "requests", Where: whereRequest, User: true},
	{Name: "error_rate", Title: "Errors per request", Kind: Ratio, Of: "errors", Per: "requests", Unit: "%", User: true},
	{Name: "http_5xx", Title: "HTTP 5xx answers", Kind: Count, Of: "requests", Where: "http.status_code:[500 TO 599]", User: true},
	{Name: "timeouts", Title: "Timeouts", Kind: Count, Of: "events", Where: "error.type:*Timeout*", User: true},
	{Name: "db_conn_errors", Title: "Database connection errors", Kind: Count, Of: "events", Where: "error.type:*Connection* has:db.system", User: true},
	{Name: "console_errors", Title: "Browser errors", Kind: Count, Of: "events", Where: "platform:javascript level:[error, fatal]", User: true},
	{Name: "sessions", Title: "Sessions", Kind: Count, Of: "sessions", User: true},
	{Name: "crash_free", Title: "Sessions without a crash", Kind: Computed, Of: "sessions", Unit: "%", UpGood: true, User: true},
	{Name: "lcp", Title: "Page load (LCP) p75", Kind: Quantile, Of: "pages", Field: "measurements.lcp", Q: 0.75, Unit: "ms", User: true},
	{Name: "fcp", Title: "First paint (FCP) p75", Kind: Quantile, Of: "pages", Field: "measurements.fcp", Q: 0.75, Unit: "ms", User: true},
	{Name: "cls", Title: "Layout shift (CLS) p75", Kind: Quantile, Of: "pages", Field: "measurements.cls", Q: 0.75, User: true},
	{Name: "tti", Title: "Time to interactive (TTI) p75", Kind: Quantile, Of: "pages", Field: "measurements.tti", Q: 0.75, Unit: "ms", User: true},
	{Name: "inp", Title: "Interaction to next paint (INP) p75", Kind: Quantile, Of: "pages", Field: "measurements.inp", Q: 0.75, Unit: "ms", User: true},
	{Name: "ttfb", Title: "Time to first byte (TTFB) p75", Kind: Quantile, Of: "pages", Field: "measurements.ttfb", Q: 0.75, Unit: "ms", User: true},
	{Name: "api_p50", Title: "API p50", Kind: Quantile, Of: "requests", Field: "duration", Q: 0.5, Where: whereRequest, Unit: "ms", User: true},
	{Name: "api_p95", Title: "API p95", Kind: Quantile, Of: "requests", Field: "duration", Q: 0.95, Where: whereRequest, Unit: "ms", User: true},
	{Name: "api_p99", Title: "API p99", Kind: Quantile, Of: "requests", Field: "duration", Q: 0.99, Where: whereRequest, Unit: "ms", User: true},
	{Name: "db_p95", Title: "Database p95", Kind: Quantile, Of: "spans", Field: "duration", Q: 0.95, Where: "op:db*", Unit: "ms", User: true},
	{Name: "adoption", Title: "Adoption", Kind: Computed, Of: "pages", Unit: "%", UpGood: true, User: true},
	{Name: "concurrent", Title: "Concurrent users", Kind: Computed, Of: "events", User: true},
	{Name: "logins", Title: "Successful logins", Kind: Computed, Of: "actions", Where: "action:login", Source: "usage", Unit: "%", UpGood: true, User: true},
	{Name: "complaints", Title: "Complaints", Kind: Count, Of: "feedback", Where: "kind:complaint or sentiment:negative", Source: "feedback", User: true},
	{Name: "failure_reports", Title: "Users who report failures", Kind: Users, Of: "feedback", Where: "kind:failure", Source: "feedback", User: true},
	{Name: "critical_complaints", Title: "Critical complaints", Kind: Count, Of: "feedback", Where: "severity:critical", Source: "feedback", User: true},
	{Name: "escalations", Title: "Escalations", Kind: Count, Of: "feedback", Where: "kind:escalation", Source: "feedback", User: true},
	{Name: "revert_requests", Title: "Requests to revert", Kind: Count, Of: "feedback", Where: "kind:revert_request", Source: "feedback", User: true},
	{Name: "survey_negative", Title: "Negative survey answers", Kind: Count, Of: "survey", Where: "score:<=2", Source: "survey", User: true},
	{Name: "satisfaction", Title: "Satisfaction (of 5)", Kind: Average, Of: "survey", Field: "score", Source: "survey", UpGood: true, User: true},
	{Name: "uptime", Title: "Uptime", Kind: Computed, Of: "events", Source: "probe", Unit: "%", UpGood: true},
	{Name: "memory", Title: "Process memory", Kind: Gauge, Of: "process.memory.usage", Unit: "B"},
	{Name: "memory_trend", Title: "Memory growth an hour", Kind: Slope, Of: "memory", Over: 6 * time.Hour, Unit: "%"},
	{Name: "pool", Title: "Database connections in use", Kind: Gauge, Of: "db.client.connection.utilization", Unit: "%"},
	{Name: "bundle_size", Title: "Bundle size", Kind: Gauge, Of: "bundle_size", Source: "push", Unit: "B"},
	{Name: "backup_age", Title: "Age of the last backup", Kind: Age, Of: "backup", Field: "ok", Source: "push", Unit: "ms"},
	{Name: "telemetry_age", Title: "Age of the newest event", Kind: Age, Of: "events", Unit: "ms"},
}

// secondGrade is the filter of the second grade: its own, without what the
// first has taken.
func secondGrade(first, second string) string {
	return "not (" + first + ") and (" + second + ")"
}
