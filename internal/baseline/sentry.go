package baseline

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The fields of Sentry's answers that are read.
const (
	sentryUsers   = "count_unique(user)"
	sentrySum     = "sum(session)"
	sentryRate    = "crash_free_rate(session)"
	sentryStatus  = "session.status"
	sentryCrashed = "crashed"
)

// statsSeries is one series of events-stats: its data are pairs of Unix
// seconds, the beginning of the bucket, and a list with one {"count": n}.
type statsSeries struct {
	Data [][2]json.RawMessage `json:"data"`
}

// readSentryEvents reads the users with an error by the hour out of an
// events-stats answer asked with yAxis=count_unique(user)&interval=1h. Of how
// many active users they are stands in the sessions (File.Counts).
func readSentryEvents(f File) (points []Point, skipped int, err error) {
	metric := f.Metric
	if metric == "" {
		metric = sentryErrors
	}
	series, err := usersSeries(f.Data)
	if err != nil {
		return nil, 0, err
	}
	if f.Counts == nil {
		return nil, 0, problem("", "send the answer of /sessions/ with field=%s too: errors are compared for each active user", sentryUsers)
	}
	active, err := activeUsers(f.Counts)
	if err != nil {
		return nil, 0, err
	}
	if err := limited(len(series.Data)); err != nil {
		return nil, 0, err
	}
	var bad Problems
	for i, pair := range series.Data {
		where := fmt.Sprintf("data %d", i+1)
		at, n, why := statsPoint(pair)
		if why != "" {
			bad.add(where, "%s", why)
			continue
		}
		size, told := active[at.Unix()]
		if n == nil || told && size == nil {
			skipped++
			continue
		}
		p := Point{Where: where, Begin: at, Metric: metric, Value: *n, Sized: told}
		if told {
			p.Count = *size
		}
		points = append(points, p)
	}
	if bad != nil {
		return nil, 0, bad
	}
	return points, skipped, hourly(points)
}

// usersSeries finds the series of users. An answer with one yAxis is the
// series itself, and does not say of what; one with several names them.
func usersSeries(data []byte) (statsSeries, error) {
	var one struct {
		statsSeries
		Meta struct {
			Fields map[string]string `json:"fields"`
		} `json:"meta"`
	}
	var many map[string]statsSeries
	const ask = "ask /events-stats/ with yAxis=count_unique(user)&yAxis=count()&interval=1h: events that are not counted by user cannot be compared"
	if err := json.Unmarshal(data, &one); err == nil && one.Data != nil {
		if _, ok := one.Meta.Fields["count_unique_user"]; ok {
			return one.statsSeries, nil
		}
		if _, ok := one.Meta.Fields[sentryUsers]; ok {
			return one.statsSeries, nil
		}
		return statsSeries{}, problem("", "the answer does not say that it counts users: %s", ask)
	}
	if err := json.Unmarshal(data, &many); err != nil {
		return statsSeries{}, problem("", "this is no answer of Sentry's events-stats: %v", err)
	}
	if s, ok := many[sentryUsers]; ok && s.Data != nil {
		return s, nil
	}
	return statsSeries{}, problem("", "the answer has no series %s: %s", sentryUsers, ask)
}

func statsPoint(pair [2]json.RawMessage) (at time.Time, n *float64, why string) {
	var seconds int64
	if json.Unmarshal(pair[0], &seconds) != nil || seconds <= 0 || seconds >= maxUnix {
		return at, nil, "its time is no Unix time in seconds"
	}
	var counts []struct {
		Count *float64 `json:"count"`
	}
	if json.Unmarshal(pair[1], &counts) != nil || len(counts) != 1 {
		return at, nil, `its value is not [{"count": n}]`
	}
	return time.Unix(seconds, 0).UTC(), counts[0].Count, ""
}

// sessionsAnswer is the answer of /sessions/: each series has one value for
// each of Intervals, the begins of the buckets.
type sessionsAnswer struct {
	Intervals []time.Time    `json:"intervals"`
	Groups    []sessionGroup `json:"groups"`
}

type sessionGroup struct {
	By     map[string]any        `json:"by"`
	Series map[string][]*float64 `json:"series"`
}

