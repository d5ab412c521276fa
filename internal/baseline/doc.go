// Package baseline reads figures of the past that another system measured, for
// comparisons with the baseline on a server that has not seen a whole one yet.
//
// Read takes a file and answers its Points: values with their times, still as
// the file has them. Gather makes Hours of them for the metrics of a plan, and
// refuses what it would have to guess: each refusal says the line or place and
// the reason. The forms are
//
//   - CSV with the columns time, metric, value and, for metrics of users, count
//     (RFC 4180, times as RFC 3339 or Unix seconds);
//   - the JSON answer of Prometheus' /api/v1/query_range ("matrix", one series;
//     prometheus.io/docs/prometheus/latest/querying/api, Range queries);
//   - the JSON answers of Sentry's /organizations/{org}/events-stats/ and
//     /organizations/{org}/sessions/ with interval=1h (docs.sentry.io/api).
//
// What a value is, by the kind of its metric:
//
//	count, users    how many users had such an event in the hour; count is how many
//	                users were active in it. Events that are no users would make
//	                the baseline too high, and harm would not show
//	quantile        the quantile itself; count is how many values it is of
//	average         the mean; count is how many values it is of
//	share           0 to 1; count is what it is a share of: sessions, requests
//	system          the value; no count
//
// The package is pure: no clock, no network. Who fetches an answer is not its
// concern; the server fetches nothing, the command line does.
package baseline