func sessionsOf(data []byte) (a sessionsAnswer, err error) {
	if err := json.Unmarshal(data, &a); err != nil {
		return a, problem("", "this is no answer of Sentry's sessions: %v", err)
	}
	if len(a.Intervals) == 0 || len(a.Groups) == 0 {
		return a, problem("", "the answer of Sentry's sessions has no intervals or no groups")
	}
	if err := limited(len(a.Intervals)); err != nil {
		return a, err
	}
	for i := 1; i < len(a.Intervals); i++ {
		if gap := a.Intervals[i].Sub(a.Intervals[i-1]); gap != time.Hour {
			return a, problem(fmt.Sprintf("interval %d", i+1), "it begins %s after the one before: ask for interval=1h", gap)
		}
	}
	for _, g := range a.Groups {
		for field, s := range g.Series {
			if len(s) != len(a.Intervals) {
				return a, problem("", "series %s has %d values for %d intervals", field, len(s), len(a.Intervals))
			}
		}
	}
	return a, nil
}

// activeUsers are the distinct users by hour; they cannot be added up over
// groups, so the answer must not be grouped.
func activeUsers(data []byte) (map[int64]*float64, error) {
	a, err := sessionsOf(data)
	if err != nil {
		return nil, err
	}
	users := a.Groups[0].Series[sentryUsers]
	if len(a.Groups) > 1 || users == nil {
		return nil, problem("", "ask /sessions/ with field=%s and without groupBy: users of several groups cannot be added up", sentryUsers)
	}
	out := map[int64]*float64{}
	for i, at := range a.Intervals {
		out[at.Unix()] = users[i]
	}
	return out, nil
}

// readSentrySessions reads the share of sessions without a crash: of a rate and
// its sum, or of sums grouped by session.status.
func readSentrySessions(f File) (points []Point, skipped int, err error) {
	a, err := sessionsOf(f.Data)
	if err != nil {
		return nil, 0, err
	}
	rate, size, err := a.crashFree()
	if err != nil {
		return nil, 0, err
	}
	metric := f.Metric
	if metric == "" {
		metric = sentryCrashFree
	}
	for i, at := range a.Intervals {
		if rate[i] == nil || size[i] == nil || *size[i] == 0 {
			skipped++
			continue
		}
		points = append(points, Point{Where: fmt.Sprintf("interval %d", i+1), Begin: at.UTC(), Metric: metric, Value: *rate[i], Count: *size[i], Sized: true})
	}
	return points, skipped, hourly(points)
}

// crashFree returns the rate and the sessions of each interval.
func (a sessionsAnswer) crashFree() (rate, size []*float64, err error) {
	if g := a.Groups[0]; len(a.Groups) == 1 && g.Series[sentryRate] != nil && g.Series[sentrySum] != nil {
		return g.Series[sentryRate], g.Series[sentrySum], nil
	}
	crashed, all := make([]float64, len(a.Intervals)), make([]float64, len(a.Intervals))
	for _, g := range a.Groups {
		status, ok := g.By[sentryStatus].(string)
		sums := g.Series[sentrySum]
		if !ok || len(g.By) != 1 || sums == nil {
			return nil, nil, problem("", "ask /sessions/ with field=%s&field=%s, or field=%s&groupBy=%s", sentryRate, sentrySum, sentrySum, sentryStatus)
		}
		for i, n := range sums {
			if n == nil {
				continue
			}
			all[i] += *n
			if strings.EqualFold(status, sentryCrashed) {
				crashed[i] += *n
			}
		}
	}
	rate, size = make([]*float64, len(all)), make([]*float64, len(all))
	for i := range all {
		free := 0.0
		if all[i] > 0 {
			free = 1 - crashed[i]/all[i]
		}
		rate[i], size[i] = &free, &all[i]
	}
	return rate, size, nil
}

// hourly refuses buckets that are not an hour long.
func hourly(points []Point) error {
	for i := 1; i < len(points); i++ {
		if gap := points[i].Begin.Sub(points[i-1].Begin); gap < time.Hour {
			return problem(points[i].Where, "it begins %s after the one before: ask for interval=1h", gap)
		}
	}
	return nil
}
